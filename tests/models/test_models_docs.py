"""The specification in the documentation is one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "specification.md"


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="the extra 'train' is not installed")
def test_documented_specification_loads_and_builds(tmp_path):
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "my_words.py").write_text(code, encoding="utf-8")
    script = (
        "from mltk.core import load_mltk_model; m = load_mltk_model('my_words');"
        "print(m.name, m.build_model().output_shape, m.tflite_parameters()['detection_threshold'])"
    )
    environment = {**os.environ, "MLTK_CACHE_DIR": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "my_words"
    assert done.stdout.split()[-2:] == ["4)", "185"]
