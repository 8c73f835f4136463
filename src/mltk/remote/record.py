"""What is remembered here of a run on another machine, so that a later process can take it up."""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mltk.remote.errors import RemoteError
from mltk.remote.target import Target
from mltk.utils.files import make_folder, read_bytes, write_text
from mltk.utils.path import user_dir


@dataclass(frozen=True)
class RunRecord:
    """A run that was started and not brought home yet.

    Attributes:
        model: the model's name, with '-test' in a dry run.
        command: the command with its arguments, for messages.
        job: its folder's name on the other machine.
        target: the machine.
        python: the Python there that runs the agent.
        work: absolute path of the working folder there.
        remote_archive: the archive's file name there.
        local_archive: where it comes to.
        folder: where relative paths of `download_files` start.
        download_files: what else is brought home.
        needs_archive: a run without an archive is a failure.

    """

    model: str
    command: str
    job: str
    target: Target
    python: str
    work: str
    remote_archive: str
    local_archive: Path
    folder: Path
    download_files: tuple[str, ...]
    needs_archive: bool

    @property
    def log(self) -> Path:
        """The output of the run, byte for byte; its size tells where to go on."""
        return record_folder(self.model) / f"{self.job}.log"

    def save(self) -> None:
        """Remember the run."""
        content: dict[str, Any] = {
            **asdict(self),
            "target": self.target.as_json(),
            "local_archive": str(self.local_archive),
            "folder": str(self.folder),
        }
        write_text(_path(self.model), json.dumps(content, indent=1))

    def forget(self) -> None:
        """The run is brought home, or given up. Its log stays."""
        _path(self.model).unlink(missing_ok=True)


def load_record(model: str) -> RunRecord | None:
    """Return the run of a model that was not brought home yet.

    Raises:
        RemoteError: the file that remembers it is damaged.

    """
    path = _path(model)
    if not path.is_file():
        return None
    try:
        content = json.loads(read_bytes(path, "record of a remote run"))
        content["target"] = Target.from_json(content["target"])
        content["local_archive"] = Path(content["local_archive"])
        content["folder"] = Path(content["folder"])
        content["download_files"] = tuple(content["download_files"])
        return RunRecord(**content)
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteError(f"{path} is damaged: remove it, then start the run anew") from error


def new_job(model: str) -> str:
    """Return a name for the folder of a run: no two are alike."""
    return f"{model}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def record_folder(model: str) -> Path:
    """Return the folder of a model's record and logs; it is made."""
    return make_folder(user_dir() / "models" / model / "ssh")


def _path(model: str) -> Path:
    return user_dir() / "models" / model / "ssh" / "run.json"
