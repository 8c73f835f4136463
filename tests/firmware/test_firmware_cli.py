"""`mltk firmware`, `mltk run` and `mltk profile --device`: what they print, and what they answer to mistakes."""

import json
import re
import subprocess
import sys
import time

import firmware_models as models
import pytest

from mltk.audio.write import write_audio_file
from mltk.cli.main import main
from mltk.firmware import emulators
from mltk.firmware.profile import profile_on_chip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and sounds."""
    made = tmp_path_factory.mktemp("cli")
    model = models.keyword_model()
    (made / "tiny.tflite").write_bytes(model.flatbuffer_data)
    write_audio_file(made / "sound.wav", models.sound(4), 16000)
    (made / "notes.txt").write_text("no audio")
    return made


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Return a function: arguments -> exit code, standard output, standard error."""
    monkeypatch.chdir(folder)

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["mltk", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


REFUSED = [
    (
        ["firmware", "tiny.tflite", "--board", "blupill"],
        "There is no board 'blupill', did you mean \"bluepill\"?",
    ),
    (["firmware", "none.tflite", "--board", "bluepill"], "none.tflite"),
    (["firmware", "notes.txt", "--board", "bluepill"], "notes.txt"),
    (["firmware", "tiny.tflite", "--board", "bluepill", "-o", "notes.txt"], "notes.txt"),
    (["run", "tiny.tflite", "--audio", "none.wav"], "There is no audio file at none.wav"),
    (["run", "tiny.tflite", "--audio", "notes.txt"], "notes.txt"),
    (
        ["run", "tiny.tflite", "--audio", "sound.wav", "--target", "cortex-m5"],
        "There is no target 'cortex-m5'",
    ),
    (["run", "tiny.tflite", "--audio", "sound.wav", "--board", "pill"], "There is no board 'pill'"),
    (
        ["run", "tiny.tflite", "--audio", "sound.wav", "--board", "bluepill", "--target", "m3"],
        "--target and --board exclude each other",
    ),
    (
        ["run", "tiny.tflite", "--audio", "sound.wav", "--emulator", "unicron"],
        "There is no emulator 'unicron', did you mean \"unicorn\"?",
    ),
    (["run", "tiny.tflite", "--audio", "sound.wav", "--measure", "-1"], "0 or more seconds"),
    (["profile", "tiny.tflite", "--device", "m44"], "There is no target 'm44'"),
    (["profile", "tiny.tflite", "--device", "m4", "--accelerator", "MVP"], "choose one of them"),
]


@pytest.mark.parametrize(
    ("arguments", "sentence"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_mistakes_are_one_sentence(run, unicorn, arguments, sentence):
    started = time.process_time()
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert sentence in errors
    assert len(errors.splitlines()) == 1
    assert time.process_time() - started < 5.0, "told before anything is built"


@pytest.mark.parametrize(
    "arguments",
    [["run", "tiny.tflite", "--audio", "sound.wav"], ["profile", "tiny.tflite", "--device", "m4"]],
    ids=lambda arguments: arguments[0],
)
def test_without_the_extra_it_is_told(run, monkeypatch, arguments):
    monkeypatch.setattr("mltk.firmware.toolchain.find_spec", lambda name: None)
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert errors == "mltk: Compiling for a chip needs the extra 'device': pip install 'mltk-audio[device]'\n"


def test_firmware_tells_where_it_is(run, folder):
    code, output, errors = run("firmware", "tiny.tflite", "--board", "bluepill")
    assert (code, errors) == (0, "")
    assert re.fullmatch(r"tiny-bluepill: \d+ files for STM32F103C8.*; build them with `make` there\n", output)
    assert (folder / "tiny-bluepill" / "Makefile").is_file()


def test_run_prints_what_classify_audio_prints(run, ziglang, unicorn):
    _, expected, _ = run("classify_audio", "tiny.tflite", "--audio", "sound.wav", "--engine", "native")
    assert len(expected.splitlines()) > 3
    code, output, errors = run(
        "run", "tiny.tflite", "--audio", "sound.wav", "--board", "lm3s6965", "--measure", "0.2"
    )
    assert (code, errors) == (0, "")
    lines, report = output.split("\n\n")
    assert lines + "\n" == expected
    assert "Board: lm3s6965" in report
    assert re.search(r"Instructions per inference \(model\): [\d,]+\n", report)


def test_run_as_json(run, ziglang, unicorn):
    _, expected, _ = run(
        "classify_audio", "tiny.tflite", "--audio", "sound.wav", "--engine", "native", "--json"
    )
    code, output, _ = run(
        "run", "tiny.tflite", "--audio", "sound.wav", "--board", "lm3s6965", "--json", "--measure", "0"
    )
    found = json.loads(output)
    assert code == 0
    events = [json.loads(line) for line in expected.splitlines()]
    assert found["detections"] == [
        {key: event[key] for key in ("time_ms", "label", "score")} for event in events
    ]
    assert (found["instructions"], found["load"]) == (None, None)


def test_target_takes_the_roomiest_board(run, monkeypatch):
    seen = []

    class Nothing:
        def __init__(self, firmware):
            seen.append(firmware.board.name)

        def run(self, *_, **__):
            raise KeyboardInterrupt

    monkeypatch.setitem(emulators.EMULATORS, "unicorn", Nothing)
    for target in ("", "m0plus", "cortex-m4"):
        options = ["--target", target] if target else []
        assert run("run", "tiny.tflite", "--audio", "sound.wav", *options)[0] == 130
    assert seen == ["mps2-an385", "microbit", "mps2-an386"]


def test_profile_measures_each_layer(run, ziglang, unicorn):
    code, output, errors = run("profile", "tiny.tflite", "--device", "m4", "--no-format")
    assert (code, errors) == (0, "")
    assert "Device: cortex-m4, emulated" in output
    assert re.search(r"\| Index \| OpCode +\| # Ops \| # MACs \| Instructions \|", output)
    found = json.loads(run("profile", "tiny.tflite", "--device", "m4", "--json")[1])
    layers = {layer["name"]: layer["instructions"] for layer in found["layers"]}
    assert layers["reshape"] == 0
    assert all(count > 50 for name, count in layers.items() if name != "reshape")
    # All but the way into the first kernel.
    assert 0 <= found["device"]["instructions"] - sum(layers.values()) < 30


def test_profile_is_deterministic_and_knows_the_cores(folder, ziglang, unicorn):
    path = folder / "tiny.tflite"
    small, large = (profile_on_chip(path, device) for device in ("m0plus", "m4"))
    assert small.device.instructions > large.device.instructions
    assert profile_on_chip(path, "m4") == large
    # Four kernels, 72 bytes of weights and biases, softmax's table.
    assert 1_000 < large.device.code_size < 20_000
    assert large.device.arena_size >= 20 + 12


@pytest.mark.parametrize(
    "arguments",
    [
        ["firmware", "tiny.tflite", "--board", "microbit", "-o", "light"],
        ["run", "tiny.tflite", "--audio", "sound.wav", "--board", "lm3s6965"],
        ["profile", "tiny.tflite", "--device", "m4"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_tensorflow(folder, ziglang, unicorn, arguments):
    code = "import sys\nfrom mltk.cli.main import main\ntry:\n    main()\nfinally:\n"
    code += "    print('LOADED', *sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    loaded = set(done.stderr.split("LOADED")[1].split())
    assert "mltk.firmware.targets" in loaded
    assert not loaded & {"tensorflow", "keras", "sklearn", "matplotlib"}
