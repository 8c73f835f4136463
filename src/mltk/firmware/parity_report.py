"""What a comparison of engines found: as a table, as JSON, as a picture."""

import io
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mltk.firmware.sound_engines import Trace
from mltk.utils.files import make_folder, replacing
from mltk.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

_MOST_LINES = 200  # of layers in a picture
_MOST_HEARD = 4  # lines above the sound
_PLAIN_WIDTH = 60  # of a table in a file or a pipe, without its engines
REPORT, NUMBERS, PICTURE = "verify.txt", "verify.json", "verify.png"


@dataclass(frozen=True)
class Cell:
    """How one engine's values compare with the reference's.

    Attributes:
        n_values: compared.
        n_different: whose bytes are not the same.
        largest: the largest difference, in steps of the tensor's type.

    """

    n_values: int = 0
    n_different: int = 0
    largest: float = 0.0

    def plus(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> "Cell":
        """Return the sum with one more pair of arrays."""
        if a.dtype == b.dtype and a.tobytes() == b.tobytes():
            return Cell(self.n_values + a.size, self.n_different, self.largest)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
        differs = np.frombuffer(a.tobytes(), np.uint8) != np.frombuffer(b.tobytes(), np.uint8)
        count = int(differs.reshape(a.size, -1).any(axis=1).sum())
        largest = max(self.largest, float(np.nan_to_num(apart, nan=np.inf).max(initial=0)))
        return Cell(self.n_values + a.size, self.n_different + count, largest)


@dataclass(frozen=True)
class Row:
    """Something that every engine computes.

    Attributes:
        kind: "features", "layer" or "decisions".
        name: such as "3 conv_2d".
        shape: of one of it.
        cells: engine -> how it compares; an engine that does not compute it is missing.

    """

    kind: str
    name: str
    shape: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Difference:
    """The first value at which an engine differs.

    Attributes:
        engine: which.
        row: of what.
        place: in which input.
        index: where in the tensor.
        expected: the reference's value.
        got: the engine's.

    """

    engine: str
    row: str
    place: str
    index: tuple[int, ...]
    expected: str
    got: str

    def to_string(self, reference: str) -> str:
        """Return one sentence."""
        where = ", ".join(map(str, self.index))
        return (
            f"{self.engine} differs first in {self.row}, value [{where}] of {self.place}: "
            f"{self.got} instead of {self.expected} ({reference})"
        )


@dataclass(frozen=True)
class ParityReport:
    """A comparison.

    Attributes:
        name: the model's.
        reference: what the others are held to.
        engines: the others.
        rows: what was compared, in the order of computation.
        differences: the first one of each engine that has one, the earliest first.
        n_inputs: inputs that went through every layer.
        notes: what was not compared, and why.
        sound: the reference's trace of the sound.

    """

    name: str
    reference: str
    engines: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    n_inputs: int
    notes: tuple[str, ...] = ()
    sound: Trace | None = field(default=None, repr=False)

    @property
    def is_same(self) -> bool:
        """Every value of every engine is the same."""
        return not self.differences

    @property
    def n_values(self) -> int:
        """Values that were compared, over all engines."""
        return sum(cell.n_values for row in self.rows for cell in row.cells.values())

    def summary(self) -> str:
        """Return the verdict: one sentence, with a difference the first one."""
        if self.differences:
            return self.differences[0].to_string(self.reference)
        return f"The same bits: {self.n_values:,} values, each as {self.reference} computes it"

    def to_table(self) -> "Table":
        """Return a table for a terminal."""
        from rich.table import Table
        from rich.text import Text

        title = f"{self.name}: compared with {self.reference}"
        caption = f"{self.n_inputs} inputs through every layer"
        if self.sound is not None:
            caption += (
                f"; a sound with {len(self.sound.inputs)} inferences, {len(self.sound.lines)} words heard"
            )
        table = Table(title=Text(title), caption=Text(caption), title_justify="left", caption_justify="left")
        table.add_column("Step")
        table.add_column("Shape", style="dim")
        table.add_column("Values", justify="right", style="dim")
        for engine in self.engines:
            table.add_column(Text(engine), justify="center")
        kind = ""
        for row in self.rows:
            if kind and row.kind != kind:
                table.add_section()
            kind = row.kind
            n_values = max((cell.n_values for cell in row.cells.values()), default=0)
            table.add_row(
                Text(row.name),
                row.shape,
                f"{n_values:,}",
                *(_mark(row.cells.get(engine)) for engine in self.engines),
            )
        return table

    def to_string(self) -> str:
        """Return the table and the verdict as plain text."""
        from rich.console import Console

        text = io.StringIO()
        width = _PLAIN_WIDTH + 18 * len(self.engines)
        console = Console(file=text, width=width, color_system=None, highlight=False)
        console.print(self.to_table())
        return text.getvalue() + "\n".join([*self.lines(), ""])

    def print(self) -> None:
        """Print table and verdict in colour, where a terminal looks."""
        from rich.console import Console

        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_PLAIN_WIDTH + 18 * len(self.engines))
        console.print(self.to_table())
        verdict, *others = self.lines()
        console.print(
            verdict, style="bold green" if self.is_same else "bold red", markup=False, soft_wrap=True
        )
        for line in others:
            console.print(line, markup=False, soft_wrap=True)

    def lines(self) -> list[str]:
        """Return what stands below the table: the verdict, the other engines' first differences, the notes."""
        others = [difference.to_string(self.reference) for difference in self.differences[1:]]
        return [self.summary(), *others, *(f"Note: {printable(note)}" for note in self.notes)]

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(
            {
                "model": self.name,
                "same": self.is_same,
                "reference": self.reference,
                "engines": list(self.engines),
                "inputs": self.n_inputs,
                "values": self.n_values,
                "heard": list(self.sound.lines) if self.sound is not None else None,
                "rows": [
                    {
                        "kind": row.kind,
                        "name": row.name,
                        "shape": row.shape,
                        "engines": {name: asdict(cell) for name, cell in row.cells.items()},
                    }
                    for row in self.rows
                ],
                "differences": [asdict(difference) for difference in self.differences],
                "notes": list(self.notes),
            },
            ensure_ascii=False,
        )

    def draw(self) -> bytes:
        """Return a PNG: the sound's features and what was heard, below it a grid of steps and engines."""
        from matplotlib.figure import Figure

        rows = _thinned(self.rows)
        has_sound = self.sound is not None and len(self.sound.features) > 0
        heights = [2.2] * has_sound + [0.8 + 0.2 * len(rows)]
        figure = Figure(figsize=(4.2 + 1.5 * len(self.engines), 1.0 + sum(heights)), layout="constrained")
        axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        if has_sound:
            self._draw_sound(axes[0])
        self._draw_grid(axes[-1], rows)
        colour = "tab:green" if self.is_same else "tab:red"
        figure.suptitle(
            printable(f"{self.name}\n{self.summary()}", keep="\n"),
            fontsize=10,
            color=colour,
            parse_math=False,
            wrap=True,
        )
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=110)
        return picture.getvalue()

    def _draw_sound(self, axes: "Axes") -> None:
        assert self.sound is not None
        axes.imshow(
            self.sound.features.T, aspect="auto", origin="lower", cmap="magma", interpolation="nearest"
        )
        more = len(self.sound.lines) - _MOST_HEARD
        heard = "; ".join(("", *self.sound.lines[:_MOST_HEARD], *([f"{more} more"] if more > 0 else [])))
        axes.set_title(
            printable(f"Features of the sound ({self.reference}){heard}")[:200], fontsize=7, parse_math=False
        )
        axes.set_xlabel("Window", fontsize=8)
        axes.set_ylabel("Channel", fontsize=8)
        axes.tick_params(labelsize=7)

    def _draw_grid(self, axes: "Axes", rows: "list[Row]") -> None:
        """Draw a cell for each step and engine: green for the same, red the more values differ, grey for none."""
        shares = np.full((len(rows), len(self.engines)), np.nan)
        for y, row in enumerate(rows):
            for x, engine in enumerate(self.engines):
                cell = row.cells.get(engine)
                if cell is not None:
                    shares[y, x] = cell.n_different / max(1, cell.n_values)
        colours = np.full((*shares.shape, 3), 0.85)
        colours[shares == 0] = (0.55, 0.80, 0.55)
        red = shares > 0
        depth = np.clip(1 + np.log10(np.maximum(shares[red], 1e-4)) / 4, 0, 1)
        colours[red] = np.stack([np.full_like(depth, 0.95), 0.7 - 0.6 * depth, 0.6 - 0.5 * depth], axis=1)
        axes.imshow(colours, aspect="auto", interpolation="nearest")
        for y, row in enumerate(rows):
            for x, engine in enumerate(self.engines):
                cell = row.cells.get(engine)
                text = (
                    "" if cell is None else "same" if not cell.n_different else f"{cell.n_different:,} differ"
                )
                axes.text(x, y, text, ha="center", va="center", fontsize=6)
        axes.set_xticks(range(len(self.engines)), [printable(engine) for engine in self.engines], fontsize=8)
        axes.set_yticks(
            range(len(rows)), [printable(row.name)[:40] for row in rows], fontsize=7, parse_math=False
        )
        axes.set_xticks(np.arange(-0.5, len(self.engines)), minor=True)
        axes.set_yticks(np.arange(-0.5, len(rows)), minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        axes.tick_params(which="both", length=0)
        axes.xaxis.tick_top()


def _mark(cell: Cell | None) -> "Any":
    from rich.text import Text

    if cell is None:
        return Text("-", style="dim")
    if not cell.n_different:
        return Text("same", style="green")
    return Text(f"{cell.n_different:,} differ, up to {cell.largest:g}", style="bold red")


def _thinned(rows: tuple[Row, ...]) -> list[Row]:
    """Return the rows of a picture: all that differ, and of a very deep graph not all of the others."""
    if len(rows) <= _MOST_LINES:
        return list(rows)
    step = -(-len(rows) // _MOST_LINES)
    return [
        row
        for place, row in enumerate(rows)
        if place % step == 0 or any(cell.n_different for cell in row.cells.values())
    ][: 2 * _MOST_LINES]


def write_report(report: ParityReport, folder: str | os.PathLike[str]) -> list[Path]:
    """Write verify.txt, verify.json and verify.png into a folder, all or none; return the files.

    Raises:
        MltkError: the folder can not be written.

    """
    contents = {
        REPORT: report.to_string().encode(),
        NUMBERS: (report.to_json() + "\n").encode(),
        PICTURE: report.draw(),
    }
    target = make_folder(folder)
    with ExitStack() as files:
        for name, content in contents.items():
            files.enter_context(replacing(target / name)).write_bytes(content)
    return [target / name for name in contents]
