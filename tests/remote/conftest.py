"""A server for the whole folder; a home folder of its own for every test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from remote_server import Line, Server, line_to, sshd

from mltk.cli.main import main
from mltk.remote import session

# The other machine is a POSIX one, and here it is this one.
collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The client's home folder and working folder; no keys, no agent, nobody known."""
    folder = tmp_path / "client"
    (folder / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("MLTK_CACHE_DIR", str(folder / ".mltk"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(session, "DELAYS", (0.1, 0.2, 0.3))
    return folder


@pytest.fixture
def server(running_server: Server, home: Path, tmp_path: Path) -> Server:
    """The server, known to the client, that runs this Python without a virtual environment."""
    (home / ".ssh" / "known_hosts").write_text(running_server.known_hosts())
    (home / ".mltk").mkdir()
    (home / ".mltk" / "user_settings.yaml").write_text(
        f"ssh:\n  create_venv: false\n  python: {sys.executable}\n  remote_dir: {tmp_path}/remote\n"
        f"  connection:\n    hostname: 127.0.0.1\n    port: {running_server.port}\n"
        f"    key_filename: {running_server.key}\n"
    )
    return running_server


@pytest.fixture
def line(server: Server, home: Path) -> Iterator[Line]:
    """A line to the server that can be cut; the settings lead through it."""
    with line_to(server) as made:
        settings = home / ".mltk" / "user_settings.yaml"
        settings.write_text(settings.read_text().replace(str(server.port), str(made.port)))
        (home / ".ssh" / "known_hosts").write_text(server.known_hosts(made.port))
        yield made


@pytest.fixture
def run(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run `mltk ssh` in this process; give exit code, output and messages."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mltk", "ssh", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capfd.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run_command
