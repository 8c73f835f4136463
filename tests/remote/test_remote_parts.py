"""The console's filter, hosts, settings, file lists and scripts, each alone."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mltk.models.model import MltkModel, SshMixin
from mltk.remote import agent, connection
from mltk.remote.console import Console
from mltk.remote.errors import RemoteError
from mltk.remote.files import download_patterns, downloads, uploads
from mltk.remote.scripts import Package, scripts
from mltk.remote.settings import DEFAULT_REMOTE_DIR, RemoteSettings, environment, load_settings
from mltk.remote.target import Target, parse_host


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(data: bytes, stream: io.StringIO, size: int = 1 << 20) -> str:
    console = Console(stream)
    for start in range(0, len(data), size):
        console.write(data[start : start + size])
    console.flush()
    return stream.getvalue()


TRICKS = [
    (b"\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n", "red\n"),
    (b"a\x1b[2Jb\x1b[10;10Hc\x1b[?1049hd", "abcd", "abcd"),
    (b"a\x1b]0;title\x07b\x1b]52;c;cHduZWQ=\x1b\\c", "abc", "abc"),
    (b"a\x1bPq#0\x1b\\b\x1bcc", "abc", "abc"),
    (b"50 %\r100 %\r\nend", "50 %\n100 %\nend", "50 %\n100 %\nend"),
    ("ä\u202eb\x9b31mc\u200bd".encode(), "ä?b?31mc?d", "ä?b?31mc?d"),
    (b"a\x00\x08\x07b\xff", "a???b\ufffd", "a???b\ufffd"),
    (b"end\x1b[3", "end?[3", "end?[3"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(("data", "terminal", "file"), TRICKS)
def test_console_shows_text_and_colours_only(data: bytes, terminal: str, file: str, size: int) -> None:
    assert shown(data, Terminal(), size) == terminal
    assert shown(data, io.StringIO(), size) == file


@hypothesis_settings(deadline=None)
@given(st.binary(max_size=300), st.integers(1, 7))
def test_console_lets_nothing_steer_the_terminal(data: bytes, size: int) -> None:
    text = shown(data, io.StringIO(), size)
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)


def test_console_does_not_hold_back_without_end() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.write(b"\x1b]0;" + b"a" * 10_000)
    assert len(stream.getvalue()) > 9000


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("chip", ("chip", None, None, None)),
        ("me@chip.example:2222/work", ("chip.example", "me", 2222, "work")),
        ("chip//data/a b", ("chip", None, None, "/data/a b")),
        ("chip/~/work", ("chip", None, None, "~/work")),
        ("me@[::1]:22", ("::1", "me", 22, None)),
    ],
)
def test_host(text: str, parts: tuple[object, ...]) -> None:
    assert parse_host(text) == parts


@pytest.mark.parametrize(
    "text", ["", "a b", "-oProxyCommand=x", "me@", "chip:port", "chip:0", "chip:65536", "a@b@c"]
)
def test_host_that_is_none(text: str) -> None:
    with pytest.raises(RemoteError):
        parse_host(text)


class Model(MltkModel, SshMixin):
    pass


def test_specification_comes_before_the_file_and_lists_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path))
    (tmp_path / "user_settings.yaml").write_text(
        "model_paths: [x]\nssh:\n  remote_dir: of_file\n  create_venv: true\n  connection: {hostname: of-file, port: 1}\n"
        "  environment: [A=1, B=2=3]\n  startup_cmds: [one]\n"
    )
    model = Model()
    plain = load_settings(model=model)
    assert plain.target == Target("of-file", defaults=(("port", 1),))
    assert plain.remote_dir == "of_file"
    assert plain.create_venv is True
    model.ssh_remote_dir = "of_model"
    model.ssh_create_venv = False
    model.ssh_environment = {"B": 4, "C": None}
    model.ssh_startup_cmds = ["two"]
    settings = load_settings("me@host/of_line", 7, "key", model)
    assert settings.target == Target("host", 7, "me", "key", defaults=(("port", 1),))
    assert settings.remote_dir == "of_line"
    assert load_settings(model=model).remote_dir == "of_model"
    assert settings.create_venv is False
    assert settings.environment == {"A": "1", "B": "4", "C": ""}
    assert settings.startup_cmds == ("one", "two")
    (tmp_path / "user_settings.yaml").unlink()
    assert load_settings("host").remote_dir == DEFAULT_REMOTE_DIR


def test_environment_refuses_what_is_no_name() -> None:
    for value in (["A;B=1"], {"A B": 1}, ["=1"], {"": 1}, 5, "A=1"):
        with pytest.raises(RemoteError, match="here"):
            environment(value, "here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.csv", "data/b.csv", "data/deep/c.csv", "data/deep/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["a.csv"], {"a.csv": "a.csv"}),
        (["**/*.csv"], {"a.csv": "a.csv", "data/b.csv": "data/b.csv", "data/deep/c.csv": "data/deep/c.csv"}),
        (["data/deep"], {"data/deep/c.csv": "data/deep/c.csv", "data/deep/d.txt": "data/deep/d.txt"}),
        (["a.csv|/x/y.csv"], {"/x/y.csv": "a.csv"}),
        (["data/deep|z/"], {"z/c.csv": "data/deep/c.csv", "z/d.txt": "data/deep/d.txt"}),
    ],
)
def test_uploads(patterns: list[str], expected: dict[str, str], folder: Path) -> None:
    found = {remote: path.relative_to(folder).as_posix() for path, remote in uploads(patterns, folder)}
    assert found == expected


@pytest.mark.parametrize(
    "pattern", ["no*", "/etc/passwd", "../x", "data/../../x", "|x", "a.csv|", "missing|x", ""]
)
def test_uploads_that_can_not_be(pattern: str, folder: Path) -> None:
    with pytest.raises(RemoteError):
        uploads([pattern], folder)


def entry(pattern: str, name: str, size: int = 1) -> dict[str, object]:
    return {"pattern": pattern, "name": name, "path": f"/work/{name}", "size": size, "sha256": ""}


def test_downloads_go_where_the_pattern_says(tmp_path: Path) -> None:
    patterns = ["logs/**/*.txt", "a[1]*.csv|here/b.csv"]
    asked = download_patterns(patterns)
    found = [entry(asked[0], "logs/x.txt"), entry(asked[0], "logs/y/z.txt"), entry(asked[1], "a[1]*.csv")]
    targets = [target.relative_to(tmp_path).as_posix() for _, target in downloads(patterns, found, tmp_path)]
    assert targets == ["logs/x.txt", "logs/y/z.txt", "here/b.csv"]


@pytest.mark.parametrize(
    ("pattern", "name", "size"),
    [
        ("logs/*.txt", "../x.txt", 1),
        ("logs/*.txt", "/etc/x.txt", 1),
        ("logs/*.txt", "logs/a/x.txt", 1),
        ("logs/*.txt", "words.py", 1),
        ("**", "a\\..\\b", 1),
        ("**", "C:x", 1),
        ("**", "a\x1b[2J", 1),
        ("other", "other", 1),
        ("logs/*.txt", "logs/x.txt", 1 << 40),
    ],
)
def test_downloads_of_a_hostile_machine(pattern: str, name: str, size: int, tmp_path: Path) -> None:
    with pytest.raises(RemoteError):
        downloads(["logs/*.txt", "**"], [entry(pattern, name, size)], tmp_path)


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12), max_size=4
    )
)
def test_scripts_are_taken_word_for_word(words: list[str]) -> None:
    settings = RemoteSettings(
        Target("host"), python="/bin/echo", environment={f"V{i}": w for i, w in enumerate(words)}
    )
    made = scripts(settings, "/", ["train", *words], None)["command.sh"]
    made = made.replace("/bin/echo -P -c 'from mltk.cli.main import main; main()'", "printf '%s\\0'")
    run = subprocess.run(["/bin/sh"], input=made.encode(), capture_output=True, check=True)
    assert run.stdout.decode().split("\0")[:-1] == ["train", *words]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_scripts_are_shell(shell: str, tmp_path: Path) -> None:
    settings = RemoteSettings(
        Target("host"),
        python="~/a b",
        startup_cmds=("echo 'a\nb'",),
        shutdown_cmds=("true",),
        environment={"A": "'"},
    )
    made = scripts(settings, "/a b'c", ["train", "x"], Package("x[train]==1", "stamp", is_file=True))
    assert set(made) == {"setup.sh", "command.sh", "shutdown.sh"}
    for text in made.values():
        subprocess.run([shell, "-n"], input=text.encode(), check=True)


def test_agent_and_client_agree() -> None:
    assert agent.MAGIC == connection.MAGIC
    assert agent.PIECE <= connection.MAX_FRAME
    heavy = "import sys, mltk.remote.agent; print([name for name in sys.modules if name.startswith(('numpy', 'asyncssh'))])"
    run = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
