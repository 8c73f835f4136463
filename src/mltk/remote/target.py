"""Which machine is meant, and how it is reached."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from mltk.remote.errors import RemoteError

_HOST = re.compile(
    r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^@/:\s\[\]]+)(?::(?P<port>\d+))?(?P<path>/\S.*|/)?"
)


@dataclass(frozen=True)
class Target:
    """A machine to connect to. What is None comes from ~/.ssh/config, then from the settings file.

    Attributes:
        host: name, address, or an alias of ~/.ssh/config.
        port: TCP port.
        user: login name.
        identity: path of a private key on this machine.
        config_path: another file in the place of ~/.ssh/config.
        defaults: port, username and key_filename that count where ~/.ssh/config has none.

    """

    host: str
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    config_path: str | None = None
    defaults: tuple[tuple[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the target as JSON takes it."""
        return {**asdict(self), "defaults": dict(self.defaults)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Target":
        """Return what `as_json` wrote."""
        return cls(**{**content, "defaults": tuple(dict(content["defaults"]).items())})


def parse_host(text: str) -> tuple[str, str | None, int | None, str | None]:
    """Split [USER@]HOST[:PORT][/PATH], the reference toolkit's form (docs/guides/model_training_via_ssh.md).

    Returns:
        Host, user, port and remote folder. The folder is below the home folder there (`host/work` is `work`),
        or absolute after a second slash (`host//data/work`).

    Raises:
        RemoteError: the text is nothing of this form.

    """
    match = _HOST.fullmatch(text)
    if match is None or match["host"].startswith("-"):
        raise RemoteError(f"The host '{text}' can not be used: give it as [USER@]HOST[:PORT][/FOLDER]")
    port = None if match["port"] is None else checked_port(int(match["port"]))
    folder = (match["path"] or "")[1:] or None
    return match["host"].strip("[]"), match["user"], port, folder


def checked_port(port: int) -> int:
    """Return a TCP port.

    Raises:
        RemoteError: there is no such port.

    """
    if not 0 < port < 65536:
        raise RemoteError(f"The port {port} can not be used: it must be from 1 to 65535")
    return port
