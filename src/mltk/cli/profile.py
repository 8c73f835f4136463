"""`mltk profile`: what a model costs."""

from typing import Annotated

import typer

Model = Annotated[
    str, typer.Argument(help="Name or archive of a trained model, its specification, or a .tflite file.")
]
Accelerator = Annotated[
    str | None,
    typer.Option(
        "--accelerator",
        "-a",
        metavar="NAME",
        help="Predict cycles and time on a chip with this accelerator: MVP (EFR32xG24 at 78 MHz).",
    ),
]
Estimates = Annotated[
    bool,
    typer.Option(
        "--estimates/--no-estimates",
        help="Without an accelerator, estimate the CPU's cycles and the time too (Cortex-M33 at 78 MHz, "
        "within about a factor of two).",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Write the report, its numbers as JSON and a picture into DIR."
    ),
]
NoFormat = Annotated[bool, typer.Option("--no-format", help="Print 684020 instead of 684.0k.")]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        "-d",
        metavar="NAME",
        help="Measure instead of predicting: compile the model for this processor, such as cortex-m4, run it on an "
        "emulated one and count the instructions of each layer.",
    ),
]


def profile(
    model: Model,
    accelerator: Accelerator = None,
    estimates: Estimates = False,
    output: Output = None,
    no_format: NoFormat = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
    device: Device = None,
) -> None:
    """Print what a model costs, as a whole and layer by layer: size, memory, operations, cycles and time.

    Without --device nothing is run: an accelerator's cycles come from a model of it that is fitted on published
    measurements.
    """
    from mltk.profiling.profile import profile_model
    from mltk.utils.errors import DeviceError

    if device is not None:
        from mltk.firmware.profile import profile_on_chip

        if accelerator is not None or estimates:
            raise DeviceError("--device measures, --accelerator and --estimates predict: choose one of them")
        results = profile_on_chip(model, device, test)
    else:
        results = profile_model(model, test=test, accelerator=accelerator, estimates=estimates)
    if output is not None:
        from mltk.profiling.write import write_report

        for path in write_report(results, output, format_units=not no_format):
            print(path)
        return
    print(results.to_json() if as_json else results.to_string(format_units=not no_format))
