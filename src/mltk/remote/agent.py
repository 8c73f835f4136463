"""What runs on the other machine: it takes one request, answers, and ends; the runs it starts live on.

The client sends this file's text with every request, so nothing has to be installed there but Python (the standard
library of 3.7 is enough, so that an older Python is told in a sentence). It speaks in frames: a kind (one byte), a
length (four bytes, big end first) and the payload. The client's first frame is the request (JSON); the answer begins
with MAGIC, in front of which a login script may have printed anything:

    D  data: of a log, of a file
    H  nothing new; shows that both sides are still there
    R  the result (JSON), the last frame
    X  an error for the user (JSON), the last frame

Every request may come twice, for the connection may be cut before its answer arrives.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Dict, Optional, Tuple  # noqa: UP035 - an older Python must be able to read this

MAGIC = b"\0mltk-agent-1\n"
STATE = ".mltk-ssh"
PIECE = 1 << 16
POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 5.0
START_SECONDS = 30.0

Json = Dict[str, Any]  # noqa: UP006


class Refusal(Exception):
    """A sentence for the user."""


class Heart:
    """Sends a sign of life during long work, so that a cut is noticed and no proxy hangs up."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def beat(self) -> None:
        """Send the sign when it is time."""
        if time.monotonic() - self.last > HEARTBEAT_SECONDS:
            send(b"H")
            self.last = time.monotonic()


def send(kind: bytes, payload: bytes = b"") -> None:
    """Send a frame."""
    out = sys.stdout.buffer
    out.write(kind + struct.pack(">I", len(payload)) + payload)
    out.flush()


def receive_frame() -> Tuple[bytes, bytes]:  # noqa: UP006
    """Return the next frame's kind and payload; end the program where the client is gone."""
    head = _read_exactly(5)
    return head[:1], _read_exactly(struct.unpack(">I", head[1:])[0])


def _read_exactly(size: int) -> bytes:
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        raise SystemExit(3)
    return data


def file_hash(path: Path, heart: Heart) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while True:
            piece = file.read(1 << 20)
            if not piece:
                return digest.hexdigest()
            digest.update(piece)
            heart.beat()


def below(request: Json, path: str) -> Path:
    """Return where a path leads: relative ones start from the working folder."""
    return Path(request["work"]) / Path(path).expanduser()


