"""The picture of a quantization report: signal to noise ratio and saturation of every layer."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from mltk.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mltk.evaluation.quantization import QuantizationReport

_ROW_INCHES = 0.19
# Below 20 dB the error is a tenth of the signal; above 30 dB it is a thirtieth.
_POOR_DB, _GOOD_DB = 20.0, 30.0
_SHOWN_PERCENT = 0.05  # smaller shares are in the table
_COLOURS = (
    ("#c0392b", f"below {_POOR_DB:.0f} dB"),
    ("#e0a030", f"{_POOR_DB:.0f} to {_GOOD_DB:.0f} dB"),
    ("#3b7dd8", f"above {_GOOD_DB:.0f} dB"),
)


def plot_file_name(name: str) -> str:
    """Return the file name of a model's picture."""
    return f"{name}-quantization.png"


def write_plot(report: "QuantizationReport", path: Path) -> Path:
    """Write the picture as PNG and return its path.

    Raises:
        MltkError: it can not be written.

    """
    from matplotlib.figure import Figure

    height = 2.2 + _ROW_INCHES * len(report.layers)
    figure = Figure(figsize=(10.0, height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    figure.suptitle(
        f"Quantization of {report.name}: {report.n_samples} samples, same class as float32: {report.agreement:.1%}"
    )
    _ratios(left, report)
    _saturation(right, report)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
    return path


def _ratios(axes: "Axes", report: "QuantizationReport") -> None:
    rows = range(len(report.layers))
    measured = [layer.sqnr_db for layer in report.layers]
    known = [value for value in measured if math.isfinite(value)]
    top = max([*known, 50.0])
    # A layer without any error fills the axis; one whose float values are all zero has no bar.
    lengths = [top if math.isinf(value) else 0.0 if math.isnan(value) else value for value in measured]
    axes.barh(rows, lengths, height=0.75, color=[_colour(value) for value in lengths])
    alone = [
        (row, layer.range_sqnr_db)
        for row, layer in enumerate(report.layers)
        if math.isfinite(layer.range_sqnr_db)
    ]
    axes.plot([value for _, value in alone], [row for row, _ in alone], "k|", markersize=8)
    for colour, label in _COLOURS:
        axes.barh([0], [0], color=colour, label=label)
    axes.plot([], [], "k|", markersize=8, label="this layer's scale alone")
    axes.set_yticks(list(rows), [_row_name(layer.index, layer.name) for layer in report.layers], fontsize=8)
    axes.set_ylim(len(report.layers) - 0.4, -0.6)
    axes.set_xlim(min([*known, 0.0]), None)
    axes.set_xlabel("Signal to quantization noise, dB (errors of earlier layers included)")
    axes.grid(True, axis="x", alpha=0.4)
    axes.set_axisbelow(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=8, frameon=False)


def _saturation(axes: "Axes", report: "QuantizationReport") -> None:
    shares = [100 * layer.saturated for layer in report.layers]
    axes.barh(range(len(shares)), shares, height=0.75, color="#7d5ba6")
    for row, share in enumerate(shares):
        if share >= _SHOWN_PERCENT:
            axes.annotate(
                f"{share:.2g}",
                (share, row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    axes.set_xlim(0.0, max([*shares, 0.1]) * 1.25)
    axes.set_xlabel("Saturated values, %")
    axes.tick_params(axis="y", labelleft=False)
    axes.grid(True, axis="x", alpha=0.4)
    axes.set_axisbelow(True)


def _colour(ratio_db: float) -> str:
    return _COLOURS[(ratio_db >= _POOR_DB) + (ratio_db >= _GOOD_DB)][0]


def _row_name(index: int, name: str) -> str:
    return name if index < 0 else f"{index} {name}"
