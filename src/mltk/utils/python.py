"""Python packages that a specification asks for."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys

from mltk.utils import audiomentations_names
from mltk.utils.errors import MltkError
from mltk.utils.logging import get_mltk_logger

ALLOW_VARIABLE = "MLTK_ALLOW_PIP_INSTALL"

# What Python imports, where that is not the package's name with underscores.
_MODULES = {
    "beautifulsoup4": "bs4",
    "opencv-contrib-python": "cv2",
    "opencv-contrib-python-headless": "cv2",
    "opencv-python": "cv2",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "protobuf": "google.protobuf",
    "pysoundfile": "soundfile",
    "python-dateutil": "dateutil",
    "python-stretch": "python_stretch",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "tensorflow-cpu": "tensorflow",
    "tflite-support": "tflite_support",
}


def install_pip_package(package: str, module_name: str | None = None, install_dir: str | None = None) -> None:
    """Make sure that a pip package is there (historical MLTK function).

    Nothing is installed behind the user's back: where the package is missing, this is an error that says
    what to do, unless the environment variable MLTK_ALLOW_PIP_INSTALL is 1. A specification that asks for
    audiomentations may use the names that its arguments had before version 0.36, with any version.

    Args:
        package: what pip is told, such as 'audiomentations' or 'cffi>=1.12'.
        module_name: what Python imports, where that is another name.
        install_dir: install into this folder, and import from it.

    Raises:
        MltkError: the package is missing and may not be installed, or pip fails.

    """
    module = module_name or _module_of(package)
    if install_dir and install_dir not in sys.path:
        sys.path.append(install_dir)
    if not _is_there(module):
        _install(package, install_dir)
    if module == "audiomentations":
        audiomentations_names.accept_old_names()


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


def _install(package: str, install_dir: str | None) -> None:
    if os.environ.get(ALLOW_VARIABLE) != "1":
        raise MltkError(
            f"The Python package '{package}' is needed: pip install '{package}' (or set {ALLOW_VARIABLE}=1, "
            "then it is installed when a specification asks for it)"
        )
    get_mltk_logger().info("Installing %s", package)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if install_dir:
        command += ["--target", install_dir]
    result = subprocess.run([*command, "--", package], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise MltkError(f"pip can not install '{package}': {reason}")
    importlib.invalidate_caches()


def _module_of(package: str) -> str:
    """Return the module that a requirement most likely brings: 'Foo-bar[x]>=1' -> 'foo_bar'."""
    name = package
    for separator in "[<>=!~;@ ":
        name = name.partition(separator)[0]
    name = name.strip()
    return _MODULES.get(re.sub(r"[-_.]+", "-", name).lower(), name.replace("-", "_"))
