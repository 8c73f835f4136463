"""Show a page to the user until Ctrl-C."""

import os
import sys
import threading
import webbrowser

from mltk.viewer.server import LocalServer


def show(server: LocalServer, what: str, browser: bool) -> None:
    """Print a page's address, open it, and wait for Ctrl-C.

    Args:
        server: closed at the end.
        what: what is shown, for the printed line.
        browser: open the user's browser, where there is a screen.

    """
    try:
        print(f"{what}: {server.url}\nCtrl-C ends it.", flush=True)
        if browser:
            open_browser(server.url)
        _wait()
    except KeyboardInterrupt:
        # It is how one stops looking, no error.
        print()
    finally:
        server.close()


def open_browser(url: str) -> None:
    """Open an address in the user's browser, where there is a screen."""
    if _has_screen() and not webbrowser.open(url):
        print("No browser could be started: open the address yourself.", file=sys.stderr)


def _wait() -> None:
    # In pieces, which lets Ctrl-C through on Windows.
    pause = threading.Event()
    while not pause.wait(0.5):
        pass


def _has_screen() -> bool:
    """Tell whether a browser has somewhere to appear; a text browser would take the terminal."""
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    )
