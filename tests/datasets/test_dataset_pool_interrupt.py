"""Ctrl-C while worker processes start: they never see it, so no traceback of a child reaches the terminal."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import operator, os, signal, time
from mltk.datasets.pool import ProcessPool
interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(1))
pool = ProcessPool(2, "be patient")
futures = [pool.submit_task(operator.add, 1, index) for index in range(4)]
for _ in range(10):  # while the children import
    os.killpg(0, signal.SIGINT)
    time.sleep(0.02)
print([pool.wait(future) for future in futures], len(interrupts) > 0)
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
pool.stop()
"""


@pytest.mark.skipif(os.name != "posix", reason="terminals tell Ctrl-C to process groups on POSIX only")
def test_starting_workers_do_not_see_ctrl_c():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=120,
    )
    assert run.stderr == ""
    assert run.stdout == "[1, 2, 3, 4] True\n"
