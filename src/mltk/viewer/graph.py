"""A model's graph in Netron, served by us.

Netron's page, left alone, asks ipinfo.io where the user is, reports to Google Analytics, stops working 180 days
after its release, and its server answers to any Host. Here its files are served as they are, with four values put
into the head of its first page (a development version reports nothing; the first value of a name counts) and
with a Content-Security-Policy under which the browser reaches nobody else.
"""

import datetime
import html
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from mltk.models.archive import ModelArchive
from mltk.models.loading import find_archive
from mltk.models.search import find_model
from mltk.utils.errors import ArchiveError, MissingExtraError, ModelError
from mltk.utils.files import read_bytes
from mltk.utils.logging import get_mltk_logger
from mltk.viewer.files import PageFiles
from mltk.viewer.server import LocalServer, RefusedError, Reply, Request

# Styles are in Netron's page itself.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class GraphFile:
    """What Netron shows: the file's name, whose ending tells its format, and its bytes."""

    name: str
    data: bytes


def load_graph(model: str, tflite: bool = False, test: bool = False) -> GraphFile:
    """Return a model's graph; nothing of an archive's Python is run, and nothing is unpacked to the disk.

    Args:
        model: name, archive or specification of a trained model, or a .tflite file.
        tflite: the int8 .tflite, not the Keras model. Without it the .tflite is shown too, with a word, where
            an archive has no Keras model.
        test: the dry run is meant.

    Raises:
        ModelError: there is no such model, or it is not trained yet.
        ArchiveError: the archive is damaged, or has neither.

    """
    if Path(model).suffix == ".tflite":
        found = find_model(model)
        return GraphFile(found.path.name, read_bytes(found.path, "model"))
    archive = ModelArchive.open(find_archive(model, test))
    if tflite:
        return GraphFile(f"{archive.name}.tflite", archive.tflite_bytes())
    try:
        member = archive.keras_member()
    except ArchiveError:
        if archive.tflite_member() is None:
            raise
        get_mltk_logger().warning(
            "%s has no Keras model (.keras or .h5): this is its .tflite, which --tflite shows without a word",
            archive.path,
        )
        return GraphFile(f"{archive.name}.tflite", archive.tflite_bytes())
    return GraphFile(Path(member).name, archive.read(member))


def serve_graph(graph: GraphFile, port: int = 0) -> LocalServer:
    """Serve Netron with a graph on loopback.

    Args:
        graph: what to show.
        port: 0 takes a free one.

    Raises:
        MissingExtraError: netron is not installed.
        ModelError: its pages are not as expected.
        DeviceError: the port is taken.

    """
    files = PageFiles(_netron_folder())
    # Netron does not escape what it puts into an address; the ending is what it needs.
    address = f"data/model{Path(graph.name).suffix}"
    page = _first_page(files, graph.name, address)

    def answer(request: Request) -> Reply:
        if request.method != "GET":
            raise RefusedError(405, "There is nothing to send to this page")
        if request.path in ("", "index.html"):
            # With this cookie Netron does not ask ipinfo.io whether to ask for cookies.
            cookie = {"Set-Cookie": "consent=1; Path=/; SameSite=Strict"}
            return Reply(page, "text/html; charset=utf-8", headers=cookie)
        if request.path == address:
            return Reply(graph.data, "application/octet-stream")
        return files.reply(request.path)

    return LocalServer(answer, _POLICY, port)


def _netron_folder() -> Path:
    # Found, not imported: its server is not used.
    spec = importlib.util.find_spec("netron")
    if spec is None or spec.origin is None:
        raise MissingExtraError("view", "Showing a model's graph")
    return Path(spec.origin).parent


def _first_page(files: PageFiles, name: str, address: str) -> bytes:
    page = files.text("index.html") if "index.html" in files else ""
    if page.count("<head>") != 1:
        raise ModelError("This release of netron is built differently: pip install 'netron>=9,<10'")
    values = {
        "version": "0.0.0",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "type": "Python",
        "file": address,
        "identifier": name,
    }
    metas = "".join(f'<meta name="{key}" content="{html.escape(text)}">' for key, text in values.items())
    return page.replace("<head>", f"<head>\n{metas}").encode()
