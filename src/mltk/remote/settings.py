"""What is to be done on the other machine, out of the command line, the specification and the settings file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mltk.models.attributes import KnownKeys
from mltk.remote.errors import RemoteError
from mltk.remote.target import Target, checked_port, parse_host
from mltk.utils.errors import ModelError
from mltk.utils.files import read_bytes
from mltk.utils.path import user_dir

SETTINGS_FILE = "user_settings.yaml"
DEFAULT_REMOTE_DIR = "mltk-remote"  # below the home folder there
DEFAULT_PYTHON = "python3"

# What the reference toolkit reads below 'ssh' (docs/guides/model_training_via_ssh.md), and two of ours:
# 'python' (which one runs there) and 'package' (what pip installs there).
KEYS = (
    "config_path",
    "remote_dir",
    "create_venv",
    "connection",
    "environment",
    "upload_files",
    "download_files",
    "startup_cmds",
    "shutdown_cmds",
    "python",
    "package",
)
_CONNECTION_KEYS = ("hostname", "port", "username", "key_filename")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class RemoteSettings:
    """Everything that a run on another machine needs to know.

    Attributes:
        target: the machine.
        remote_dir: working folder there; relative to the home folder.
        create_venv: run in a virtual environment below `remote_dir`, made when it is missing.
        python: the Python that makes it, or that runs the command itself.
        package: what pip installs into it: a requirement, or the path of a wheel here, which is sent.
        environment: variables of the commands.
        upload_files, download_files: `pattern` or `from|to`.
        startup_cmds, shutdown_cmds: shell commands before and after.

    """

    target: Target
    remote_dir: str = DEFAULT_REMOTE_DIR
    create_venv: bool = True
    python: str = DEFAULT_PYTHON
    package: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    upload_files: tuple[str, ...] = ()
    download_files: tuple[str, ...] = ()
    startup_cmds: tuple[str, ...] = ()
    shutdown_cmds: tuple[str, ...] = ()


def load_settings(
    host: str | None = None,
    port: int | None = None,
    identity: str | None = None,
    model: object = None,
) -> RemoteSettings:
    """Put the settings together: the command line before the specification before the settings file.

    Lists of the file come first, then those of the specification; variables of the specification replace
    those of the file.

    Args:
        host: [USER@]HOST[:PORT][/FOLDER], or an alias of ~/.ssh/config; without it the settings file's.
        port: TCP port.
        identity: path of a private key.
        model: a specification with an `SshMixin`; others have no say.

    Raises:
        RemoteError: no host is known, or a setting can not be used.

    """
    file, path = _read_file()
    connection = _connection(file.get("connection"), path)
    own = {key: getattr(model, f"ssh_{key}", None) for key in KEYS}
    target, folder = _target(host or connection.get("hostname"), port, identity, connection, file, path)
    create_venv = own["create_venv"] if own["create_venv"] is not None else file.get("create_venv", True)
    if not isinstance(create_venv, bool):
        raise RemoteError(f"create_venv can not be {create_venv!r} ({path}): it must be true or false")
    return RemoteSettings(
        target=target,
        remote_dir=folder
        or _text(own, "ssh_", "remote_dir")
        or _text(file, path, "remote_dir")
        or DEFAULT_REMOTE_DIR,
        create_venv=create_venv,
        python=_text(file, path, "python") or DEFAULT_PYTHON,
        package=_text(file, path, "package"),
        environment={
            **environment(file.get("environment"), f"environment in {path}"),
            **environment(own["environment"], "ssh_environment"),
        },
        **{
            key: _list(file.get(key), f"{key} in {path}") + _list(own[key], f"ssh_{key}")
            for key in ("upload_files", "download_files", "startup_cmds", "shutdown_cmds")
        },
    )


def environment(value: Any, where: str) -> dict[str, str]:
    """Return variables that are given as a mapping or as a list of NAME=VALUE.

    Raises:
        RemoteError: it is neither, or a name is none.

    """
    if isinstance(value, Mapping):
        pairs = [(str(name), _scalar(content)) for name, content in value.items()]
    else:
        split = [text.partition("=") for text in _list(value, where)]
        if any(not separator for _, separator, _ in split):
            raise RemoteError(f"{where} can not be used: each entry must be NAME=VALUE")
        pairs = [(name, content) for name, _, content in split]
    for name, content in pairs:
        if not _VARIABLE.fullmatch(name) or "\0" in content:
            raise RemoteError(f"{where} has {name!r}, which can not be the name of an environment variable")
    return dict(pairs)


def _scalar(value: object) -> str:
    return "" if value is None else str(value)


def _target(
    text: str | None,
    port: int | None,
    identity: str | None,
    connection: Mapping[str, Any],
    file: Mapping[str, Any],
    path: Path,
) -> tuple[Target, str | None]:
    if not text:
        raise RemoteError(
            f"No host is given: mltk ssh -h [USER@]HOST ..., or 'hostname' below 'ssh: connection:' in {path}"
        )
    host, user, host_port, folder = parse_host(text)
    target = Target(
        host,
        checked_port(port) if port is not None else host_port,
        user,
        identity,
        _text(file, path, "config_path"),
        tuple((key, value) for key, value in connection.items() if key != "hostname"),
    )
    return target, folder


def _read_file() -> tuple[Mapping[str, Any], Path]:
    path = user_dir() / SETTINGS_FILE
    if not path.is_file():
        return {}, path
    import yaml

    try:
        content = yaml.safe_load(read_bytes(path, "settings file"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise RemoteError(f"{path} is no YAML: {reason}") from error
    section = content.get("ssh") if isinstance(content, dict) else None
    if section is None:
        return {}, path
    return _known(section, KEYS, "ssh", path), path


def _connection(section: Any, path: Path) -> Mapping[str, Any]:
    values = _known(section or {}, _CONNECTION_KEYS, "ssh: connection", path)
    if "port" in values:
        if not isinstance(values["port"], int):
            raise RemoteError(f"The port in {path} can not be {values['port']!r}: it must be a number")
        checked_port(values["port"])
    for key in ("hostname", "username", "key_filename"):
        _text(values, path, key)
    return values


def _known(section: Any, keys: tuple[str, ...], name: str, path: Path) -> Mapping[str, Any]:
    if not isinstance(section, dict):
        raise RemoteError(f"'{name}' in {path} must be a list of settings, such as {keys[0]}: ...")
    try:
        known = KnownKeys(f"'{name}' in {path}", keys, section)
    except ModelError as error:
        raise RemoteError(str(error)) from error
    return {key: value for key, value in known.items() if value is not None}


def _text(section: Mapping[str, Any], where: object, key: str) -> str | None:
    value = section.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip() or "\0" in value):
        raise RemoteError(f"{key} can not be {value!r} ({where}): it must be a text")
    return value


def _list(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise RemoteError(f"{where} can not be {value!r}: it must be a list")
    for entry in value:
        if not isinstance(entry, str) or "\0" in entry:
            raise RemoteError(f"{where} has {entry!r}, which is no text")
    return tuple(value)
