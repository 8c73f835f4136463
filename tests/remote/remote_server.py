"""A real OpenSSH server of this user on this machine, and a line in front of it that can be cut."""

import contextlib
import os
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SSHD = "/usr/sbin/sshd"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path), "-C", "test"]
    subprocess.run(command, check=True)
    return path


def public(key: Path) -> str:
    return " ".join(key.with_name(key.name + ".pub").read_text().split()[:2])


@dataclass
class Server:
    """A running sshd."""

    folder: Path
    port: int
    host_key: Path
    key: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nLogLevel VERBOSE\nMaxStartups 100\n"
            f"SetEnv HOME={self.folder}/home\n"
        )
        command = [SSHD, "-D", "-e", "-f", str(config), "-h", str(self.host_key), "-p", str(self.port)]
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, stdin=subprocess.DEVNULL)
        limit = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if time.monotonic() > limit or self.process.poll() is not None:
                pytest.fail(f"sshd does not start: {(self.folder / 'sshd.log').read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def connections(self) -> list[int]:
        """Process ids of the sshd children, one or two a connection."""
        assert self.process is not None
        command = ["pgrep", "-P", str(self.process.pid)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]

    def known_hosts(self, port: int | None = None) -> str:
        return f"[127.0.0.1]:{port or self.port} {public(self.host_key)}\n"


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    """Start a server with keys of its own; skip where there is none to start."""
    if not Path(SSHD).exists() or shutil.which("ssh-keygen") is None:
        pytest.skip(f"no OpenSSH server at {SSHD} (Debian: apt-get install openssh-server)")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # for its unprivileged half
    host_key = make_key(folder / "host_key")
    key = make_key(folder / "user_key")
    (folder / "authorized_keys").write_text(public(key) + "\n")
    (folder / "home").mkdir()
    server = Server(folder, free_port(), host_key, key)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Line:
    """A TCP line to a server that can be cut, closed and stopped from carrying anything."""

    target: int
    port: int = 0
    cut_after: int | None = None  # bytes that come back until the line is cut by itself
    carried: int = 0
    connections: int = 0
    frozen: bool = False
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)
    _listener: socket.socket | None = None
    _stopping: bool = False

    def open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._listener = listener

    def cut(self) -> None:
        """Cut what is connected; new connections go through."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut, and refuse new connections until `open`."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        self.cut()

    def serve(self) -> None:
        while not self._stopping:
            listener = self._listener
            if listener is None:
                time.sleep(0.02)
                continue
            listener.settimeout(0.05)
            with contextlib.suppress(OSError):
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self.connections += 1
                self._pairs.append((near, far))
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        selector = selectors.DefaultSelector()
        near.settimeout(None)
        selector.register(near, selectors.EVENT_READ, far)
        selector.register(far, selectors.EVENT_READ, near)
        with contextlib.suppress(OSError), near, far:
            while True:
                for key, _ in selector.select():
                    while self.frozen:
                        time.sleep(0.02)
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
                    if key.fileobj is far:
                        self.carried += len(data)
                        if self.cut_after is not None and self.carried >= self.cut_after:
                            self.cut_after = None
                            return

    def end(self) -> None:
        self._stopping = True
        self.frozen = False
        self.close()


@contextlib.contextmanager
def line_to(server: Server) -> Iterator[Line]:
    line = Line(server.port)
    line.open()
    thread = threading.Thread(target=line.serve)
    thread.start()
    try:
        yield line
    finally:
        line.end()
        thread.join()
