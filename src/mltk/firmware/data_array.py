"""Data as C source: a definition and a header that declares it, for C99, C11 and C++ alike."""

from dataclasses import dataclass
from pathlib import Path

from mltk.firmware.c_source import comment, identifier, wrapped
from mltk.utils.errors import DeviceError
from mltk.utils.files import make_folder, write_text

# What the kernels of any device want at most.
ALIGNMENT = 16


@dataclass(frozen=True)
class ArraySource:
    """An array as two files.

    Attributes:
        name: the array's name in C.
        header, source: the files' texts.

    """

    name: str
    header: str
    source: str

    def write(self, source: str | Path) -> tuple[Path, Path]:
        """Write the source to a path and the header beside it, each whole or not at all; return (source, header).

        Raises:
            MltkError: they can not be written.

        """
        path = Path(source)
        make_folder(path.parent)
        header = path.with_suffix(".h")
        write_text(header, self.header.replace("@HEADER@", identifier(header.name).upper()))
        return write_text(path, self.source.replace("@HEADER@", header.name)), header


def array_source(
    name: str,
    c_type: str,
    items: list[str],
    numbers: dict[str, int],
    about: str,
    alignment: int = 1,
) -> ArraySource:
    """Return an array and the numbers that belong to it.

    Args:
        name: of the array.
        c_type: of an element.
        items: the elements as C.
        numbers: names of `const int`s -> values.
        about: what it is, for the comment.
        alignment: in bytes.

    Raises:
        DeviceError: a name is no C name.

    """
    for one in (name, *numbers):
        if one != identifier(one):
            raise DeviceError(f"'{one}' can not be a name in C: use letters, digits and '_'")
    text = "\n * ".join(comment(line) for line in about.splitlines())
    declared = [f"extern const {c_type} {name}[];", *(f"extern const int {one};" for one in numbers)]
    header = [
        f"/* {text} */",
        "#ifndef @HEADER@_",
        "#define @HEADER@_",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        *declared,
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        "#endif /* @HEADER@_ */",
        "",
    ]
    source = [f"/* {text} */", '#include "@HEADER@"', ""]
    aligned = ""
    if alignment > 1:
        macro = f"ALIGNED_{name}".upper()
        aligned = f"{macro} "
        source += [
            "#if defined(__cplusplus)",
            f"#define {macro} alignas({alignment})",
            "#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L",
            f"#define {macro} _Alignas({alignment})",
            "#else",
            f"#define {macro} __attribute__((aligned({alignment})))",
            "#endif",
            "",
        ]
    source += [f"{aligned}const {c_type} {name}[] = {{\n{wrapped(items, 2)}}};"]
    source += [f"const int {one} = {value};" for one, value in numbers.items()]
    return ArraySource(name, "\n".join(header), "\n".join([*source, ""]))
