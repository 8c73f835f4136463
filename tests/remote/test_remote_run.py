"""`mltk ssh` against a real server, with a stand-in for the training there."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from remote_server import Line, Server

from mltk.remote import connection

pytest.importorskip("asyncssh", reason="the extra 'ssh' is not installed")

STUB = Path(__file__).with_name("remote_stub.py")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The working folder on the other machine."""
    return tmp_path / "remote"


@pytest.fixture
def stub(server: Server, home: Path, tmp_path: Path) -> Path:
    """A Python on the other machine whose mltk is the stand-in; a specification here."""
    package = tmp_path / "there" / "mltk" / "cli"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "main.py").write_text(STUB.read_text())
    python = tmp_path / "there" / "py thon"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}/there" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    settings = home / ".mltk" / "user_settings.yaml"
    settings.write_text(settings.read_text().replace(sys.executable, str(python)))
    (home / "words.py").write_text("# never run here\n")
    return python


def add_settings(home: Path, text: str) -> None:
    with (home / ".mltk" / "user_settings.yaml").open("a") as file:
        file.write(text)


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as source:
        return {name: source.read(name) for name in source.namelist()}


def epochs_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^epoch (\d+)$", text, re.MULTILINE)]


def test_train_shows_the_output_and_brings_the_archive_home(
    stub: Path, run: Run, home: Path, work: Path
) -> None:
    code, out, err = run("train", "words", "--epochs", "4", "--dataset", "/there/a b;'c")
    assert code == 0, err
    assert epochs_in(out) == [0, 1, 2, 3]
    arguments = ["train", "words.py", "--epochs", "4", "--dataset", "/there/a b;'c"]
    assert f"cwd {work} arguments {arguments}" in out
    assert members(home / "words.mltk.zip") == {"words.py": b"# trained\n", "train/log.txt": b"4 epochs\n"}
    assert (work / "words.py").read_text() == "# never run here\n"
    log = next((home / ".mltk/models/words/ssh").glob("*.log"))
    assert log.read_text() == out
    assert not (home / ".mltk/models/words/ssh/run.json").exists()


def test_host_on_the_command_line_with_folder(
    stub: Path, run: Run, server: Server, home: Path, tmp_path: Path
) -> None:
    user = os.environ.get("USER") or "root"
    where = f"{user}@127.0.0.1:{server.port}/{tmp_path}/other"
    code, out, err = run("-h", where, "-i", str(server.key), "train", "words-test", "--no-wait")
    assert code == 0, err
    assert "--resume words-test" in err
    code, out, err = run("--resume", "words-test")
    assert code == 0, err
    assert epochs_in(out) == [0, 1, 2]
    assert (home / "words-test.mltk.zip").exists()
    assert (tmp_path / "other" / "words.py").exists()


def test_alias_of_the_ssh_configuration(stub: Path, run: Run, server: Server, home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host chip\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentityFile {server.key}\n  ForwardAgent yes\n"
    )
    settings = home / ".mltk" / "user_settings.yaml"
    settings.write_text(re.sub(r"  connection:(\n    .*)*\n", "", settings.read_text()))
    code, out, err = run("-h", "chip", "train", "words")
    assert code == 0, err
    assert epochs_in(out) == [0, 1, 2]


def test_exit_code_is_passed_through(stub: Path, run: Run, home: Path) -> None:
    code, out, _ = run("train", "words", "--seed", "7")
    assert code == 7
    assert epochs_in(out) == [0, 1, 2]
    assert (home / "words.mltk.zip").exists()  # it had changed, so it comes home


def test_what_is_no_archive_does_not_replace_one(stub: Path, run: Run, home: Path) -> None:
    (home / "words.mltk.zip").write_bytes(b"the earlier one")
    code, _, err = run("train", "words", "--seed", "8")
    assert code == 2
    assert "not a model archive" in err
    assert (home / "words.mltk.zip").read_bytes() == b"the earlier one"
    assert sorted(path.name for path in home.iterdir() if not path.name.startswith(".ssh")) == [
        ".mltk",
        "words.mltk.zip",
        "words.py",
    ]


