"""`mltk train`: train a model, quantize it, score it and put all of it into an archive."""

from typing import Annotated

import typer


def train(
    model: Annotated[
        str, typer.Argument(help="Name, specification (.py) or archive; NAME-test is a dry run.")
    ],
    *,
    epochs: Annotated[int | None, typer.Option(help="Epochs; -1 trains until early stopping.")] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove earlier logs and checkpoints first.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Folder with one sub-folder of clips per word.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Start from these weights (.weights.h5, .keras).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is random.")] = None,
    evaluate: Annotated[bool, typer.Option(help="Score the float and the int8 model afterwards.")] = True,
    post: Annotated[bool, typer.Option("--post", help="Run the model's own steps after training.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Dry run: few samples, few epochs.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show the plots in windows too.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.")] = False,
) -> None:
    """Train a model: dataset -> augmentation -> fit -> int8 .tflite -> scores -> NAME.mltk.zip."""
    from mltk.training.train import train_model
    from mltk.utils.logging import get_logger

    get_logger(verbose)
    results = train_model(
        model,
        weights=weights,
        epochs=epochs,
        resume=resume,
        clean=clean,
        test=test,
        verbose=verbose,
        seed=seed,
        dataset=dataset,
        evaluate=evaluate,
        post=post,
        show=show,
    )
    print(results)
