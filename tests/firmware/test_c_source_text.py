"""Text of a model's author in C comments: it stays a comment, in one line, and compiles without a warning."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mltk.firmware.c_source import comment

HOSTILE = ["*/ int x; /*", "/*/", "**//", "what??/", "???/", "????????/ */", "a\nb\r\x1b[2J", "ends in \\"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_a_comment(text: str) -> None:
    shown = comment(text)
    assert "*/" not in shown
    assert "/*" not in shown
    assert "??" not in shown
    assert shown.isprintable()
    assert comment("Hears yes? No.") == "Hears yes? No."


def test_compilers_accept_it(tmp_path: Path) -> None:
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler on this machine")
    lines = [f"/* x:\n *\n * {comment(text)}\n *\n * y */" for text in HOSTILE]
    (tmp_path / "a.c").write_text("\n".join([*lines, "extern int a;", ""]), encoding="utf-8")
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "a.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
