"""However a training ends, no shared memory and no process of it stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mltk.datasets.pool import ProcessPool
from mltk.utils.errors import DatasetError

SHARED_MEMORY = Path("/dev/shm")

pytestmark = pytest.mark.skipif(
    not SHARED_MEMORY.is_dir(), reason="shared memory is seen as files on Linux only"
)

SCRIPT = """
import os, sys, time
from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.datasets.selection import Clip
from mltk.frontend.settings import AudioFeatureGeneratorSettings
path, ending = sys.argv[1:]
settings = AudioFeatureGeneratorSettings(sample_length_ms=1000)
generator = ParallelAudioDataGenerator(frontend_settings=settings, dtype="int8", cores=1)
feed = generator.feed([Clip(path, 0, index, "someone") for index in range(40)], n_classes=1, batch_size=4)
for epoch in range(1 if ending == "returns" else 10_000):
    for number, batch in enumerate(feed):
        if (epoch, number) == (0, 3):
            import loky
            worker = next(iter(feed._pool._executor._processes))
            print(feed._ring._memory.name, worker, flush=True)
        if (epoch, number) == (0, 6) and ending == "fails":
            raise RuntimeError("the loss is not a number")
        if ending != "returns":
            time.sleep(0.005)
if ending == "returns":
    print("done", flush=True)
"""


def left_of(pid: int, memory: str) -> list[str]:
    """Name what is left, once nothing more goes away for two seconds' time."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        left = [
            path.name
            for path in SHARED_MEMORY.iterdir()
            if path.name == memory or path.name.startswith(f"sem.loky-{pid}-")
        ]
        if not left:
            return []
        time.sleep(0.1)
    return left


def is_running(pid: int) -> bool:
    """Whether there is such a process (one that only waits to be collected has ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [
        ("returns", 0, ""),
        ("fails", 1, "RuntimeError: the loss is not a number"),
        ("ctrl-c", -signal.SIGINT, "KeyboardInterrupt"),
        ("terminated", -signal.SIGTERM, None),
        ("killed", -signal.SIGKILL, None),
        ("worker killed", 1, "DatasetError: A worker process that prepares batches was killed"),
    ],
)
def test_nothing_stays(tmp_path, ending, code, told):
    path = tmp_path / "clip.wav"
    samples = np.random.default_rng(1).integers(-9000, 9000, 16000, dtype=np.int16)
    soundfile.write(path, samples, 16000, subtype="PCM_16")
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        line = run.stdout.readline().split()
        assert len(line) == 2, run.communicate()[1]
        memory, worker = line[0], int(line[1])
        if ending == "ctrl-c":
            os.killpg(run.pid, signal.SIGINT)  # a terminal tells every process of the group
        elif ending == "terminated":
            run.terminate()
        elif ending == "killed":
            run.kill()
        elif ending == "worker killed":
            os.kill(worker, signal.SIGKILL)
        _, errors = run.communicate(timeout=60)
    assert run.returncode == code, errors
    # None: the resource trackers tell what a process that was ended from outside left to them.
    if told is not None:
        assert "leaked" not in errors
        assert told in errors
        assert bool(errors) == bool(told)
    assert left_of(run.pid, memory) == []
    end = time.monotonic() + 10
    while is_running(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_running(worker)


def test_a_system_that_starts_no_workers_is_told(monkeypatch):
    def none(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loky.ProcessPoolExecutor", none)
    with pytest.raises(DatasetError, match=r"can not be started \(No space left on device\).*shm-size"):
        ProcessPool(1, "wait").submit_task(abs, -1)
