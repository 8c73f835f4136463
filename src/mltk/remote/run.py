"""`mltk ssh`: send a model, run a command on it on another machine, show it, bring the archive home."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mltk.models.archive import MAX_TOTAL_SIZE, TEST_SUFFIX, ModelArchive
from mltk.models.checks import check_name
from mltk.models.loading import load_mltk_model
from mltk.models.model import archive_folder, archive_name
from mltk.models.search import FoundModel, find_archive, find_model
from mltk.remote.console import Console
from mltk.remote.errors import RemoteError
from mltk.remote.files import download_patterns, downloads, uploads
from mltk.remote.record import RunRecord, load_record, new_job
from mltk.remote.scripts import Package, scripts
from mltk.remote.session import AGENT, Session, described
from mltk.remote.settings import RemoteSettings, load_settings
from mltk.utils.errors import ArchiveError, ModelError
from mltk.utils.logging import get_mltk_logger
from mltk.utils.text import printable

# Commands whose work is worth sending; the others show something or listen.
COMMANDS = ("train", "quantize", "evaluate", "profile", "summarize")
_NEED_ARCHIVE = ("quantize", "evaluate", "profile", "summarize")
MIN_PYTHON = (3, 11)
INTERRUPTED = 130


@dataclass(frozen=True)
class RemoteCommand:
    """A command for the other machine.

    Attributes:
        name: one of COMMANDS.
        arguments: all that follows it.
        model_index: which of the arguments is the model.
        test: the dry run is meant.

    """

    name: str
    arguments: tuple[str, ...]
    model_index: int
    test: bool = False

    @property
    def model(self) -> str:
        """The model as the user named it."""
        return self.arguments[self.model_index]

    def on(self, model: str) -> list[str]:
        """Return mltk's arguments with the model's name on the other machine."""
        arguments = list(self.arguments)
        arguments[self.model_index] = model
        return [self.name, *arguments]


def run_remote(
    command: RemoteCommand,
    host: str | None = None,
    port: int | None = None,
    identity: str | None = None,
    force: bool = False,
    wait: bool = True,
) -> int:
    """Run a command on another machine and bring home what it makes.

    Args:
        command: what to run on which model.
        host: the machine, as `load_settings` takes it.
        port: its TCP port.
        identity: path of a private key.
        force: end and give up an earlier run of this model that is not brought home.
        wait: show the output until the end; otherwise leave the run to itself.

    Returns:
        The command's exit code; 0 where it is left to itself, 130 where Ctrl-C did that.

    Raises:
        RemoteError: the machine can not be reached or used, or sends something else than it should.
        ModelError: there is no such model, or it is not trained yet.

    """
    found = _find(command)
    name = check_name("The model's name", found.name)
    settings = load_settings(host, port, identity, _specification(found))
    label = name + (TEST_SUFFIX if found.test else "")
    earlier = load_record(label)
    if earlier is not None and not force:
        raise RemoteError(
            f"A run of {label} on {earlier.target.host} is not brought home yet: mltk ssh --resume {label}, or "
            "--force to give it up"
        )
    with Session(settings.target, settings.python) as session:
        if earlier is not None:
            _give_up(session, earlier)
        record = _start(session, settings, command, found, label, force)
        if not wait:
            get_mltk_logger().info(
                "It runs on %s; bring it home with: mltk ssh --resume %s", settings.target.host, label
            )
            return 0
        return _bring_home(session, record)


def resume_remote(
    model: str,
    host: str | None = None,
    port: int | None = None,
    identity: str | None = None,
    wait: bool = True,
) -> int:
    """Take up a run that another process started: show the rest of its output, bring home what it made.

    Args:
        model: its name; a path or a dry run's name with '-test' too.
        host: where the machine is now, if not where it was.
        port: its TCP port now.
        identity: path of a private key, if another one.
        wait: until the run ends; otherwise only tell whether it still runs.

    Returns:
        The command's exit code; 0 where it is still running and `wait` is False.

    Raises:
        RemoteError: no such run is known here, or it is gone.

    """
    label = model if _is_name(model) else _label(model)
    record = load_record(label)
    if record is None:
        raise RemoteError(
            f"No run of {label} on another machine waits to be brought home: start one with mltk ssh train {label}"
        )
    if host is not None or port is not None or identity is not None:
        target = load_settings(host or record.target.host, port, identity).target
        record = replace(record, target=target)
    with Session(record.target, record.python) as session:
        if not wait:
            state = session.call("status", {"work": record.work, "job": record.job})["state"]
            if state == "running":
                get_mltk_logger().info("%s still runs on %s", record.command, record.target.host)
                return 0
        return _bring_home(session, record)


def _is_name(model: str) -> bool:
    """Tell whether a text is the name of a model as records have it, not a path."""
    return Path(model).name == model and Path(model).suffix not in (".py", ".zip")


def _label(model: str) -> str:
    found = find_model(model)
    return found.name + (TEST_SUFFIX if found.test else "")


def _find(command: RemoteCommand) -> FoundModel:
    found = find_model(command.model, command.test)
    if found.kind == "tflite":
        raise ModelError(f"{found.path} is a .tflite: give the model's specification or its archive")
    return found


def _specification(found: FoundModel) -> object:
    """Run the specification if it has settings for us: it is the user's own, and will be run there anyway."""
    if found.kind == "specification" and b"ssh_" in found.path.read_bytes():
        return load_mltk_model(found.path)
    return None


