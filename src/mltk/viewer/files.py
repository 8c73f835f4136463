"""The files of a page: a fixed list, so that no address can lead to another file."""

from pathlib import Path

from mltk.viewer.server import RefusedError, Reply

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}


class PageFiles:
    """The files of one folder with the endings of a web page.

    Args:
        folder: sub-folders are left out.

    """

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: path for path in folder.iterdir() if path.suffix in CONTENT_TYPES}

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def text(self, name: str) -> str:
        """Return a file's text."""
        return self._files[name].read_text(encoding="utf-8")

    def reply(self, name: str) -> Reply:
        """Return a file.

        Raises:
            RefusedError: there is none of this name.

        """
        path = self._files.get(name)
        if path is None:
            raise RefusedError(404, "There is nothing at this address")
        return Reply(path.read_bytes(), CONTENT_TYPES[path.suffix])
