"""The historical import paths give the package's own objects, and stay light."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

import mltk.core as mltk_core
from mltk.utils.errors import MltkError
from mltk.utils.python import install_pip_package

HAS_TRAIN = importlib.util.find_spec("tensorflow") is not None
HEAVY = (
    "tensorflow",
    "keras",
    "sklearn",
    "matplotlib",
    "soundfile",
    "soxr",
    "ai_edge_litert",
    "rich",
    "loky",
)
# From the page of names that the seeds use: path -> names.
PATHS = {
    "mltk.core": [
        "MltkModel",
        "TrainMixin",
        "DatasetMixin",
        "AudioDatasetMixin",
        "EvaluateClassifierMixin",
        "SshMixin",
        "MltkDataset",
        "load_mltk_model",
        "get_mltk_logger",
        "TfliteModel",
        "TfliteModelParameters",
        "profile_model",
    ],
    "mltk.core.model": [
        "MltkModel",
        "TrainMixin",
        "DatasetMixin",
        "AudioDatasetMixin",
        "EvaluateClassifierMixin",
    ],
    "mltk.core.preprocess.audio.audio_feature_generator": [
        "AudioFeatureGenerator",
        "AudioFeatureGeneratorSettings",
    ],
    "mltk.core.preprocess.audio.parallel_generator": ["ParallelAudioDataGenerator"],
    "mltk.core.preprocess.utils": ["split_file_list", "shuffle_file_list_by_group"],
    "mltk.core.preprocess.utils.audio": [
        "read_audio_file",
        "write_audio_file",
        "resample",
        "adjust_length",
        "apply_frontend",
    ],
    "mltk.core.preprocess.utils.image": [],
    "mltk.core.tflite_micro": ["TfliteMicro"],
    "mltk.core.tflite_model": ["TfliteModel"],
    "mltk.core.tflite_model_parameters": ["TfliteModelParameters"],
    "mltk.utils.path": ["create_user_dir"],
    "mltk.utils.python": ["install_pip_package"],
    "mltk.utils.archive_downloader": ["download_url", "download_verify_extract"],
    "mltk.cli": ["get_logger"],
}


def run(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", PATHS)
def test_names_of_the_reference(path):
    module = importlib.import_module(path)
    for name in PATHS[path]:
        found = getattr(module, name)
        assert callable(found)
        assert found.__module__.startswith("mltk.")
        assert not found.__module__.startswith("mltk.core")


@pytest.mark.skipif(not HAS_TRAIN, reason="the extra 'train' is not installed")
def test_names_that_train():
    script = (
        "import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"
        "import mltk.core as c; print(*(getattr(c, n).__module__ for n in c.__all__))"
    )
    homes = run(script).split()
    assert len(homes) == len(mltk_core.__all__)
    assert {"mltk.training.train", "mltk.training.quantize", "mltk.evaluation.evaluate"} <= set(homes)


def test_every_name_is_listed():
    assert set(PATHS["mltk.core"]) <= set(dir(mltk_core))
    assert set(PATHS["mltk.core"]) <= set(mltk_core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'MltkModl'"):
        mltk_core.MltkModl  # noqa: B018
    with pytest.raises(ImportError, match="TrainMixn"):
        from mltk.core import TrainMixn  # noqa: F401


def test_importing_a_specifications_base_loads_nothing_heavy():
    script = (
        "import sys, json\n"
        "from mltk.core import MltkModel, TrainMixin, AudioDatasetMixin, load_mltk_model, get_mltk_logger\n"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    assert json.loads(run(script)) == []


def test_reading_and_profiling_an_archive_imports_no_tensorflow(shared_dir):
    archive = shared_dir / "models" / "tflite_micro_speech.mltk.zip"
    script = (
        "import sys, json\n"
        "from mltk.core import load_mltk_model, profile_model\n"
        f"model = load_mltk_model({str(archive)!r}); model.input_shape; str(profile_model(model))\n"
        "print(json.dumps([m for m in ('tensorflow', 'keras', 'sklearn', 'matplotlib') if m in sys.modules]))"
    )
    assert json.loads(run(script)) == []


# --- install_pip_package


def test_installed_packages_are_left_alone(monkeypatch):
    monkeypatch.setattr(subprocess, "run", _forbidden)
    install_pip_package("numpy")
    install_pip_package("numpy>=1.0; python_version > '3'")
    install_pip_package("PyYAML", "yaml")


def test_nothing_is_installed_unless_the_user_allowed_it(monkeypatch):
    monkeypatch.delenv("MLTK_ALLOW_PIP_INSTALL", raising=False)
    monkeypatch.setattr(subprocess, "run", _forbidden)
    with pytest.raises(MltkError, match=r"pip install 'no-such-package\[x\]>=1'.*MLTK_ALLOW_PIP_INSTALL=1"):
        install_pip_package("no-such-package[x]>=1")


def test_allowed_installation_tells_pips_reason(monkeypatch):
    calls = []

    def fake(command, **_kwargs):
        calls.append(command)
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: no matching distribution\n")

    monkeypatch.setenv("MLTK_ALLOW_PIP_INSTALL", "1")
    monkeypatch.setattr(subprocess, "run", fake)
    with pytest.raises(MltkError, match="pip can not install '--evil': ERROR: no matching distribution"):
        install_pip_package("--evil", "no_such_module")
    # What a specification names is never taken for an option of pip's.
    assert calls[0][-2:] == ["--", "--evil"]


def _forbidden(*_args, **_kwargs):
    raise AssertionError(f"nothing may be started here (cwd {os.getcwd()})")  # noqa: PTH109
