"""`mltk view`: a model's graph in the browser."""

from typing import Annotated

import typer


def view(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
    *,
    tflite: Annotated[bool, typer.Option("--tflite", help="The int8 .tflite, not the Keras model.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
    port: Annotated[
        int, typer.Option(help="Port on this machine.", min=0, max=65535, show_default="a free one")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or print the address only.")
    ] = True,
) -> None:
    """Show a model's layers, their sizes and weights with Netron in the browser, until Ctrl-C.

    Needs the extra 'view'. The page is served to this machine only and talks to nobody else.
    """
    from mltk.utils.logging import get_logger
    from mltk.viewer.graph import load_graph, serve_graph
    from mltk.viewer.show import show

    get_logger()
    graph = load_graph(model, tflite, test)
    show(serve_graph(graph, port), f"{graph.name} in Netron", browser)
