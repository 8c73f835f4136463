"""Which commands load what: TensorFlow only where it trains or converts, and nothing heavy for a page of help."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mltk.cli.main import COMMANDS, make_app

RUN = """
import sys
from mltk.cli.main import main
sys.argv = ["mltk", *{arguments!r}]
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
print("LOADED", " ".join(sorted({{name.split(".")[0] for name in sys.modules}})))
print("COMMANDS", " ".join(sorted(name for name in sys.modules if name.startswith("mltk.cli."))))
sys.exit(code)
"""

HEAVY = {"tensorflow", "keras"}
# What a page of help may load beyond the standard library. numpy, matplotlib and the like are for commands at work.
HELP_MAY_LOAD = {
    "mltk",
    "typer",
    "click",
    "rich",
    "shellingham",
    "annotated_doc",
    "typing_extensions",
    "pygments",
    "markdown_it",
    "mdurl",
    # typer's own
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_inspection",
}


def run_command(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str, set[str]]:
    """Run the command line in a fresh process; return its exit code, output, errors and the packages it loaded."""
    process = subprocess.run(
        [sys.executable, "-c", RUN.format(arguments=list(arguments))],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    lines = process.stdout.splitlines()
    loaded = next((line for line in lines if line.startswith("LOADED ")), "LOADED ")
    return process.returncode, process.stdout, process.stderr, set(loaded.split()[1:])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *[[name, "--help"] for name in COMMANDS]], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code, output, errors, loaded = run_command(*arguments)
    assert code == 0, errors
    standard = set(sys.stdlib_module_names)
    # Start-up files of the environment (editable installs, path entries) are not ours to judge.
    ours = {
        name
        for name in loaded
        if name not in standard and not name.startswith(("_", "distutils", "sitecustomize"))
    }
    assert not ours - HELP_MAY_LOAD, f"{' '.join(arguments)} loads {sorted(ours - HELP_MAY_LOAD)}"
    assert output.strip()


def test_every_command_is_in_the_help() -> None:
    _, output, _, _ = run_command("--help")
    assert all(name in output for name in COMMANDS)


def test_the_list_tells_what_the_commands_tell() -> None:
    """The lines kept in main.py are the first of each command's own help, in the same order."""
    runner = CliRunner()
    wide = {"TERMINAL_WIDTH": "200", "COLUMNS": "200"}
    listed = runner.invoke(make_app(()), ["--help"], env=wide)
    loaded = runner.invoke(make_app(), ["--help"], env=wide)
    assert listed.exit_code == loaded.exit_code == 0
    assert listed.output == loaded.output
    for name, line in COMMANDS.items():
        own = runner.invoke(make_app([name]), [name, "--help"], env=wide).output
        assert line in " ".join(own.split()), name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], set()),
        (["no_such_command"], set()),
        (["profile", "--help"], {"mltk.cli.profile"}),
        (["--", "view", "--help"], {"mltk.cli.view"}),
    ],
    ids=" ".join,
)
def test_only_the_called_command_is_loaded(arguments: list[str], expected: set[str]) -> None:
    _, output, _, _ = run_command(*arguments)
    line = next(line for line in output.splitlines() if line.startswith("COMMANDS "))
    assert set(line.split()[1:]) - {"mltk.cli.main"} == expected


def test_a_mistyped_command_is_told_the_right_one() -> None:
    code, _, errors, _ = run_command("profil")
    assert code == 2
    assert "Did you mean 'profile'?" in errors


@pytest.mark.parametrize(
    "model",
    ["keyword_spotting_alexa.mltk.zip", "tflite_micro_speech.mltk.zip", "keyword_spotting_on_off.tflite"],
)
@pytest.mark.parametrize("command", [["summarize", "--tflite"], ["profile"]], ids=lambda command: command[0])
def test_reading_commands_load_no_tensorflow(shared_dir: Path, model: str, command: list[str]) -> None:
    code, _, errors, loaded = run_command(command[0], str(shared_dir / "models" / model), *command[1:])
    assert code == 0, errors
    assert not loaded & HEAVY
    assert "numpy" in loaded  # the probe itself sees what is loaded


def test_a_text_of_an_archive_is_read_without_numpy(shared_dir: Path) -> None:
    code, output, errors, loaded = run_command(
        "summarize", str(shared_dir / "models" / "tflite_micro_speech.mltk.zip")
    )
    assert code == 0, errors
    assert "Total params" in output
    assert "numpy" not in loaded


def test_classify_audio_loads_no_tensorflow(shared_dir: Path, speech_dir: Path) -> None:
    clip = sorted((speech_dir / "alexa").glob("*.flac"))[0]
    code, _, errors, loaded = run_command(
        "classify_audio", str(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip"), "--audio", str(clip)
    )
    assert code == 0, errors
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name not in ("synthesize", "speech_commands")]
)
def test_a_wrong_name_is_one_sentence(command: str, tmp_path: Path) -> None:
    needed = {"update_params": ["volume=1"], "firmware": ["--board", "bluepill"], "run": ["--audio", "-"]}
    extra = needed.get(command, [])
    code, output, errors, _ = run_command(command, "no_such_model", *extra, cwd=tmp_path)
    assert code == 2
    assert "no_such_model" in errors
    assert "Traceback" not in errors + output
    assert len(errors.strip().splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []
