"""Only one process at a time."""

import subprocess
import sys
import textwrap
from pathlib import Path

from mltk.utils.lock import file_lock

HOLD_AND_COUNT = """
import sys, time
from pathlib import Path
from mltk.utils.lock import file_lock
counter = Path(sys.argv[1])
for _ in range(5):
    with file_lock(counter):
        value = int(counter.read_text())
        time.sleep(0.01)
        counter.write_text(str(value + 1))
"""


def test_processes_take_turns(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", textwrap.dedent(HOLD_AND_COUNT), str(counter)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "15"


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    target = tmp_path / "target"
    code = f"import os\nfrom mltk.utils.lock import file_lock\nwith file_lock({str(target)!r}): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with file_lock(target):
        pass
    if sys.platform != "win32":
        assert list(tmp_path.iterdir()) == []