# --- starting ---


def _start(
    session: Session,
    settings: RemoteSettings,
    command: RemoteCommand,
    found: FoundModel,
    label: str,
    force: bool,
) -> RunRecord:
    folder = found.path.resolve().parent
    record = RunRecord(
        model=label,
        command=f"mltk {command.name} {command.model}",
        job=new_job(label),
        target=settings.target,
        python=settings.python,
        work="",
        remote_archive=archive_name(found.name, found.test),
        local_archive=_local_archive(found),
        folder=folder if found.kind == "specification" else Path.cwd(),
        download_files=settings.download_files,
        needs_archive=command.name == "train",
    )
    download_patterns(settings.download_files)  # a mistake is told now, not after the training
    files = [*_model_files(found, command, record), *uploads(settings.upload_files, record.folder)]
    package, wheel = _package(settings)
    files += wheel
    work = _prepare(session, settings)
    record = replace(record, work=work)
    session.upload(work, files)
    model = found.path.name + (TEST_SUFFIX if found.test and not found.path.name.endswith(".zip") else "")
    request = {
        "work": work,
        "job": record.job,
        "model": label,
        "archive": record.remote_archive,
        "scripts": scripts(settings, work, command.on(model), package),
        "agent": AGENT.read_text(encoding="utf-8"),
        "force": force,
    }
    _launch(session, record, request)
    return record


def _launch(session: Session, record: RunRecord, request: dict[str, Any]) -> None:
    record.save()  # before: whatever happens now, the run can be taken up
    try:
        state = session.call("start", request)
    except RemoteError:
        record.forget()
        raise
    if state["state"] == "busy":
        record.forget()
        raise RemoteError(
            f"A run of {record.model} that is not known here is active on {record.target.host} "
            f"({printable(str(state['job']))}): --force ends it"
        )


def _prepare(session: Session, settings: RemoteSettings) -> str:
    host = settings.target.host
    told = session.call("prepare", {"work": settings.remote_dir})
    version = tuple(int(number) for number in told["version"])
    if version < MIN_PYTHON:
        raise RemoteError(
            f"{settings.python} on {host} is Python {'.'.join(map(str, version))}: mltk needs "
            f"{'.'.join(map(str, MIN_PYTHON))}; set 'python' below 'ssh' in user_settings.yaml to a newer one"
        )
    if not settings.create_venv and not told["has_mltk"]:
        raise RemoteError(
            f"{told['python']} on {host} has no mltk: install mltk-audio there, or set create_venv to true"
        )
    return str(told["work"])


def _model_files(found: FoundModel, command: RemoteCommand, record: RunRecord) -> list[tuple[Path, str]]:
    files = [(found.path, found.path.name)]
    if found.kind == "specification" and command.name in _NEED_ARCHIVE:
        archive = find_archive(found.path, found.test)
        files.append((archive, record.remote_archive))
    return files


def _local_archive(found: FoundModel) -> Path:
    if found.kind == "archive":
        return found.path.resolve()
    return archive_folder(found.path.resolve()) / archive_name(found.name, found.test)


def _package(settings: RemoteSettings) -> tuple[Package | None, list[tuple[Path, str]]]:
    """Return what pip is to install there, and the wheel to send for it."""
    if not settings.create_venv:
        return None, []
    if settings.package is None:
        from mltk import __version__

        requirement = f"mltk-audio[train]=={__version__}"
        return Package(requirement, requirement), []
    if not settings.package.endswith((".whl", ".tar.gz")):
        return Package(settings.package, settings.package), []
    wheel = Path(settings.package).expanduser()
    remote = f".mltk-ssh/{wheel.name}"
    stamp = described(wheel, remote)["sha256"]
    return Package(f"./{remote}[train]", stamp, is_file=True), [(wheel, remote)]


