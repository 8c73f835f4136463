"""The `mltk` command: registers the sub-commands and turns every error of the user into one sentence and exit code 2.

A command's file imports only typer at module level; what it needs it imports when it runs, so that `mltk --help` stays
fast and no command loads TensorFlow unless it trains or converts.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from mltk.utils.errors import MltkError

# Command name -> module. The function has the command's name with '-' as '_'; a module with COMMANDS has sub-commands.
COMMANDS = {
    "synthesize": "mltk.cli.synthesize",
    "train": "mltk.cli.train",
    "quantize": "mltk.cli.quantize",
    "evaluate": "mltk.cli.evaluate",
    "summarize": "mltk.cli.summarize",
    "profile": "mltk.cli.profile",
    "compile": "mltk.cli.compile",
    "speech_commands": "mltk.cli.speech_commands",
    "firmware": "mltk.cli.firmware",
    "run": "mltk.cli.run",
    "verify": "mltk.cli.verify",
    "update_params": "mltk.cli.update_params",
    "classify_audio": "mltk.cli.classify_audio",
    "view": "mltk.cli.view",
    "view_audio": "mltk.cli.view_audio",
    "tensorboard": "mltk.cli.tensorboard",
    "ssh": "mltk.cli.ssh",
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


def make_app() -> typer.Typer:
    """Build the command-line application."""
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
    for name, module in COMMANDS.items():
        loaded = importlib.import_module(module)
        if hasattr(loaded, "COMMANDS"):
            app.add_typer(_group(loaded), name=name)
            continue
        settings = getattr(loaded, "CONTEXT_SETTINGS", None)
        app.command(name, context_settings=settings)(_told_when_stopped(getattr(loaded, name)))
    return app


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
        make_app()()
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
