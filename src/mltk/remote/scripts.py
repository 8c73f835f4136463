"""The shell scripts of a run. Every word of the user's is quoted, so that a shell takes it as it is."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mltk.remote.settings import RemoteSettings

VENV = ".mltk-ssh/venv"
# -P keeps files of the working folder from taking the place of modules of the same name.
_MLTK = "-P -c 'from mltk.cli.main import main; main()'"


@dataclass(frozen=True)
class Package:
    """What pip installs on the other machine.

    Attributes:
        requirement: pip's argument.
        stamp: changes when it is to be installed again.
        is_file: a wheel that was sent: pip takes it even where a package of this version is there.

    """

    requirement: str
    stamp: str
    is_file: bool = False


def scripts(
    settings: RemoteSettings, work: str, arguments: Sequence[str], package: Package | None
) -> dict[str, str]:
    """Return the scripts: setup.sh (the virtual environment), command.sh, shutdown.sh.

    Args:
        settings: environment and commands.
        work: absolute path of the working folder there.
        arguments: of mltk.
        package: for the virtual environment; None runs `settings.python` itself.

    """
    made = {"command.sh": _command(settings, work, arguments, package is not None)}
    if package is not None:
        made["setup.sh"] = _setup(settings, work, package)
    if settings.shutdown_cmds:
        lines = [*_head(settings, work, package is not None), *settings.shutdown_cmds]
        made["shutdown.sh"] = _text(lines)
    return made


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _head(settings: RemoteSettings, work: str, in_venv: bool) -> list[str]:
    lines = [f"cd -- {shlex.quote(work)} || exit 125"]
    if in_venv:
        lines.append(f". {shlex.quote(f'{work}/{VENV}/bin/activate')} || exit 125")
    return lines + _exports(settings.environment)


def _exports(environment: Mapping[str, str]) -> list[str]:
    # Live output, and as wide as it is shown.
    values = {"PYTHONUNBUFFERED": "1", "COLUMNS": _columns(), **environment}
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]


def _columns() -> str:
    return os.environ.get("COLUMNS") or str(shutil.get_terminal_size().columns)


def _python(path: str) -> str:
    return '"$HOME"/' + shlex.quote(path[2:]) if path.startswith("~/") else shlex.quote(path)


def _setup(settings: RemoteSettings, work: str, package: Package) -> str:
    venv = shlex.quote(f"{work}/{VENV}")
    pip = f"{venv}/bin/python -m pip install --disable-pip-version-check"
    again = (
        f" && {pip} --force-reinstall --no-deps {shlex.quote(package.requirement)}" if package.is_file else ""
    )
    told = shlex.quote(f"Installing {package.requirement} into the virtual environment {work}/{VENV}")
    return _text(
        [
            f"cd -- {shlex.quote(work)} || exit 125",
            *_exports(settings.environment),
            f"stamp={venv}/mltk-package",
            f'[ "$(cat "$stamp" 2>/dev/null)" = {shlex.quote(package.stamp)} ] && exit 0',
            f"echo {told}",
            f"if {_python(settings.python)} -m venv {venv} && {pip} {shlex.quote(package.requirement)}{again}",
            f'then printf %s {shlex.quote(package.stamp)} > "$stamp"',
            "else echo 'mltk ssh: the virtual environment could not be made (see above)'; exit 2",
            "fi",
        ]
    )


def _command(settings: RemoteSettings, work: str, arguments: Sequence[str], in_venv: bool) -> str:
    python = shlex.quote(f"{work}/{VENV}/bin/python") if in_venv else _python(settings.python)
    lines = [
        # Ctrl-C reaches mltk, which ends in its own way; the shell only goes no further.
        "trap 'interrupted=1' INT",
        *_head(settings, work, in_venv),
    ]
    for command in settings.startup_cmds:
        told = shlex.quote(f"mltk ssh: the startup command failed: {command}")
        lines.append(f"eval {shlex.quote(command)} || {{ echo {told}; exit 2; }}")
        lines.append('[ -z "$interrupted" ] || exit 130')
    lines.append(f"{python} {_MLTK} {shlex.join(arguments)}")
    return _text(lines)
