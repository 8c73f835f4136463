"""The `mltk` command: registers the sub-commands and turns every error of the user into one sentence and exit code 2.

Only the command that is called is loaded; the others stand in the list of commands with the line that is kept here. A
command's file imports only typer at module level; what it needs it imports when it runs, so that `mltk --help` stays
fast and no command loads TensorFlow unless it trains or converts.
"""

import functools
import importlib
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, NoReturn

import typer

from mltk.utils.errors import MltkError

# Command -> its line in the list of commands: the first of its own help (tests/cli/test_cli_light.py compares them).
# The command is the function of that name in the module mltk.cli.NAME; a module with COMMANDS has sub-commands.
COMMANDS = {
    "synthesize": "Speak words with many synthetic voices into a folder with one sub-folder a word, to train on.",
    "train": "Train a model: dataset -> augmentation -> fit -> int8 .tflite -> scores -> NAME.mltk.zip.",
    "quantize": "Convert a trained Keras model to an int8 .tflite that carries its settings.",
    "evaluate": "Score a model: accuracy, confusion matrix, ROC, precision and recall, with plots.",
    "summarize": "Print a model's layers, its cost (MACs, operations, memory) and the settings stored in it.",
    "profile": "Print what a model costs, as a whole and layer by layer: size, memory, operations, cycles and time.",
    "compile": "Compile an int8 model ahead of time to plain C99 without an interpreter, or write it as a C array.",
    "firmware": "Write a program that hears the model's words on a board: C files, linker script and Makefile.",
    "run": "Run a model's firmware on an emulated chip: prints what its serial port says, then what it took.",
    "verify": "Compare features, every layer's output and the decisions, bit by bit.",
    "update_params": "Change settings inside a model's .tflite; everything that is not named stays as it is.",
    "classify_audio": "Hear keywords: prints a line such as `Heard yes (201) @4056ms` (score 0 to 255, time in the audio).",
    "view": "Show a model's layers, their sizes and weights with Netron in the browser, until Ctrl-C.",
    "view_audio": "Show a recording or the microphone as a spectrogram, with all settings of the frontend to play with.",
    "tensorboard": "Show loss, accuracy and learning rate of a model's trainings with TensorBoard, until Ctrl-C.",
    "ssh": "Run a command on another machine: send the model, show the output, bring the archive home.",
    "speech_commands": "Train, freeze and test a net with the flags of TensorFlow's Speech Commands scripts.",
}


def _print_version(value: bool) -> None:
    if value:
        from mltk import __version__

        print(f"mltk {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """From a spoken word to a chip: train, quantize, check and run keyword spotters for microcontrollers."""


def make_app(load: Collection[str] = tuple(COMMANDS)) -> typer.Typer:
    """Build the command-line application.

    Args:
        load: the commands that can be called; the others are only told of.

    """
    app = typer.Typer(
        name="mltk",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        # Plain help: importing rich takes longer than all the rest of it.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback()(_options)
    for name, line in COMMANDS.items():
        if name in load:
            _add(app, name)
        else:
            app.command(name, help=line)(_not_loaded)
    return app


def _add(app: typer.Typer, name: str) -> None:
    """Load a command's module and register the command."""
    module = importlib.import_module(f"mltk.cli.{name}")
    if hasattr(module, "COMMANDS"):
        app.add_typer(_group(module), name=name)
        return
    settings = getattr(module, "CONTEXT_SETTINGS", None)
    app.command(name, context_settings=settings)(_told_when_stopped(getattr(module, name)))


def _not_loaded() -> None:
    """Stand in for a command in the list of commands; `_called` tells which is loaded."""
    raise AssertionError("a command that was not loaded was called")


def _called(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the command that the arguments call; none for help and the like.

    It is the first word that is no option: the options before it take no values.
    """
    return tuple(word for word in arguments if not word.startswith("-"))[:1]


def _group(module: Any) -> typer.Typer:
    """Return the commands of a module that has several."""
    group = typer.Typer(help=module.HELP, no_args_is_help=True, rich_markup_mode=None)
    for name, command in module.COMMANDS.items():
        group.command(name)(_told_when_stopped(command))
    return group


def _told_when_stopped(command: Callable[..., None]) -> Callable[..., None]:
    """Let Ctrl-C end a command with a word and exit code 130; typer would end it without the word."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except KeyboardInterrupt:
            _stop()

    return run


def _stop() -> NoReturn:
    print("mltk: stopped", file=sys.stderr)
    sys.exit(130)


def main() -> None:
    """Run the command line; exit 0 when done, 2 for the user's errors, 130 after Ctrl-C."""
    try:
        make_app(_called(sys.argv[1:]))()
    except MltkError as error:
        print(f"mltk: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        _stop()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        print(f"mltk: the system refused{where}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
