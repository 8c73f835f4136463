"""`mltk ssh`: run a command on another machine and bring the archive home."""

from typing import Annotated, Any

import typer

# The reference toolkit's -h is the host here, so help is --help only; what follows the command is the command's.
CONTEXT_SETTINGS = {"help_option_names": ["--help"], "allow_interspersed_args": False}


def ssh(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND MODEL", help="train, quantize, evaluate, ... as without ssh."),
    ],
    *,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            "-h",
            help="user@host:port/folder, of which only the host is needed; or an alias of ~/.ssh/config.",
        ),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", help="TCP port of the SSH server.")] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", "--identity_file", "-i", help="Private key.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Take up the model's run that is not brought home yet.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show the output until the end; or leave it to itself.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="End and give up an earlier run of the model first.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.")] = False,
) -> None:
    """Run a command on another machine: send the model, show the output, bring the archive home.

    The run goes on when the connection is cut; it is taken up again by itself, or by --resume MODEL.
    """
    from mltk.remote.run import resume_remote, run_remote
    from mltk.utils.logging import get_logger

    get_logger(verbose)
    # Historical place of these options; no command has its own of these names.
    wait = wait and "--no-wait" not in command
    force = force or "--force" in command
    command = [word for word in command if word not in ("--no-wait", "--force")]
    if resume:
        code = resume_remote(_model_to_resume(command), host, port, identity, wait)
    else:
        code = run_remote(_parsed(command), host, port, identity, force, wait)
    if code:
        raise typer.Exit(code)


def _model_to_resume(words: list[str]) -> str:
    from mltk.remote.errors import RemoteError
    from mltk.remote.run import COMMANDS

    if len(words) == 1:
        return words[0]
    if words and words[0] in COMMANDS:
        return str(_parsed(words).model)
    raise RemoteError("--resume needs the model alone: mltk ssh --resume MODEL")


def _parsed(words: list[str]) -> Any:
    """Check the command's arguments here, before anything is sent, and find the model among them."""
    from mltk.cli.main import make_app
    from mltk.remote.errors import RemoteError
    from mltk.remote.run import COMMANDS, RemoteCommand

    name, *arguments = words or [""]
    if name not in COMMANDS:
        raise RemoteError(f"'{name}' can not be run on another machine: {', '.join(COMMANDS)} can")
    group: Any = typer.main.get_command(make_app([name]))

    def values(given: list[str]) -> dict[str, Any]:
        return dict(group.commands[name].make_context(f"mltk ssh {name}", list(given)).params)

    wanted = values(arguments)
    for index, word in enumerate(arguments):
        # An option may have the same value as the model: only the model's place changes the model alone.
        other = [*arguments[:index], word + "_", *arguments[index + 1 :]]
        if word == wanted["model"] and values(other) == {**wanted, "model": word + "_"}:
            return RemoteCommand(name, tuple(arguments), index, bool(wanted.get("test", False)))
    raise RemoteError(f"No model is among the arguments of {name}")
