"""`mltk firmware`: a model as a whole program for a board."""

from typing import Annotated

import typer


def firmware(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
    *,
    board: Annotated[
        str,
        typer.Option(
            "--board",
            "-b",
            metavar="NAME",
            help="lm3s6965, mps2-an385, mps2-an386, mps2-an500, mps2-an505, mps3-an547, microbit or bluepill.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the program; MODEL-BOARD without it."),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Write a program that hears the model's words on a board: C files, linker script and Makefile.

    In the folder, `make` builds it with arm-none-eabi-gcc and `make TOOLS=zig` with the pip package ziglang.

    Your microphone and what is done when a word is heard are two functions of your own; see docs/firmware.md.
    """
    from mltk.firmware.boards import find_board
    from mltk.firmware.firmware import make_firmware

    made = make_firmware(model, find_board(board), test)
    folder = made.write(output or f"{made.file_name}-{made.board.name}")
    print(f"{folder}: {len(made.files)} files for {made.board.title}; build them with `make` there")
