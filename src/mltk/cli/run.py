"""`mltk run`: a model's firmware on an emulated chip hears a recording."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mltk.firmware.boards import Board

_DEFAULT_TARGET = "cortex-m3"


def run(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
    *,
    audio: Annotated[
        str,
        typer.Option(
            "--audio",
            "-a",
            metavar="FILE",
            help="A recording of any length, format and rate; '-' takes raw samples (16 bit, little-endian, mono, "
            "the model's rate) from standard input.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Processor: the roomiest board with it is taken; cortex-m3 without it."
        ),
    ] = None,
    board: Annotated[
        str | None, typer.Option("--board", "-b", metavar="NAME", help="Board, such as bluepill.")
    ] = None,
    emulator: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="unicorn, which counts instructions; or qemu, where it is installed, which also has the Cortex-M55.",
        ),
    ] = "unicorn",
    measure: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Count instructions in so much of the sound, after the first inference; slow. 0: not at all.",
        ),
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Run a model's firmware on an emulated chip: prints what its serial port says, then what it took.

    The lines are those of `mltk classify_audio --audio`: the same C code computes them.
    """
    from mltk.firmware.emulators import find_emulator
    from mltk.firmware.firmware import make_firmware
    from mltk.utils.errors import DeviceError

    if not measure >= 0:
        raise DeviceError(f"Instructions can be counted in 0 or more seconds of sound, not in {measure:g}")
    machine = find_emulator(emulator)
    made = make_firmware(model, _board(target, board), test)
    sound = _started(_blocks(audio, made.detector.sample_rate_hz))
    result = machine(made).run(sound, None if as_json else _print_line, measure_s=measure)
    if as_json:
        print(result.to_json())
    else:
        print(f"\n{result.to_string()}")


def _board(target: str | None, board: str | None) -> "Board":
    from mltk.firmware.boards import board_of, find_board
    from mltk.firmware.targets import find_target
    from mltk.utils.errors import DeviceError

    if board is None:
        return board_of(find_target(target or _DEFAULT_TARGET))
    if target is not None:
        raise DeviceError("--target and --board exclude each other: a board has its processor")
    return find_board(board)


def _blocks(audio: str, rate_hz: int) -> "Iterator[npt.NDArray[np.int16]]":
    from mltk.detection.sources import file_blocks, raw_blocks

    return raw_blocks(sys.stdin.buffer, rate_hz) if audio == "-" else file_blocks(audio, rate_hz)


def _started(blocks: "Iterator[npt.NDArray[np.int16]]") -> "Iterator[npt.NDArray[np.int16]]":
    """Take the first block now: a file that can not be read is told before anything is built."""
    from itertools import chain, islice

    return chain(list(islice(blocks, 1)), blocks)


def _print_line(line: str) -> None:
    from mltk.utils.text import printable

    print(printable(line), flush=True)