def test_evaluation_takes_the_archive_there_and_leaves_an_unchanged_one(
    stub: Path, run: Run, home: Path, work: Path
) -> None:
    code, _, err = run("train", "words")
    assert code == 0, err
    before = (home / "words.mltk.zip").stat().st_mtime_ns
    (work / "words.mltk.zip").write_bytes(b"what another run left there")
    code, out, err = run("evaluate", "words", "--tflite", "--count", "4")
    assert code == 0, err
    assert "['evaluate', 'words.py', '--tflite', '--count', '4']" in out
    assert (work / "words.mltk.zip").read_bytes() == (home / "words.mltk.zip").read_bytes()
    assert (home / "words.mltk.zip").stat().st_mtime_ns == before
    code, out, err = run("summarize", "words.mltk.zip")
    assert code == 0, err
    assert "['summarize', 'words.mltk.zip']" in out


def test_training_that_makes_no_archive(stub: Path, run: Run) -> None:
    code, _, err = run("train", "words", "--seed", "9")
    assert code == 2
    assert "made no archive" in err


def test_upload_download_environment_and_commands(
    stub: Path, run: Run, home: Path, work: Path, tmp_path: Path
) -> None:
    (home / "data" / "yes").mkdir(parents=True)
    for index in range(3):
        (home / "data" / "yes" / f"a {index}'.wav").write_bytes(bytes([index]) * (1000 * index))
    (home / "note.txt").write_text("note")
    (home / "words.py").write_text(
        "from mltk.core import MltkModel, SshMixin\n"
        "class M(MltkModel, SshMixin):\n    pass\n"
        "my_model = M()\n"
        "my_model.ssh_upload_files = ['data', f'note.txt|sub dir/no$te']\n"
        "my_model.ssh_download_files = ['logs/**/*.txt', f'{__file__}.absolute|x'][:1] + ['one.txt|here/two.txt']\n"
        "my_model.ssh_environment = ['VALUE=a b\"$HOME\\'']\n"
        "my_model.ssh_startup_cmds = ['mkdir -p logs/deep; echo deep > logs/deep/a.txt', 'export VALUE2=2',\n"
        "    'echo $VALUE2 > one.txt; ls data/yes']\n"
        "my_model.ssh_shutdown_cmds = [f'echo shut down $VALUE > shut.txt', 'echo bye']\n"
    )
    code, out, err = run("train", "words")
    assert code == 0, err
    assert "Sending 5 of 5 files" in err
    assert "a 0'.wav\na 1'.wav\na 2'.wav\n" in out
    assert "VALUE a b\"$HOME'" in out
    assert (work / "sub dir" / "no$te").read_text() == "note"
    assert (home / "logs" / "deep" / "a.txt").read_text() == "deep\n"
    assert (home / "here" / "two.txt").read_text() == "2\n"
    assert (work / "shut.txt").read_text() == "shut down a b\"$HOME'\n"
    assert out.endswith("bye\n")
    (home / "data" / "yes" / "a 1'.wav").write_bytes(b"new")
    code, _, err = run("train", "words")
    assert code == 0, err
    assert "Sending 1 of 5 files" in err


def test_startup_command_that_fails_ends_the_run(stub: Path, run: Run, home: Path) -> None:
    add_settings(home, "  startup_cmds: ['true', 'ls /no/such/folder']\n")
    code, out, _ = run("train", "words")
    assert code == 2
    assert "startup command failed: ls /no/such/folder" in out
    assert not epochs_in(out)


# --- cuts ---


def when(condition: Callable[[], bool], action: Callable[[], None]) -> threading.Thread:
    def watch() -> None:
        limit = time.monotonic() + 30
        while not condition() and time.monotonic() < limit:
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def log_of(home: Path) -> str:
    logs = list((home / ".mltk/models/words/ssh").glob("*.log"))
    return logs[0].read_text() if logs else ""


def remote_log(work: Path) -> str:
    logs = list((work / ".mltk-ssh").glob("*/log"))
    return logs[0].read_text() if logs else ""


