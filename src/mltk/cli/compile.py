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
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="c|array",
            help="c: compiled, without an interpreter; array: the .tflite's bytes as a C array, for programs with one.",
        ),
    ] = "c",
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Compile an int8 model ahead of time to plain C99 without an interpreter, or write it as a C array."""
    from mltk.firmware.compile import compile_model
    from mltk.firmware.targets import HOST, find_target
    from mltk.models.loading import resolve_tflite
    from mltk.tflite.model import TfliteModel
    from mltk.utils.errors import DeviceError

    data, source = resolve_tflite(model, test)
    if form == "array":
        from mltk.firmware.model_array import write_model_array

        for path in write_model_array(TfliteModel(data, path=source), output or ".", name):
            print(path)
        return
    if form != "c":
        raise DeviceError(f"--format is '{form}': it can be c or array")
    processor = None if target.lower() == HOST else find_target(target)
    compiled = compile_model(TfliteModel(data, path=source), name, processor)
    folder = compiled.write(output or f"{compiled.name}-c")
    print(f"{folder}: {len(compiled.files)} files, arena {compiled.plan.arena_bytes:,} bytes")