def write_whole(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def read_json(path: Path) -> Optional[Json]:  # noqa: UP045
    """Return what a file of ours holds; None where it is missing."""
    try:
        content: Json = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


def job_folder(request: Json) -> Path:
    """Return the folder of a run."""
    return Path(request["work"]) / STATE / str(request["job"])


# --- the state of a run: its supervisor holds a lock as long as it lives, however it ends ---


def is_alive(job: Path) -> bool:
    """Tell whether the supervisor of a run lives."""
    try:
        with (job / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def state_of(job: Path) -> Json:
    """Return the state of a run: running, ended (with its code), gone without a code, or missing."""
    alive = is_alive(job)  # asked first: the code is written before the lock is released
    ended = read_json(job / "exit")
    if ended is not None:
        return {"state": "ended", "code": ended["code"]}
    if alive:
        return {"state": "running"}
    return {"state": "gone" if (job / "pid").exists() else "missing"}


# --- requests ---


def prepare(request: Json) -> Json:
    """Make the working folder; tell what is here."""
    work = Path(request["work"]).expanduser().absolute()
    state = work / STATE
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)
    if not work.stat().st_mode & 0o222:
        raise Refusal(f"Can not write {work}: the folder is read-only")
    probe = state / f"probe-{os.getpid()}"
    write_whole(probe, "x" * 4096)
    probe.unlink()
    answer: Json = {"work": str(work), "python": sys.executable, "version": list(sys.version_info[:2])}
    answer["has_mltk"] = _has_mltk()
    return answer


def _has_mltk() -> bool:
    from importlib.util import find_spec

    # Not a folder that happens to have this name where we stand.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    found = find_spec("mltk")
    return found is not None and found.origin is not None


def compare(request: Json) -> Json:
    """Tell which files are missing or differ, and how much of each a cut upload left here."""
    heart = Heart()
    wanted = []
    for index, entry in enumerate(request["files"]):
        path = below(request, entry["path"])
        same_size = path.is_file() and path.stat().st_size == entry["size"]
        if same_size and file_hash(path, heart) == entry["sha256"]:
            continue
        part = _part(path, entry["sha256"])
        have = part.stat().st_size if part.is_file() else 0
        wanted.append([index, have if have <= entry["size"] else 0])
    return {"wanted": wanted}


def _part(path: Path, sha256: str) -> Path:
    return path.with_name(f".{path.name[:80]}.{sha256[:16]}.part")


def receive(request: Json) -> Json:
    """Take files: for each an F frame (path, size, sha256, offset), then its data; a Z frame ends."""
    count = 0
    heart = Heart()
    while True:
        kind, payload = receive_frame()
        if kind == b"Z":
            return {"files": count}
        entry = json.loads(payload.decode("utf-8"))
        path = below(request, entry["path"])
        part = _part(path, entry["sha256"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("r+b" if entry["offset"] else "wb") as file:
            file.seek(entry["offset"])
            left = entry["size"] - entry["offset"]
            while left > 0:
                data = receive_frame()[1]
                file.write(data)
                left -= len(data)
        if file_hash(part, heart) != entry["sha256"]:
            part.unlink()
            raise Refusal(f"{path} did not arrive as it was sent: was it changed meanwhile? Try again")
        part.replace(path)
        heart.beat()
        count += 1


def start(request: Json) -> Json:
    """Start a run that nothing but its end or a stop ends. Asked again, it is the same run."""
    job = job_folder(request)
    active = job.parent / f"active-{request['model']}"
    with active.with_name(active.name + ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (job / "pid").exists():
            earlier = read_json(active)
            if earlier and is_alive(job.parent / earlier["job"]):
                if not request["force"]:
                    return {"state": "busy", "job": earlier["job"]}
                end(job.parent / earlier["job"])
            write_whole(active, json.dumps({"job": request["job"]}))
            _begin(request, job)
    return state_of(job)


def _begin(request: Json, job: Path) -> None:
    job.mkdir(mode=0o700, exist_ok=True)
    for name, text in request["scripts"].items():
        write_whole(job / name, text)
    archive = below(request, request["archive"])
    before = file_hash(archive, Heart()) if archive.is_file() else None
    write_whole(job / "before", json.dumps({"archive": before}))
    write_whole(job / "agent.py", request["agent"])
    with (job / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, str(job / "agent.py"), "supervise", str(job)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=request["work"],
            start_new_session=True,
        )
    limit = time.monotonic() + START_SECONDS
    while not (job / "pid").exists():
        if time.monotonic() > limit:
            reason = (job / "supervisor.log").read_bytes()[-300:].decode("utf-8", "replace").strip()
            raise Refusal(f"The run did not start: {reason or 'no reason given'}")
        time.sleep(0.05)


def status(request: Json) -> Json:
    """Return the state of a run."""
    return state_of(job_folder(request))


def follow(request: Json) -> Json:
    """Send the log from a byte on, as it grows, until the run has ended."""
    job = job_folder(request)
    heart = Heart()
    if not (job / "log").is_file():
        return state_of(job)
    with (job / "log").open("rb") as log:
        log.seek(request["offset"])
        while True:
            now = state_of(job)  # before the read, so that what is written until the end is sent
            while True:
                data = log.read(PIECE)
                if not data:
                    break
                send(b"D", data)
                heart.last = time.monotonic()
            if now["state"] != "running":
                return now
            heart.beat()
            time.sleep(POLL_SECONDS)


def interrupt(request: Json) -> Json:
    """Do what Ctrl-C at a keyboard here would do."""
    job = job_folder(request)
    if is_alive(job):
        _signal(job, signal.SIGINT)
    return state_of(job)


def kill(request: Json) -> Json:
    """End a run whatever it does."""
    end(job_folder(request))
    return state_of(job_folder(request))


def end(job: Path) -> None:
    """Tell a run to end; after some seconds, end it."""
    if not is_alive(job):
        return
    heart = Heart()
    _signal(job, signal.SIGTERM)
    limit = time.monotonic() + 5.0
    while is_alive(job) and time.monotonic() < limit:
        heart.beat()
        time.sleep(0.1)
    _signal(job, signal.SIGKILL)  # the rest of the group too, such as worker processes
    while is_alive(job) and time.monotonic() < limit + 5.0:
        time.sleep(0.1)


def _signal(job: Path, number: int) -> None:
    pid = read_json(job / "pid")
    if pid:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(pid["group"]), number)


def collect(request: Json) -> Json:
    """Tell which files the run leaves: the archive, and what the patterns find."""
    heart = Heart()
    before = read_json(job_folder(request) / "before") or {}
    archive = below(request, request["archive"])
    answer: Json = {"archive": None, "files": []}
    if archive.is_file():
        answer["archive"] = _described(archive, heart)
        answer["archive"]["changed"] = answer["archive"]["sha256"] != before.get("archive")
    for pattern in request["patterns"]:
        for name in sorted(glob.glob(str(below(request, pattern)), recursive=True)):  # noqa: PTH207 - absolute too
            if Path(name).is_file():
                entry = _described(Path(name), heart)
                relative = os.path.relpath(name, request["work"])
                answer["files"].append({**entry, "pattern": pattern, "name": relative})
    return answer


def _described(path: Path, heart: Heart) -> Json:
    return {"path": str(path), "size": path.stat().st_size, "sha256": file_hash(path, heart)}


def fetch(request: Json) -> Json:
    """Send a file from a byte on."""
    with Path(request["path"]).open("rb") as file:
        file.seek(request["offset"])
        while True:
            data = file.read(PIECE)
            if not data:
                return {}
            send(b"D", data)


def finish(request: Json) -> Json:
    """Run the shutdown commands, once, and send what they print."""
    script = job_folder(request) / "shutdown.sh"
    done = script.with_name("shutdown.sh.done")
    try:
        script.replace(done)
    except FileNotFoundError:
        return {"code": 0}
    with subprocess.Popen(
        [shell(), str(done)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        while True:
            data = os.read(child.stdout.fileno(), PIECE)
            if not data:
                return {"code": child.wait()}
            send(b"D", data)


# --- the supervisor: the parent of a run, in a session of its own ---


def shell() -> str:
    """Return the shell that runs the user's commands."""
    return shutil.which("bash") or "/bin/sh"


def supervise(job: Path) -> None:
    """Run the scripts of a run one after the other and write down how they ended."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by all that is started here
    with (job / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (job / "log").open("ab", buffering=0) as log:
            code = 0
            if (job / "setup.sh").exists():
                # One at a time: runs share the virtual environment.
                with (job.parent / "venv.lock").open("wb") as venv:
                    fcntl.flock(venv, fcntl.LOCK_EX)
                    code = _run(job, "setup.sh", log)
            if code == 0:
                code = _run(job, "command.sh", log)
        write_whole(job / "exit", json.dumps({"code": code, "time": time.time()}))


def _run(job: Path, script: str, log: BinaryIO) -> int:
    child = subprocess.Popen(
        [shell(), str(job / script)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    write_whole(job / "pid", json.dumps({"group": child.pid, "supervisor": os.getpid()}))
    code = child.wait()
    return 128 - code if code < 0 else code


OPERATIONS = {
    "prepare": prepare,
    "compare": compare,
    "receive": receive,
    "start": start,
    "status": status,
    "follow": follow,
    "interrupt": interrupt,
    "kill": kill,
    "collect": collect,
    "fetch": fetch,
    "finish": finish,
}


def serve() -> None:
    """Answer the one request on standard input."""
    try:
        sys.stdout.buffer.write(MAGIC)
        request = json.loads(receive_frame()[1].decode("utf-8"))
        send(b"R", json.dumps(OPERATIONS[request["op"]](request)).encode("utf-8"))
    except Refusal as error:
        send(b"X", json.dumps({"message": str(error)}).encode("utf-8"))
    except BrokenPipeError:
        os._exit(3)  # the client is gone
    except OSError as error:
        text = f"{error.filename or 'The system refused'}: {error.strerror or error}"
        send(b"X", json.dumps({"message": text}).encode("utf-8"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["supervise"]:
        supervise(Path(sys.argv[2]))
    else:
        serve()
