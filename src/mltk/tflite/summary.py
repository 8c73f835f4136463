"""The printed description of a .tflite: operator table, cost, parameters, file size."""

from collections.abc import Iterable, Sequence
from typing import Any

from mltk.tflite.layers import TfliteLayer

_HEADINGS = ("Index", "OpCode", "Input(s)", "Output(s)", "Config")


def grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with +---+ borders above, below and under the headings.

    Args:
        headings: one a column.
        rows: the cells; a cell with line breaks takes several lines.

    """
    lines: list[tuple[str, ...]] = []
    for row in rows:
        cells = [cell.split("\n") for cell in row]
        height = max(map(len, cells))
        lines += [tuple(cell[i] if i < len(cell) else "" for cell in cells) for i in range(height)]
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([border, line(headings), border, *map(line, lines), border])


def layer_table(layers: Iterable[TfliteLayer]) -> str:
    """Return the operator table."""
    return grid(
        _HEADINGS,
        (
            (
                str(layer.index),
                layer.name,
                "\n".join(str(tensor) for tensor in layer.inputs if tensor is not None),
                "\n".join(map(str, layer.outputs)),
                layer.config,
            )
            for layer in layers
        ),
    )


def with_unit(value: float) -> str:
    """Return '336.000 k' for 336000 and '4.562 M' for 4561728; a number below 1000 as it is."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3f} {unit}"
    return f"{value:g}"


def file_size(size_bytes: int) -> str:
    """Return '21.6kB' for 21616 bytes."""
    return f"{size_bytes / 1e6:.1f}MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f}kB"


def parameter_lines(parameters: dict[str, Any], description: str) -> list[str]:
    """Return the lines 'Name: ...' to the last parameter; those that every model has come first."""
    known = {"name", "version", "description", "classes", "runtime_memory_size", "hash", "date"}
    lines = [
        f"{label}: {parameters[key]}"
        for label, key in (("Name", "name"), ("Version", "version"))
        if key in parameters
    ]
    if description:
        lines.append(f"Description: {description}")
    if "classes" in parameters:
        lines.append(f"Classes: {_value_text(parameters['classes'])}")
    if "runtime_memory_size" in parameters:
        lines.append(f"Runtime memory size (RAM): {with_unit(parameters['runtime_memory_size'])}")
    lines += [f"{key}: {parameters[key]}" for key in ("hash", "date") if key in parameters]
    return lines + [f"{key}: {_value_text(value)}" for key, value in parameters.items() if key not in known]


def _value_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
