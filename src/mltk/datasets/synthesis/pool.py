"""Speaks blocks in worker processes, each in a fresh one, several at a time."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from typing import IO

import numpy as np

from mltk.datasets.synthesis.interface import Block, Request, Utterance, VoiceSettings
from mltk.utils.errors import DatasetError

TIMEOUT_S = 60.0
"""A synthesizer that says nothing for so long hangs: a word takes it milliseconds, its start a second."""

BLOCK_SIZE = 50
"""Clips a process: enough to make its start (0.2 s) cheap, and a part of the results, so do not change it."""

_POLL_S = 0.2


def default_workers() -> int:
    """Return how many processes may run at a time: one for each core this process may use, at most eight."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), 8)
    return min(os.cpu_count() or 1, 8)


def deal(requests: Sequence[Request], engines: Sequence[str], language: str, seed: int) -> list[Block]:
    """Deal requests out to engines, who take turns at the clips of each word, and cut the shares into blocks.

    The blocks depend on the arguments alone, never on the number of workers.
    """
    first = {word: i for i, word in enumerate(dict.fromkeys(request.word for request in requests))}
    blocks = []
    for number, engine in enumerate(engines):
        share = [r for r in requests if (first[r.word] + r.index) % len(engines) == number]
        for start in range(0, len(share), BLOCK_SIZE):
            blocks.append(Block(engine, language, seed, tuple(share[start : start + BLOCK_SIZE])))
    return blocks


def speak_blocks(
    blocks: Sequence[Block], workers: int | None = None
) -> Generator[tuple[int, list[Utterance]], None, None]:
    """Speak blocks in parallel.

    Args:
        blocks: from `deal`.
        workers: processes at a time; None for one a core.

    Yields:
        Index of a block and its clips in the order of its requests; the blocks come as they finish.

    Raises:
        DatasetError: a word can not be spoken, or the synthesizer crashed or hung on one. All processes have
            ended then, as they have after Ctrl-C and when the caller stops taking results.

    """
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise DatasetError(f"Speaking needs at least 1 worker, not {workers}")
    jobs = [_Job(block) for block in blocks]
    executor = ThreadPoolExecutor(workers, thread_name_prefix="mltk-synthesis")
    try:
        waiting: dict[Future[list[Utterance]], int] = {
            executor.submit(job.run): i for i, job in enumerate(jobs)
        }
        while waiting:
            finished, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            for future in finished:
                yield waiting.pop(future), future.result()
            for job in jobs:
                job.check_time()
    finally:
        for job in jobs:
            job.stop()
        executor.shutdown(wait=True, cancel_futures=True)


class _Job:
    """One block on its way through one process."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._process: subprocess.Popen[bytes] | None = None
        self._last_sign = 0.0
        self._stopped = False
        self._hung = False

    def stop(self) -> None:
        """End the process, now or before it starts. Called from the main thread."""
        self._stopped = True
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()

    def check_time(self) -> None:
        """End a process that hangs."""
        if self._process is not None and time.monotonic() - self._last_sign > TIMEOUT_S:
            self._hung = True
            self.stop()

    def run(self) -> list[Utterance]:
        """Speak the block. Called in a thread of the pool."""
        with tempfile.TemporaryFile() as complaints:
            self._last_sign = time.monotonic()
            process = _start(complaints)
            self._process = process
            try:
                if self._stopped:  # while it was started
                    raise DatasetError("Speaking was stopped")
                return self._talk(process, complaints)
            finally:
                self._process = None
                process.kill()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        with contextlib.suppress(OSError):
                            pipe.close()
                process.wait()

    def _talk(self, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> list[Utterance]:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):  # it died at once: reading will tell
            process.stdin.write(json.dumps(asdict(self._block)).encode())
            process.stdin.close()
        utterances = []
        for request in self._block.requests:
            header_line = process.stdout.readline()
            if not header_line.endswith(b"\n"):
                raise self._death(process, request, complaints)
            header = json.loads(header_line)
            if "error" in header:
                raise DatasetError(header["error"])
            data = process.stdout.read(2 * header["samples"])
            if len(data) != 2 * header["samples"]:
                raise self._death(process, request, complaints)
            self._last_sign = time.monotonic()
            utterances.append(
                Utterance(
                    request,
                    self._block.engine,
                    header["text"],
                    VoiceSettings(**header["settings"]),
                    np.frombuffer(data, "<i2").astype(np.int16, copy=False),
                )
            )
        return utterances

    def _death(
        self, process: subprocess.Popen[bytes], request: Request, complaints: IO[bytes]
    ) -> DatasetError:
        """Make the error for a process that ended early."""
        engine, word = self._block.engine, request.word
        if self._hung:
            return DatasetError(
                f"The synthesizer {engine} hangs: no sound for '{word}' in {TIMEOUT_S:.0f} s; "
                "leave this word out or use another engine"
            )
        code = process.wait()
        complaints.seek(0)
        lines = complaints.read()[-4000:].decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else "it said nothing"
        return DatasetError(
            f"The synthesizer {engine} ended with code {code} while it spoke '{word}': {reason}"
        )


def _start(complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a worker that finds the modules this process finds, and none that lies in the current folder."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "mltk.datasets.synthesis.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
        )
    except OSError as error:
        raise DatasetError(f"Can not start a process for the synthesizer: {error}") from error