def _give_up(session: Session, earlier: RunRecord) -> None:
    if earlier.target == session.target:
        session.call("kill", {"work": earlier.work, "job": earlier.job})
    else:
        get_mltk_logger().warning(
            "The run of %s on %s is given up; if it still runs there, it goes on",
            earlier.model,
            earlier.target.host,
        )
    earlier.forget()


# --- following and bringing home ---


def _bring_home(session: Session, record: RunRecord) -> int:
    state = _follow(session, record)
    if state is None:
        return INTERRUPTED
    if state["state"] != "ended":
        record.forget()
        raise RemoteError(
            f"'{record.command}' on {record.target.host} ended without an exit code: the machine was restarted, or "
            f"it was killed; what it printed is in {record.log}"
        )
    code = int(state["code"])
    try:
        has_archive = _fetch(session, record)
        _shut_down(session, record)
    except KeyboardInterrupt:
        _tell_how_to_resume(record)
        return INTERRUPTED
    record.forget()
    if code:
        get_mltk_logger().error("%s on %s ended with exit code %d", record.command, record.target.host, code)
    elif record.needs_archive and not has_archive:
        raise RemoteError(
            f"'{record.command}' on {record.target.host} made no archive; what it printed is in {record.log}"
        )
    return code


def _tell_how_to_resume(record: RunRecord) -> None:
    get_mltk_logger().warning(
        "Left to itself on %s; take it up again with: mltk ssh --resume %s", record.target.host, record.model
    )


def _follow(session: Session, record: RunRecord) -> dict[str, Any] | None:
    """Show the output until the end; None where Ctrl-C left the run to itself."""
    console = Console()
    interrupted = False
    where = {"work": record.work, "job": record.job}
    with record.log.open("ab") as log:

        def rest() -> dict[str, Any]:
            return {**where, "offset": log.tell()}

        def show(data: bytes) -> None:
            log.write(data)
            log.flush()  # a client that is killed goes on after what it showed
            console.write(data)

        while True:
            try:
                state = session.call("follow", rest, sink=show)
                console.flush()
                return state
            except KeyboardInterrupt:
                console.flush()
                if interrupted or not _interrupt(session, where, record):
                    _tell_how_to_resume(record)
                    return None
                interrupted = True


def _interrupt(session: Session, where: dict[str, str], record: RunRecord) -> bool:
    """Hand Ctrl-C on; tell whether that went through."""
    if not session.is_connected:
        return False
    get_mltk_logger().warning(
        "Ctrl-C is handed on to %s, which ends there as it would here; Ctrl-C again leaves it to itself",
        record.command,
    )
    try:
        session.call("interrupt", where, again=False)
    except (RemoteError, KeyboardInterrupt):
        return False
    return True


def _fetch(session: Session, record: RunRecord) -> bool:
    """Bring the files home; tell whether an archive was among them."""
    logger = get_mltk_logger()
    host = record.target.host
    answer = session.call(
        "collect",
        {
            "work": record.work,
            "job": record.job,
            "archive": record.remote_archive,
            "patterns": download_patterns(record.download_files),
        },
    )
    archive = answer["archive"]
    if archive is not None and archive["changed"]:
        if int(archive["size"]) > MAX_TOTAL_SIZE:
            raise RemoteError(
                f"The archive on {host} has {archive['size']} bytes: too many for a model archive"
            )
        session.download(archive, record.local_archive, _check_archive)
        logger.info("Archive: %s", record.local_archive)
    for entry, target in downloads(record.download_files, answer["files"], record.folder):
        session.download(entry, target)
        logger.info("Fetched: %s", target)
    logger.info("Output: %s", record.log)
    return archive is not None and bool(archive["changed"])


def _check_archive(path: Path) -> None:
    try:
        ModelArchive(path)
    except ArchiveError as error:
        raise RemoteError(
            f"What came is not a model archive, the one here is left as it is: {error}"
        ) from error


def _shut_down(session: Session, record: RunRecord) -> None:
    console = Console()
    try:
        where = {"work": record.work, "job": record.job}
        code = session.call("finish", where, sink=console.write, again=False)["code"]
    except RemoteError as error:  # they may switch the machine off
        get_mltk_logger().info("While the shutdown commands ran: %s", error)
        return
    finally:
        console.flush()
    if code != 0:
        get_mltk_logger().warning("The shutdown commands ended with %s", code)
