"""A program that tests a model: compiled model and spectrograms of clips in it, ends in `~~~ALL TESTS PASSED~~~`.

What `make test_micro_speech_test` of TensorFlow Lite Micro did, for any int8 model that hears: built and run on this
computer, or on an emulated board.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.firmware.boards import Board
from mltk.firmware.c_source import array, identifier, wrapped
from mltk.firmware.compile import compile_model
from mltk.firmware.devices import attach
from mltk.firmware.emulator import Emulator
from mltk.firmware.feature_array import clip_features
from mltk.firmware.firmware import LINKER_SCRIPT, board_config, linker_script, makefile
from mltk.firmware.host import host_compiler
from mltk.firmware.settings_c import c_string
from mltk.firmware.toolchain import WARNINGS, build, compile_and_link
from mltk.native import SOURCE_DIR
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel
from mltk.training.speech_commands.settings import PARAMETER_PREFIX, FeatureSettings
from mltk.utils.errors import DeviceError
from mltk.utils.files import make_folder, write_text
from mltk.utils.text import printable

PASSED = "~~~ALL TESTS PASSED~~~"
FAILED = "~~~SOME TESTS FAILED~~~"
_MODEL = "self_test_model"
_TIMEOUT_S = 60
_EXIT = 0x18  # semihosting's SYS_EXIT
_APP, _OWN = SOURCE_DIR / "firmware", SOURCE_DIR / "self_test"
# The parts of the boards' program that a test needs too.
_SHARED = ("board.h", "print.h", "print.c", "semihosting.h")
_ON_BOARD = ("semihosting.c", "startup.c", "memory.c")


@dataclass(frozen=True)
class TestClip:
    """A clip of a self-test.

    Attributes:
        name: what the program calls it.
        label: the class that the model should hear.
        features: int8 [frames, width], what the model takes.

    """

    __test__ = False  # pytest, this is no test

    name: str
    label: str
    features: npt.NDArray[np.int8]


@dataclass(frozen=True)
class SelfTest:
    """The program as C source.

    Attributes:
        name: the model's name.
        board: what it runs on; None: this computer.
        files: path below the folder -> text.

    """

    name: str
    board: Board | None
    files: dict[str, str]

    def write(self, directory: str | Path) -> Path:
        """Write the files into a folder, each whole or not at all; `make test` or `make` builds them there.

        Raises:
            MltkError: the folder can not be written.

        """
        folder = make_folder(directory)
        for name, text in self.files.items():
            make_folder((folder / name).parent)
            write_text(folder / name, text)
        return folder

    def run(self) -> list[str]:
        """Build it, run it, and return the lines that it printed.

        Raises:
            DeviceError: it can not be built, or crashes.
            MissingExtraError: the compiler or the emulator is not installed.

        """
        sources = {name: text for name, text in self.files.items() if name.endswith((".c", ".h"))}
        if self.board is None:
            return _run_here(sources)
        elf = build(sources, self.board.target, self.files[LINKER_SCRIPT])
        return _run_on_board(elf, self.board)


def passed(lines: Sequence[str]) -> bool:
    """Tell of the lines that a self-test printed whether all is well."""
    return bool(lines) and lines[-1] == PASSED


def make_self_test(model: TfliteModel, clips: Sequence[TestClip], board: Board | None = None) -> SelfTest:
    """Make the program.

    Args:
        model: takes and gives int8; its parameters name the classes.
        clips: what it is to hear.
        board: what the program runs on; None: this computer.

    Raises:
        DeviceError: the model takes or gives something else, a label is none of its classes, there are no clips, or
            the features do not fit.
        TfliteError: the model can not be compiled; the text lists the layers.

    """
    name = printable(str(model.parameters.get("name") or Path(model.path or "model").stem))
    labels = [printable(str(label)) for label in model.parameters.get("classes") or []]
    _check(model, name, labels, clips)
    compiled = compile_model(model, _MODEL, None if board is None else board.target)
    files = {f"model/{path}": text for path, text in compiled.files.items()}
    places = [_APP / shared for shared in _SHARED] + [_OWN / "self_test.h", _OWN / "self_test.c"]
    if board is None:
        places.append(_OWN / "host.c")
    else:
        places += [_APP / path for path in (*_ON_BOARD, board.driver)]
        files["app/board_config.h"] = board_config(board)
        files[LINKER_SCRIPT] = linker_script(board)
    files |= {f"app/{path.name}": path.read_text(encoding="utf-8") for path in places}
    files["app/self_test_clips.c"] = _clips_source(model, labels, clips)
    files["Makefile"] = (
        _host_makefile(name, files) if board is None else makefile(f"{name}_test", board, files)
    )
    return SelfTest(name, board, files)


def read_clip(path: str | Path, label: str, model: TfliteModel) -> TestClip:
    """Return a clip of a self-test of an audio file.

    Args:
        path: the audio file.
        label: what is said in it.
        model: tells how clips become features.

    Raises:
        AudioError: the file can not be read.
        DeviceError: the model does not tell its features.

    """
    parameters, source = model.parameters, model.source
    if f"{PARAMETER_PREFIX}preprocess" in parameters:
        features = clip_features(path, FeatureSettings.from_parameters(parameters, source))
    elif "fe.sample_rate_hz" in parameters:
        features = _frontend_features(path, parameters)
    else:
        raise DeviceError(
            f"{source} has no settings of its features (fe.*), so clips can not be made into them"
        )
    return TestClip(Path(path).name, label, features)


def _frontend_features(path: str | Path, parameters: Mapping[str, Any]) -> npt.NDArray[np.int8]:
    from mltk.audio.convert import to_float32
    from mltk.audio.length import adjust_length
    from mltk.audio.read import read_audio_file
    from mltk.audio.resample import resample
    from mltk.frontend.apply import apply_frontend
    from mltk.frontend.settings import AudioFeatureGeneratorSettings

    settings = AudioFeatureGeneratorSettings(**parameters)
    sample, rate = read_audio_file(str(path), return_sample_rate=True)
    clip = adjust_length(
        to_float32(resample(sample, rate, settings.sample_rate_hz)), settings.sample_length, offset=0.5
    )
    return np.asarray(apply_frontend(np.asarray(clip, np.float32), settings, np.int8))


def _check(model: TfliteModel, name: str, labels: list[str], clips: Sequence[TestClip]) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise DeviceError(
            f"{name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs: a test wants one of each"
        )
    given, result = model.inputs[0], model.outputs[0]
    if (given.type_name, result.type_name) != ("int8", "int8"):
        raise DeviceError(
            f"{name} takes {given.type_name} and gives {result.type_name}: a test wants an int8 model"
        )
    if result.size != len(labels):
        raise DeviceError(f"{name} gives {result.size} scores, and its parameters name {len(labels)} classes")
    if not 1 <= len(clips) <= 1000:
        raise DeviceError(f"A test takes 1 to 1000 clips, not {len(clips)}")
    for clip in clips:
        if printable(clip.label) not in labels:
            raise DeviceError(
                f"'{printable(clip.label)}' of {printable(clip.name)} is no class of {name}: it has {', '.join(labels)}"
            )
        if clip.features.dtype != np.int8 or clip.features.size != given.size:
            raise DeviceError(
                f"{clip.name} has {clip.features.size} features of {clip.features.dtype}, {name} takes {given.size} of int8"
            )


def _clips_source(model: TfliteModel, labels: list[str], clips: Sequence[TestClip]) -> str:
    interpreter = NativeModel(model)
    shape = model.inputs[0].shape
    text = ['#include "self_test.h"', ""]
    entries = []
    for place, clip in enumerate(clips):
        features = np.ascontiguousarray(clip.features)
        scores = interpreter.run(features.reshape(shape))[0]
        text.append(array(f"features_{place}", "int8_t", features))
        text.append(array(f"scores_{place}", "int8_t", np.asarray(scores)))
        name = c_string(printable(clip.name))
        entries.append(
            f"    {{{name}, {labels.index(printable(clip.label))}u, features_{place}, scores_{place}}},"
        )
    return "\n".join(
        [
            *text,
            f"const char *const self_test_labels[SELF_TEST_MODEL_OUTPUT_SIZE] = {{\n{wrapped(map(c_string, labels))}}};",
            "",
            "const self_test_clip self_test_clips[] = {",
            *entries,
            "};",
            f"const uint16_t self_test_n_clips = {len(clips)}u;",
            "",
        ]
    )


def _host_makefile(name: str, files: Mapping[str, str]) -> str:
    sources = " \\\n  ".join(sorted(path for path in files if path.endswith(".c")))
    text = (_OWN / "Makefile").read_text(encoding="utf-8")
    return text.replace("@NAME@", identifier(name)).replace("@SOURCES@", sources)


def _run_here(sources: Mapping[str, str]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="mltk-self-test-") as scratch:
        folder = Path(scratch)
        name = "self_test.exe" if sys.platform == "win32" else "self_test"
        command = [*host_compiler(), "-std=c99", "-O2", *WARNINGS]
        compile_and_link(command, sources, folder, name, "The self-test")
        try:
            done = subprocess.run(
                [str(folder / name)], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeviceError(f"The self-test can not be run on this computer: {error}") from error
    lines = done.stdout.splitlines()
    if not lines or lines[-1] not in (PASSED, FAILED):
        raise DeviceError(f"The self-test crashed on this computer (exit code {done.returncode})")
    return lines


def _run_on_board(elf: bytes, board: Board) -> list[str]:
    emulator = Emulator(elf, board.target)
    emulator.map_memory(board.ram.origin, board.ram.size)
    emulator.stop_counting()
    sent = bytearray()
    has_ended: list[bool] = []

    def handle(operation: int, parameter: int) -> int | None:
        del parameter
        if operation == _EXIT:
            has_ended.append(True)
            return None
        return 0

    attach(emulator, board, sent.append, lambda _: None)
    emulator.on_breakpoint(handle)
    emulator.reset(board.flash.origin)
    emulator.resume()
    if not has_ended:
        raise DeviceError(f"The self-test stopped on {board.name} before its end")
    return sent.decode("utf-8", "replace").splitlines()
