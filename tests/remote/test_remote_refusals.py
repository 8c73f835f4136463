"""Whatever is wrong with the other machine is told in one sentence, with exit code 2."""

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from remote_server import Server, free_port, make_key, public

from mltk.cli.main import main

pytest.importorskip("asyncssh", reason="the extra 'ssh' is not installed")

Refused = Callable[..., str]


@pytest.fixture
def refused(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refused:
    """Run `mltk ssh`, which must be refused; give the sentence."""
    (home / "words.py").write_text("# never run here\n")

    def run_command(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["mltk", "ssh", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capfd.readouterr()
        assert stop.value.code == 2, captured.err
        assert "Traceback" not in captured.err
        told = [line for line in captured.err.splitlines() if not line.startswith("Sending ")]
        assert [line.startswith("mltk: ") for line in told] == [True], captured.err
        assert not (home / ".mltk/models/words/ssh/run.json").exists()
        return told[0]

    return run_command


def change(home: Path, old: str, new: str) -> None:
    settings = home / ".mltk" / "user_settings.yaml"
    text = settings.read_text()
    assert old in text
    settings.write_text(text.replace(old, new))


def test_host_that_does_not_exist(refused: Refused) -> None:
    assert "no machine with the name 'nowhere.invalid'" in refused("-h", "nowhere.invalid", "train", "words")


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_machine_that_hangs_up(reset: bool, refused: Refused) -> None:
    """A connection that is closed and one that is reset are told by the same sentence."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            there, _ = listener.accept()
            there.recv(1)
            if reset:  # to linger for no time: closing sends a reset
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            there.close()

        thread = threading.Thread(target=answer)
        thread.start()
        told = refused("-p", str(listener.getsockname()[1]), "train", "words")
        thread.join()
    assert "hung up: " in told


def test_port_where_nobody_listens(refused: Refused) -> None:
    port = free_port()
    told = refused("-p", str(port), "train", "words")
    assert "127.0.0.1" in told
    assert str(port) in told
    assert "(-p)" in told


def test_key_that_is_not_let_in(refused: Refused, tmp_path: Path) -> None:
    key = make_key(tmp_path / "other_key")
    told = refused("-i", str(key), "train", "words")
    assert "does not let you in" in told
    assert "authorized_keys" in told


def test_key_with_a_passphrase(refused: Refused, tmp_path: Path) -> None:
    key = make_key(tmp_path / "locked_key", passphrase="secret")
    assert f"ssh-add {key}" in refused("-i", str(key), "train", "words")


@pytest.mark.parametrize(("content", "told"), [(None, "no private key at"), ("no key", "not a private key")])
def test_key_file_that_is_none(content: str | None, told: str, refused: Refused, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    sentence = refused("-i", str(tmp_path / "key"), "train", "words")
    assert told in sentence
    assert str(tmp_path / "key") in sentence


def fingerprint(key: Path) -> str:
    listed = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, text=True, check=True)
    return listed.stdout.split()[1]


@pytest.mark.parametrize("known", [None, "", "[127.0.0.2]:22 "])
def test_unknown_host_key(known: str | None, refused: Refused, server: Server, home: Path) -> None:
    file = home / ".ssh" / "known_hosts"
    if known is None:
        file.unlink()
    else:
        file.write_text(known and known + public(server.host_key) + "\n")
    told = refused("train", "words")
    assert "is not known" in told
    assert fingerprint(server.host_key) in told
    assert file.exists() == (known is not None)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_changed_host_key(kind: str, refused: Refused, server: Server, home: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "earlier_host_key", kind=kind)
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {public(other)}\n")
    told = refused("train", "words")
    assert "is not the one in known_hosts" in told
    assert "ssh-keygen -R" in told
    if kind == "ed25519":
        assert fingerprint(server.host_key) in told


def test_revoked_host_key(refused: Refused, server: Server, home: Path) -> None:
    (home / ".ssh" / "known_hosts").write_text(
        f"@revoked * {public(server.host_key)}\n" + server.known_hosts()
    )
    assert "revoked" in refused("train", "words")


def test_check_of_host_keys_can_not_be_turned_off(refused: Refused, home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile none\n")
    assert "UserKnownHostsFile none" in refused("train", "words")
    (home / ".ssh" / "config").write_text(
        "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"
    )
    assert "is not known" in refused("train", "words")


def test_working_folder_that_can_not_be_made(refused: Refused, home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    change(home, f"{tmp_path}/remote", f"{tmp_path}/file/work")
    told = refused("train", "words")
    assert f"{tmp_path}/file" in told
    assert "Not a directory" in told


def test_working_folder_that_is_read_only(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "remote" / ".mltk-ssh").mkdir(parents=True)
    (tmp_path / "remote").chmod(0o555)
    try:
        told = refused("train", "words")
    finally:
        (tmp_path / "remote").chmod(0o755)
    assert f"{tmp_path}/remote" in told


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if (
        not sys.platform.startswith("linux")
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a tmpfs takes the superuser of a Linux machine")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(refused: Refused, full_disk: Path, home: Path, tmp_path: Path) -> None:
    change(home, f"{tmp_path}/remote", str(full_disk))
    (home / "big.bin").write_bytes(os.urandom(400_000))
    with (home / ".mltk" / "user_settings.yaml").open("a") as file:
        file.write("  upload_files: [big.bin]\n")
    assert "No space left" in refused("train", "words")


def test_python_that_is_missing(refused: Refused, home: Path) -> None:
    change(home, sys.executable, "/no/such/python")
    told = refused("train", "words")
    assert "no Python to run" in told
    assert "/no/such/python" in told


def test_python_without_mltk(refused: Refused, home: Path, tmp_path: Path) -> None:
    python = tmp_path / "bare"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    python.chmod(0o755)
    change(home, sys.executable, str(python))
    assert "has no mltk" in refused("train", "words")


def test_python_that_is_too_old(refused: Refused, home: Path, tmp_path: Path) -> None:
    python = tmp_path / "old"
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "sitecustomize.py").write_text("import sys\nsys.version_info = (3, 9, 1)\n")
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/older exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    change(home, sys.executable, str(python))
    told = refused("train", "words")
    assert "is Python 3.9: mltk needs 3.11" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "wordz"], 'did you mean "words"'),
        (["train", "missing.py"], "missing.py"),
        (["evaluate", "words"], "not trained yet"),
        (["classify_audio", "words"], "can not be run on another machine"),
        (["--resume", "words"], "No run of words"),
        (["-h", "a b", "train", "words"], "'a b' can not be used"),
        (["-p", "70000", "train", "words"], "70000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_arguments(arguments: list[str], told: str, refused: Refused) -> None:
    assert told in refused(*arguments)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("hostname: 127.0.0.1", "hostnam: 127.0.0.1", 'did you mean "hostname"'),
        ("hostname: 127.0.0.1", "username: me", "No host is given"),
        ("create_venv: false", "create_venv: perhaps", "create_venv"),
        ("create_venv: false", "create_venv: [", "is no YAML"),
        ("create_venv: false", "create_venv: false\n  upload_files: [nothing*]", "nothing*"),
        ("create_venv: false", "create_venv: false\n  upload_files: [../x]", "'../x'"),
        ("create_venv: false", "create_venv: false\n  download_files: [/etc/x]", "'/etc/x'"),
        ("create_venv: false", "create_venv: false\n  startup_cmds: make it", "must be a list"),
        ("create_venv: false", "create_venv: false\n  environment: [A B]", "NAME=VALUE"),
        ("create_venv: false", "create_venv: false\n  environment: {'A;B': 1}", "'A;B'"),
        ("create_venv: false", "create_venv: false\n  config_path: /no/config", "/no/config"),
    ],
)
def test_settings(old: str, new: str, told: str, refused: Refused, home: Path) -> None:
    change(home, old, new)
    assert told in refused("train", "words")


def test_missing_library(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    assert "pip install 'mltk-audio[ssh]'" in refused("train", "words")
