"""`mltk evaluate`: score a trained model on labelled recordings."""

from typing import Annotated

import typer


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Name, archive, specification (.py), .tflite, .h5 or .keras file.")
    ],
    *,
    tflite: Annotated[
        bool, typer.Option("--tflite", help="Score the int8 .tflite, not the float model.")
    ] = False,
    weights: Annotated[str | None, typer.Option(help="Float model: use these weights.")] = None,
    count: Annotated[int, typer.Option(help="Score that many samples of each class at most; -1: all.")] = -1,
    dataset: Annotated[
        str | None,
        typer.Option(help="Score this folder (one sub-folder of clips per word), all of its clips."),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show the plots in windows too.")] = False,
    update_archive: Annotated[bool, typer.Option(help="Put the results into the model's archive.")] = True,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Float model: let the Python in the archive run (specification, Lambda layers)."
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="What runs the .tflite: litert; tflm, what a device computes (Linux only); native, the same on every "
            "machine.",
        ),
    ] = "litert",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.")] = False,
) -> None:
    """Score a model: accuracy, confusion matrix, ROC, precision and recall, with plots."""
    from mltk.evaluation.evaluate import evaluate_model
    from mltk.utils.logging import get_logger

    get_logger(verbose)
    results = evaluate_model(
        model,
        tflite=tflite,
        weights=weights,
        max_samples_per_class=count,
        dataset=dataset,
        test=test,
        show=show,
        update_archive=update_archive,
        trust=trust,
        verbose=verbose,
        engine=engine,
    )
    print(results)
