"""`mltk view_audio`: audio as the frontend and a model see it, in the browser."""

from typing import Annotated

import typer


def view_audio(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Name or archive of a trained model, or a .tflite file: what it hears is shown too.",
            show_default="features only",
        ),
    ] = None,
    *,
    audio: Annotated[
        str | None, typer.Option("--audio", "-a", metavar="FILE", help="Show this recording at first.")
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port on this machine.", min=0, max=65535, show_default="a free one")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser, or print the address only.")
    ] = True,
) -> None:
    """Show a recording or the microphone as a spectrogram, with all settings of the frontend to play with.

    The page is served to this machine only and talks to nobody else. With a model its settings are the start
    and its detections are marked. The settings can be copied into a specification or for `mltk update_params`.
    """
    from mltk.viewer.analysis import Listener
    from mltk.viewer.audio_page import AudioPage
    from mltk.viewer.clip import Clip
    from mltk.viewer.show import show

    listener = None if model is None else Listener(model)
    clip = None if audio is None else Clip.from_file(audio)
    title = "Audio viewer" if listener is None else f"Audio viewer with {listener.name}"
    show(AudioPage(listener, clip).serve(port), title, browser)
