"""`mltk verify`: are they the same bits in Python, in C and on the chip?"""

from typing import Annotated

import typer

Audio = Annotated[
    str | None,
    typer.Option(
        "--audio", "-a", metavar="FILE", help="Let all of them hear this recording; a made-up sound without."
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", metavar="NAME", help="Emulate this processor too; may be repeated. Without: cortex-m4."
    ),
]
Inputs = Annotated[
    int,
    typer.Option(
        "--inputs", metavar="N", help="So many random inputs and windows of the sound through every layer."
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Write verify.txt, verify.json and the picture verify.png."
    ),
]


def verify(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
    *,
    audio: Audio = None,
    target: Targets = None,
    inputs: Inputs = 10,
    seed: Annotated[int, typer.Option(help="Of what is random.")] = 0,
    output: Output = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the table.")
    ] = False,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Compare features, every layer's output and the decisions, bit by bit.

    What TensorFlow Lite Micro and Python's frontend compute is held against mltk's kernels in Python, the generated C on
    this machine and the generated C on an emulated chip. The first value that differs is named.

    Exit code 0: the same bits everywhere; 1: a difference; 2: it could not be compared.
    """
    from mltk.firmware.parity import verify_model
    from mltk.firmware.parity_report import write_report
    from mltk.firmware.targets import find_target
    from mltk.models.loading import resolve_tflite
    from mltk.tflite.model import TfliteModel
    from mltk.utils.progress import stderr_console

    data, source = resolve_tflite(model, test)
    console = stderr_console()
    with console.status("comparing") as status:
        report = verify_model(
            TfliteModel(data, path=source),
            audio,
            [find_target(name) for name in target] if target else None,
            inputs,
            seed,
            tell=status.update,
        )
    if as_json:
        print(report.to_json())
    else:
        report.print()
    if output is not None:
        for path in write_report(report, output):
            print(path, file=console.file)
    if not report.is_same:
        raise typer.Exit(1)
