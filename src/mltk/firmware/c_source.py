"""Writing C: names, numbers, arrays and structs as C99 source text."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.tflite.plan.kernels import Kernel, element_type
from mltk.tflite.plan.steps import Constants

WIDTH = 112
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        "auto break case char const continue default do double else enum extern float for goto if inline int long "
        "main register restrict return short signed sizeof static struct switch typedef union unsigned void "
        "volatile while class new delete this template namespace operator private public protected",
    )
)


def identifier(text: str) -> str:
    """Return a C name made from any text: 'my words-2' -> 'my_words_2'."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    if not name or name[0].isdigit() or name in _KEYWORDS:
        name = f"model_{name}"
    return name


def number(value: int | float, c_type: str) -> str:
    """Return a number as C reads it back exactly."""
    if c_type == "float":
        text = repr(float(np.float32(value)))
        return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"
    if c_type == "int32_t" and value == -(2**31):
        return "INT32_MIN"  # -2147483648 is a long in C: minus applied to a number that no int holds
    return f"{value}u" if c_type.startswith("u") else str(value)


def array(name: str, c_type: str, values: npt.NDArray[Any]) -> str:
    """Return the definition of a constant array."""
    items = (number(value.item(), c_type) for value in values.reshape(-1))
    return f"static const {c_type} {name}[{values.size}] = {{\n{wrapped(items)}}};\n"


def wrapped(items: Iterable[str], indent: int = 4) -> str:
    """Return items, a comma behind each, in indented lines that are not too long."""
    margin = " " * (indent - 1)
    lines, line = [], margin
    for item in items:
        if len(line) + len(item) + 2 > WIDTH and line != margin:
            lines.append(line)
            line = margin
        line += f" {item},"
    return "\n".join([*lines, line, ""])


class Constant:
    """Collects the constant arrays of a file; equal arrays are written once."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self._names: dict[tuple[str, bytes], str] = {}

    def add(self, name: str, c_type: str, values: npt.NDArray[Any]) -> str:
        """Return the name of an array with these values, `name` if there is none yet."""
        key = (c_type, values.tobytes())
        if key not in self._names:
            self._names[key] = name
            self.text.append(array(name, c_type, values))
        return self._names[key]


def struct(kernel: Kernel, name: str, params: Constants, constants: Constant) -> str:
    """Return the definition of a kernel's parameters; their arrays go into `constants`."""
    lines = []
    for field, c_type in kernel.fields:
        value = params[field]
        if c_type.endswith(" *"):
            values = np.asarray(value, element_type(c_type, value))
            text = constants.add(f"{name}_{field}", f"{values.dtype.name}_t", values)
        else:
            assert not isinstance(value, np.ndarray)
            text = number(value, c_type)
        lines.append(f".{field} = {text},")
    body = wrapped(line[:-1] for line in lines)
    return f"static const {kernel.struct_name} {name} = {{\n{body}}};\n"


def comment(text: str) -> str:
    """Return text that can not end a C comment, as one line without trigraphs (`??/` is a backslash)."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    apart = re.sub(r"\?(?=\?)", "? ", clean)
    return apart.replace("*/", "* /").replace("/*", "/ *")
