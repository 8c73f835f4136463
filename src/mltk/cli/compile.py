"""`mltk compile`: a model as C source."""

from typing import Annotated

import typer


def compile(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
    *,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder for the C files; NAME-c without it.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Prefix of the C names; the model's name without it.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="Processor, such as cortex-m4; host: plain C for any.")
    ] = "host",
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Compile an int8 model ahead of time to plain C99 without an interpreter."""
    from mltk.firmware.compile import compile_model
    from mltk.firmware.targets import HOST, find_target
    from mltk.models.loading import resolve_tflite
    from mltk.tflite.model import TfliteModel

    data, source = resolve_tflite(model, test)
    processor = None if target.lower() == HOST else find_target(target)
    compiled = compile_model(TfliteModel(data, path=source), name, processor)
    folder = compiled.write(output or f"{compiled.name}-c")
    print(f"{folder}: {len(compiled.files)} files, arena {compiled.plan.arena_bytes:,} bytes")
