"""A command run with the second of each of its lines written down, and how busy the machine was with other things."""

import json
import os
import re
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

# Progress bars end their lines with a carriage return.
_LINE_END = re.compile(rb"[\r\n]+")


@dataclass(frozen=True)
class TimedRun:
    """What a command did, and when.

    Attributes:
        command: its arguments.
        started: the local time, ISO 8601.
        seconds: wall time from start to end.
        cpu_seconds: of the command and all its children.
        other_cpu_seconds: what everything else on the machine computed meanwhile; None where nobody tells.
        cpus: number of processors.
        lines: (seconds since the start, text) of each line of standard output and error.

    """

    command: list[str]
    started: str
    seconds: float
    cpu_seconds: float
    other_cpu_seconds: float | None
    cpus: int
    lines: list[tuple[float, str]]

    @classmethod
    def load(cls, path: Path) -> "TimedRun":
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text()))

    def save(self, path: Path) -> None:
        """Write a JSON file, a line of output a line."""
        fields = asdict(self)
        lines = fields.pop("lines")
        head = json.dumps(fields)[:-1]
        path.write_text(f'{head}, "lines": [\n' + ",\n".join(map(json.dumps, lines)) + "\n]}\n")

    def load_text(self) -> str:
        """Return how much of the machine the command had."""
        if self.other_cpu_seconds is None:
            return f"{self.cpu_seconds:.0f} s of CPU"
        share = self.other_cpu_seconds / (self.seconds * self.cpus)
        return f"{self.cpu_seconds:.0f} s of CPU, others took {share:.0%} of {self.cpus} processors"


def run_timed(command: list[str], folder: Path, environment: dict[str, str]) -> TimedRun:
    """Run a command in a folder.

    Raises:
        SystemExit: it failed; its last lines are told.

    """
    busy, times = _busy_seconds(), os.times()
    started, stamp = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    ) as process:
        assert process.stdout is not None
        rest = b""
        while chunk := process.stdout.read(1 << 16):
            *whole, rest = _LINE_END.split(rest + chunk)
            now = round(time.monotonic() - started, 3)
            lines += [(now, line.decode(errors="replace")) for line in whole if line.strip()]
    seconds = time.monotonic() - started
    after = os.times()
    own = after.children_user + after.children_system - times.children_user - times.children_system
    others = None if busy is None else max((_busy_seconds() or 0.0) - busy - own, 0.0)
    if process.returncode:
        told = "\n".join(text for _, text in lines[-20:])
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{told}")
    return TimedRun(command, stamp, seconds, own, others, os.cpu_count() or 1, lines)


def _busy_seconds() -> float | None:
    """Return the seconds that all processors have computed since the machine started (Linux)."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, soft_irq = map(int, fields[:7])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")
