"""Building C for a chip without installing a cross compiler: clang from the pip package ziglang."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from mltk.firmware.targets import Target
from mltk.utils.errors import DeviceError, MissingExtraError
from mltk.utils.files import write_text

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
# One section a function and object, so that the linker drops what nothing calls.
_SECTIONS = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
_TIMEOUT_S = 300


def compiler(target: Target) -> list[str]:
    """Return the command that compiles C for a target, without files and optimization.

    Raises:
        MissingExtraError: ziglang is not installed.

    """
    if find_spec("ziglang") is None:
        raise MissingExtraError("device", "Compiling for a chip")
    command = [sys.executable, "-m", "ziglang", "cc", "-std=c99", "-ffreestanding", "-fno-strict-aliasing"]
    # As GCC has it: the register is worth more than a debugger's easier walk up the stack.
    command.append("-fomit-frame-pointer")
    return [*command, "-target", f"thumb-freestanding-{target.float_abi}", f"-mcpu={target.cpu}"]


def build(
    files: Mapping[str, str],
    target: Target,
    linker_script: str,
    optimization: str = "-O2",
    directory: str | Path | None = None,
) -> bytes:
    """Compile and link C files to an ELF for a chip.

    Args:
        files: path -> text; every .c is compiled, with the folder of the files as include path.
        target: the processor.
        linker_script: its memories and sections.
        optimization: such as "-O2" or "-Os".
        directory: where to build; a temporary folder without one.

    Returns:
        The ELF, with symbols.

    Raises:
        DeviceError: the compiler refuses; the text has its first error.
        MissingExtraError: ziglang is not installed.

    """
    with tempfile.TemporaryDirectory(prefix="mltk-build-") as scratch:
        folder = Path(directory or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "link.ld", linker_script)
        command = [*compiler(target), optimization, "-g", *WARNINGS, *_SECTIONS]
        command += ["-Wl,-T," + str(folder / "link.ld")]
        return compile_and_link(command, files, folder, "firmware.elf", f"The C code for {target.name}")


def compile_and_link(
    command: Sequence[str], files: Mapping[str, str], folder: Path, output: str, what: str
) -> bytes:
    """Write C files into a folder, compile and link them there; return the program's bytes.

    Args:
        command: of the compiler, without files.
        files: path -> text; every .c is compiled, with the folder of the files as include path.
        folder: where to build.
        output: the program's name.
        what: the C code's name in errors.

    Raises:
        DeviceError: the compiler refuses; the text has its first error.

    """
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
    sources = [str(folder / name) for name in files if name.endswith(".c")]
    whole = [*command, f"-I{folder}", *sources, "-o", str(folder / output)]
    try:
        result = subprocess.run(
            whole, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, cwd=folder
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{what} can not be built: the compiler can not be run: {error}") from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
        raise DeviceError(f"{what} can not be built: {lines[0] if lines else 'no reason given'}")
    return (folder / output).read_bytes()