def test_killed_server_process_loses_no_line(
    stub: Path, server: Server, run: Run, home: Path, work: Path
) -> None:
    def kill() -> None:
        for pid in server.connections():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    thread = when(lambda: "epoch 00010" in remote_log(work), kill)
    code, out, err = run("train", "words", "--epochs", "60")
    thread.join()
    assert code == 0, err
    assert "trying again" in err
    assert "Connected again" in err
    assert epochs_in(out) == list(range(60))
    assert (home / "words.mltk.zip").exists()


def test_line_that_stays_down_for_a_while(stub: Path, line: Line, run: Run, home: Path, work: Path) -> None:
    def down() -> None:
        line.close()
        time.sleep(0.8)
        line.open()

    thread = when(lambda: "epoch 00010" in remote_log(work), down)
    code, out, err = run("train", "words", "--epochs", "60")
    thread.join()
    assert code == 0, err
    assert err.count("trying again") >= 2
    assert "refuses connections" in err
    assert epochs_in(out) == list(range(60))


def test_line_that_carries_nothing_is_noticed(
    stub: Path, line: Line, run: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_SECONDS", 0.3)
    monkeypatch.setattr(connection, "KEEPALIVE_COUNT", 2)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(connection, "LOGIN_SECONDS", 1.0)

    def freeze() -> None:
        line.frozen = True
        time.sleep(2.0)
        line.cut()
        line.frozen = False

    thread = when(lambda: "epoch 00010" in remote_log(work), freeze)
    code, out, err = run("train", "words", "--epochs", "60")
    thread.join()
    assert code == 0, err
    assert "trying again" in err
    assert epochs_in(out) == list(range(60))


@pytest.mark.parametrize("cut_after", [1000, 2500, 6000, 12_000, 100_000, 400_000, 1_000_000])
def test_cut_at_any_time(cut_after: int, stub: Path, line: Line, run: Run, home: Path, work: Path) -> None:
    """While logging in (an error), sending, starting, following, fetching."""
    (home / "big.bin").write_bytes(os.urandom(3_000_000))
    add_settings(
        home,
        "  upload_files: [big.bin]\n  download_files: ['back.bin']\n  startup_cmds: ['cp big.bin back.bin']\n",
    )
    line.cut_after = cut_after
    code, out, err = run("train", "words")
    if cut_after == 1000:
        assert code == 2
        assert "hung up" in err
        return
    assert code == 0, err
    assert "trying again" in err
    assert epochs_in(out) == [0, 1, 2]
    assert (home / "back.bin").read_bytes() == (home / "big.bin").read_bytes()
    assert members(home / "words.mltk.zip")["train/log.txt"] == b"3 epochs\n"


def test_cut_upload_goes_on_where_it_was(stub: Path, line: Line, run: Run, home: Path, work: Path) -> None:
    (home / "big.bin").write_bytes(os.urandom(20_000_000))
    add_settings(home, "  upload_files: [big.bin]\n")
    thread = when(
        lambda: any(path.stat().st_size > 3_000_000 for path in work.glob(".big.bin.*.part")), line.cut
    )
    code, _, err = run("train", "words")
    thread.join()
    assert code == 0, err
    assert "trying again" in err
    assert (work / "big.bin").read_bytes() == (home / "big.bin").read_bytes()
    assert not list(work.glob("*.part"))


# --- another process takes the run up; Ctrl-C ---


def start_process(home: Path, *arguments: str) -> subprocess.Popen[str]:
    code = (
        "from mltk.remote import session; session.DELAYS = (0.1, 0.2);from mltk.cli.main import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "ssh", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_killed_client_is_taken_up_by_another(stub: Path, run: Run, home: Path, work: Path) -> None:
    client = start_process(home, "train", "words", "--epochs", "100")
    wait_for(lambda: "epoch 00010" in log_of(home))
    client.kill()
    first = client.communicate()[0]
    code, _, err = run("train", "words")
    assert code == 2
    assert "mltk ssh --resume words" in err
    code, out, err = run("--resume", "words")
    assert code == 0, err
    assert epochs_in(log_of(home)) == list(range(100))
    assert epochs_in(out)[-1] == 99
    assert 10 in epochs_in(first)
    assert members(home / "words.mltk.zip")["train/log.txt"] == b"100 epochs\n"


def test_first_interrupt_ends_the_run_there_and_brings_it_home(stub: Path, home: Path, work: Path) -> None:
    client = start_process(home, "train", "words", "--epochs", "1000")
    wait_for(lambda: "epoch 00010" in log_of(home))
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=120)
    assert client.returncode == 0, err
    assert "stopped early" in out
    assert "Ctrl-C is handed on" in err
    assert len(epochs_in(out)) < 500
    assert (home / "words.mltk.zip").exists()


def test_interrupt_without_a_connection_leaves_the_run_to_itself(
    stub: Path, line: Line, run: Run, home: Path, work: Path
) -> None:
    client = start_process(home, "train", "words", "--epochs", "100")
    wait_for(lambda: "epoch 00010" in log_of(home))
    line.close()
    assert client.stderr is not None
    while "trying again" not in client.stderr.readline():
        pass
    client.send_signal(signal.SIGINT)
    _, err = client.communicate(timeout=120)
    assert client.returncode == 130
    assert "mltk ssh --resume words" in err
    line.open()
    code, _, err = run("--resume", "words")
    assert code == 0, err
    assert epochs_in(log_of(home)) == list(range(100))


def test_second_interrupt_leaves_the_run_to_itself(stub: Path, run: Run, home: Path, work: Path) -> None:
    package = stub.parent / "mltk" / "cli" / "main.py"
    package.write_text(package.read_text().replace("stopped = True", "print('no', flush=True)"))
    client = start_process(home, "train", "words", "--epochs", "150")
    wait_for(lambda: "epoch 00010" in log_of(home))
    client.send_signal(signal.SIGINT)
    wait_for(lambda: "no\n" in log_of(home))
    client.send_signal(signal.SIGINT)
    _, err = client.communicate(timeout=120)
    assert client.returncode == 130, err
    assert "mltk ssh --resume words" in err
    code, _, err = run("--resume", "words")
    assert code == 0, err
    assert epochs_in(log_of(home)) == list(range(150))


def test_force_ends_the_earlier_run(stub: Path, run: Run, home: Path, work: Path) -> None:
    code, _, err = run("--no-wait", "train", "words", "--epochs", "100000")
    assert code == 0, err
    code, _, err = run("--resume", "--no-wait", "words")
    assert code == 0
    assert "still runs" in err
    code, out, err = run("--force", "train", "words", "--epochs", "5")
    assert code == 0, err
    assert epochs_in(out) == list(range(5))
    with contextlib.suppress(FileNotFoundError):
        (home / ".mltk/models/words/ssh/run.json").unlink()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "--epochs 100000" not in listed


def test_run_of_somebody_else_is_not_disturbed(stub: Path, run: Run, home: Path) -> None:
    code, _, err = run("--no-wait", "train", "words", "--epochs", "100000")
    assert code == 0, err
    (home / ".mltk/models/words/ssh/run.json").unlink()
    code, _, err = run("train", "words")
    assert code == 2
    assert "--force" in err
    code, out, err = run("--force", "train", "words")
    assert code == 0, err
    assert epochs_in(out) == [0, 1, 2]


def test_killed_supervisor_is_told(stub: Path, run: Run, home: Path, work: Path) -> None:
    import json

    code, _, err = run("--no-wait", "train", "words", "--epochs", "100000")
    assert code == 0, err
    pid = json.loads(next((work / ".mltk-ssh").glob("*/pid")).read_text())
    os.kill(pid["supervisor"], signal.SIGKILL)
    os.killpg(pid["group"], signal.SIGKILL)
    code, _, err = run("--resume", "words")
    assert code == 2
    assert "ended without an exit code" in err
    code, _, err = run("--resume", "words")
    assert code == 2
    assert "No run of words" in err
