"""`mltk quantize`: convert a trained model to a .tflite file again, and tell what quantization costs it."""

from typing import Annotated

import typer


def quantize(
    model: Annotated[
        str, typer.Argument(help="Name or archive of a trained model, or its specification (.py).")
    ],
    *,
    weights: Annotated[str | None, typer.Option(help="Use these weights (.keras, .h5, .weights.h5).")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write the .tflite here instead of into the archive.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Folder with one sub-folder of clips per word.")] = None,
    float32: Annotated[
        bool | None,
        typer.Option(
            "--float32/--no-float32",
            help="Make NAME.float32.tflite too, or not; else the specification tells (it does by default).",
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Then compare both layer by layer: error, saturation, a picture.")
    ] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Compare what is there, without converting again.")
    ] = False,
    count: Annotated[int, typer.Option(help="Compare on that many clips at most.", min=1)] = 200,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Convert a trained Keras model to an int8 .tflite that carries its settings."""
    from mltk.utils.errors import TrainingError
    from mltk.utils.logging import get_logger

    get_logger(verbose)
    report = report or report_only
    if report_only and (weights is not None or output is not None or float32 is not None):
        raise TrainingError("--report-only converts nothing: leave out --weights, --output and --float32")
    if report and float32 is False:
        raise TrainingError("--report compares with the float32 model: leave out --no-float32")
    if json and not report:
        raise TrainingError("--json prints the report: add --report or --report-only")
    if report_only:
        from mltk.evaluation.quantization import quantization_report

        result = quantization_report(model, dataset=dataset, count=count, test=test)
        print(result.to_json() if json else result)
        return
    from mltk.training.quantize import quantize_and_report, quantize_model

    if report:
        result = quantize_and_report(
            model,
            weights=weights,
            output=output,
            dataset=dataset,
            count=count,
            test=test,
            verbose=verbose,
        )
        print(result.to_json() if json else result)
        return
    converted = quantize_model(
        model,
        weights=weights,
        output=output,
        dataset=dataset,
        test=test,
        verbose=verbose,
        float32=float32,
    )
    print(converted.summary())
