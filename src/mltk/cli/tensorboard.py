"""`mltk tensorboard`: the curves of a model's training in the browser."""

from typing import Annotated

import typer


def tensorboard(
    model: Annotated[
        str, typer.Argument(help="Name, specification or archive of a model, or a folder of logs.")
    ],
    *,
    test: Annotated[bool, typer.Option("--test", help="Show the dry run's logs.")] = False,
    port: Annotated[
        int, typer.Option(help="Port on this machine.", min=0, max=65535, show_default="a free one")
    ] = 0,
    host: Annotated[str, typer.Option(help="Address to serve at; loopback only.")] = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or print the address only.")
    ] = True,
) -> None:
    """Show loss, accuracy and learning rate of a model's trainings with TensorBoard, until Ctrl-C.

    Also while the training runs. Needs the extra 'view'. The page is served to this machine only.
    """
    from mltk.viewer.show import open_browser
    from mltk.viewer.tensorboard import find_logs, running_tensorboard

    folder = find_logs(model, test)
    try:
        with running_tensorboard(folder, port, host) as board:
            print(f"{folder} in TensorBoard: {board.url}\nCtrl-C ends it.", flush=True)
            if browser:
                open_browser(board.url)
            board.wait()
    except KeyboardInterrupt:
        print()  # it is how one stops looking, no error
