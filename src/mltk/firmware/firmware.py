"""A whole program for a board: sound -> frontend -> model -> recognizer -> words on the serial port.

Everything comes from the model: its graph, its frontend's settings, its detection settings. The C files are those
that run in Python; what is specific to the board is a driver, a linker script and the start-up code.
"""

import os
import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import mltk
from mltk.detection.stream import KeywordDetector
from mltk.firmware.boards import Board
from mltk.firmware.compile import CompiledModel, compile_model
from mltk.firmware.settings_c import frontend_tables, settings_header, settings_source
from mltk.firmware.toolchain import build
from mltk.models.loading import resolve_tflite
from mltk.models.model import MltkModel
from mltk.native import SOURCE_DIR
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import DeviceError, MltkError
from mltk.utils.files import make_folder, replacing
from mltk.utils.text import printable

LINKER_SCRIPT = "link.ld"
STACK_BYTES = 1536
_MODEL = "kws_model"
_TEMPLATES = SOURCE_DIR / "firmware"
_SCORE_OFFSETS = {"int8": 128, "uint8": 0}
# A signed Cortex-M's coprocessors are switched on where the processor may have them.
_WITH_COPROCESSORS = ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")


@dataclass(frozen=True)
class Firmware:
    """A program as C source, ready to build.

    Attributes:
        name: the model's name.
        board: what it runs on.
        files: path below the folder -> text, Makefile and linker script included.
        compiled: the model in it.
        detector: the same model as Python hears with it.

    """

    name: str
    board: Board
    files: dict[str, str]
    compiled: CompiledModel
    detector: KeywordDetector

    @property
    def file_name(self) -> str:
        """The model's name with nothing in it that a file's name or a Makefile could take amiss."""
        return _file_name(self.name)

    def write(self, directory: str | os.PathLike[str]) -> Path:
        """Write the files into a folder, all or none; other files there stay. Return the folder.

        Raises:
            MltkError: the folder can not be written.

        """
        folder = make_folder(Path(directory))
        for name in self.files:  # known only when the others are in place, else
            if (folder / name).is_dir():
                raise MltkError(f"Can not write {folder / name}: there is a folder of that name")
        with ExitStack() as written:
            for name, text in self.files.items():
                path = written.enter_context(replacing(folder / name))
                path.write_bytes(text.encode("utf-8"))
        return folder

    def build(self, optimization: str = "-O2") -> bytes:
        """Compile and link; return the ELF.

        Raises:
            DeviceError: it does not fit into the board's memories, or the compiler refuses.
            MissingExtraError: the extra "device" is not installed.

        """
        sources = {name: text for name, text in self.files.items() if name.endswith((".c", ".h"))}
        try:
            return build(sources, self.board.target, self.files[LINKER_SCRIPT], optimization)
        except DeviceError as error:
            raise DeviceError(f"{self.name} on {self.board.name}: {error}") from error


def make_firmware(
    model: TfliteModel | MltkModel | str | os.PathLike[str], board: Board, test: bool = False
) -> Firmware:
    """Make a program for a board.

    Args:
        model: a `TfliteModel`, or a model as for the command line.
        board: what it is to run on.
        test: the dry run's model is meant.

    Raises:
        DeviceError: the model takes or gives other types than int8 (or uint8 scores).
        DetectionError: its settings are illegal, or do not belong to its graph.
        TfliteError: its graph can not be compiled; the text lists the layers.
        MltkError: the model can not be found or read.

    """
    if isinstance(model, TfliteModel):
        tflite = model
        name = str(model.parameters.get("name") or Path(model.path or "model").stem)
    else:
        data, name = resolve_tflite(model, test)
        tflite = TfliteModel(data, path=name)
    name = printable(name)
    detector = KeywordDetector(tflite)
    given, result = tflite.inputs[0].type_name, tflite.outputs[0].type_name
    if given != "int8" or result not in _SCORE_OFFSETS:
        raise DeviceError(
            f"{name} takes {given} and gives {result}: firmware wants a model that is quantized to int8"
        )
    compiled = compile_model(tflite, _MODEL, board.target)
    tables = frontend_tables(detector.frontend_settings)
    files = {f"model/{path}": text for path, text in compiled.files.items()}
    files |= c_stage("frontend") | c_stage("detector") | _program(board)
    files["app/kws_settings.h"] = settings_header(detector, tables, _SCORE_OFFSETS[result])
    files["app/kws_settings.c"] = settings_source(detector, tables)
    files["app/board_config.h"] = board_config(board)
    files[LINKER_SCRIPT] = linker_script(board)
    files["Makefile"] = makefile(name, board, files)
    files["README.md"] = _filled(
        "README.md",
        {
            "NAME": name,
            "BOARD": board.title,
            "VERSION": mltk.__version__,
            "WORDS": ", ".join(printable(label) for label in detector.labels if not label.startswith("_")),
            "RATE": str(detector.sample_rate_hz),
        },
    )
    return Firmware(name, board, files, compiled, detector)


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def c_stage(stage: str) -> dict[str, str]:
    """Return the C files of "frontend" or "detector"; only what runs, the frontend's set-up is done here and now."""
    return {
        f"{stage}/{path.name}": _read(path)
        for path in sorted((SOURCE_DIR / stage).glob("*.[ch]"))
        if not re.search(r"_setup(_stages)?\.[ch]$", path.name)
    }


def _program(board: Board) -> dict[str, str]:
    """Return the program's own files, of the boards' drivers only this board's."""
    return {
        f"app/{path.name}": _read(path)
        for path in sorted(_TEMPLATES.glob("*.[ch]"))
        if not path.name.startswith("board_") or path.name == board.driver
    }


def _filled(template: str, values: dict[str, str]) -> str:
    text = _read(_TEMPLATES / template)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def makefile(name: str, board: Board, files: Iterable[str]) -> str:
    """Return the Makefile of a program.

    Args:
        name: of the program.
        board: what it runs on.
        files: paths of its files; the .c are compiled.

    """
    return _filled(
        "Makefile",
        {
            "NAME": _file_name(name),
            "BOARD": board.title,
            "CPU_GCC": board.target.name,
            # GCC has the vector unit with hardware floats only.
            "FLOAT_GCC": "hard" if board.target.has_mve else "soft",
            "CPU_ZIG": board.target.cpu,
            "SOURCES": " \\\n  ".join(sorted(path for path in files if path.endswith(".c"))),
        },
    )


def linker_script(board: Board) -> str:
    """Return the linker script with a board's memories."""
    return _filled(
        LINKER_SCRIPT,
        {
            "FLASH_ORIGIN": f"0x{board.flash.origin:08x}",
            "FLASH_BYTES": str(board.flash.size),
            "RAM_ORIGIN": f"0x{board.ram.origin:08x}",
            "RAM_BYTES": str(board.ram.size),
            "STACK_BYTES": str(STACK_BYTES),
        },
    )


def board_config(board: Board) -> str:
    """Return `board_config.h`: what drivers and start-up code know of a board."""
    return "\n".join(
        [
            f"/* {board.title}; made by mltk, do not edit. */",
            "#ifndef BOARD_CONFIG_H_",
            "#define BOARD_CONFIG_H_",
            "",
            f"#define BOARD_CLOCK_HZ {board.clock_hz}u",
            f"#define BOARD_HAS_COPROCESSORS {int(board.target_name in _WITH_COPROCESSORS)}",
            *(f"#define {name} 0x{address:08x}u" for name, address in board.registers.items()),
            "",
            "#endif /* BOARD_CONFIG_H_ */",
            "",
        ]
    )
