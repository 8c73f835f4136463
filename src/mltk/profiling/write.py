"""A profile as files: the report, the numbers, a picture."""

import io
import os
from contextlib import ExitStack
from pathlib import Path

from mltk.profiling.numbers import with_prefix
from mltk.profiling.results import ProfilingResults
from mltk.utils.files import make_folder, replacing
from mltk.utils.text import printable

REPORT, NUMBERS, PICTURE = "profile.txt", "profile.json", "profile.png"

_MOST_BARS = 120  # a larger graph's small layers go together


def write_report(
    results: ProfilingResults, folder: str | os.PathLike[str], format_units: bool = True
) -> list[Path]:
    """Write profile.txt, profile.json and profile.png into a folder, all or none.

    Args:
        results: the profile.
        folder: is made where it is missing.
        format_units: 684.0k in the report, else 684020.

    Returns:
        The files.

    Raises:
        MltkError: the folder can not be written.

    """
    contents = {
        REPORT: (results.to_string(format_units) + "\n").encode(),
        NUMBERS: (results.to_json() + "\n").encode(),
        PICTURE: draw(results),
    }
    target = make_folder(folder)
    with ExitStack() as files:
        for name, content in contents.items():
            files.enter_context(replacing(target / name)).write_bytes(content)
    return [target / name for name in contents]


def draw(results: ProfilingResults) -> bytes:
    """Return a PNG: what each layer takes, as a bar; instructions or time where known, else multiply-accumulates."""
    from matplotlib.figure import Figure

    layers = results.layers
    times = [layer.time_s for layer in layers if layer.time_s is not None]
    is_time = len(times) == len(layers) and bool(layers)
    values, label = [layer.macs / 1e3 for layer in layers], "Multiply-accumulates (thousands)"
    total = f"{with_prefix(results.macs)} MACs"
    if results.device is not None:
        values, label = [(layer.instructions or 0) / 1e3 for layer in layers], "Instructions (thousands)"
        total = f"{with_prefix(results.device.instructions)} instructions on {results.device.name}"
    elif is_time:
        values, label = [1e3 * time for time in times], "Time (ms)"
        total = f"{with_prefix(results.time_s or 0.0)}s"
    shown = sorted(sorted(range(len(layers)), key=lambda i: -values[i])[:_MOST_BARS])
    figure = Figure(figsize=(8.0, 1.6 + 0.22 * max(1, len(shown))), layout="constrained")
    axes = figure.subplots()
    labels = [printable(f"{layers[i].index} {layers[i].name}")[:40] for i in shown]
    colours = ["tab:red" if layers[i].is_supported is False else "tab:blue" for i in shown]
    axes.barh(range(len(shown)), [values[i] for i in shown], color=colours)
    axes.set_yticks(range(len(shown)), labels, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlabel(label)
    on = f" on {results.accelerator}" if results.accelerator else ""
    axes.set_title(printable(f"{results.name}{on}: {total}")[:80], parse_math=False)
    if any(layer.is_supported is False for layer in layers):
        axes.plot([], [], "s", color="tab:red", label="beyond the accelerator's limits")
        axes.legend(loc="lower right", fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()
