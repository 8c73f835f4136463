"""What the benchmarks that `make bench` runs have in common: figures in one form, on disk and as Markdown."""

import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mltk.utils.files import write_text


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured, ours beside a peer's in the same run.

    Attributes:
        what: what was measured, for people.
        unit: of `ours` and `peer`.
        ours: the median.
        peer: the peer's median; None where there is only a limit.
        peer_name: who that is.
        ratio: how many times better than the peer (or than the limit) ours is.
        goal: the least that the ratio should be.

    """

    what: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float
    goal: float

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal


def against_peer(
    what: str,
    unit: str,
    ours: float,
    peer: float,
    peer_name: str,
    goal: float,
    *,
    more_is_better: bool = False,
) -> Figure:
    """Return a figure whose ratio is above 1 where ours is better."""
    ratio = ours / peer if more_is_better else peer / ours
    return Figure(what, unit, ours, peer, peer_name, ratio, goal)


def within_limit(what: str, unit: str, ours: float, limit: float) -> Figure:
    """Return a figure that should stay below a limit."""
    return Figure(what, unit, ours, None, f"limit {limit:g} {unit}", limit / ours, 1.0)


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found.

    Attributes:
        name: of its file, without the suffix.
        title: for people.
        figures: what is held against a peer or a limit.
        notes: what else is to be known: differing values, spreads, data.

    """

    name: str
    title: str
    figures: list[Figure]
    notes: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write FOLDER/NAME.json, beside and renamed."""
        content = asdict(self) | {"machine": machine(), "date": _now(), "command": command()}
        write_text(folder / f"{self.name}.json", json.dumps(content, indent=1) + "\n")


def read(place: Path) -> tuple[Report, dict[str, str]]:
    """Return a report and its machine, date and command."""
    content = json.loads(place.read_text())
    figures = [Figure(**figure) for figure in content["figures"]]
    about = {name: str(content[name]) for name in ("machine", "date", "command")}
    return Report(content["name"], content["title"], figures, list(content["notes"])), about


def shared_dir() -> Path:
    """Return the folder of the seeds and the models of others."""
    return Path(os.environ.get("MLTK_SHARED_DIR", Path(__file__).resolve().parents[2] / "shared"))


def reference_environment() -> dict[str, str]:
    """Return the environment in which the reference toolkit runs.

    Its TensorFlow crashes on processors with AMX otherwise; and both packages are called mltk.
    """
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    return environment


def machine() -> str:
    """Return the processor's name, its cores and the versions that matter."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}{load}"


def command() -> str:
    """Return how this benchmark was called."""
    return shlex.join(["python", "benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]])


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def table(figures: Sequence[Figure]) -> list[str]:
    """Return the figures as lines of a Markdown table."""
    lines = ["| what | ours | peer | ratio | goal | |", "| --- | --- | --- | --- | --- | --- |"]
    for one in figures:
        if one.peer is None:
            peer, goal = "", one.peer_name
        else:
            peer, goal = f"{one.peer_name} {short(one.peer)} {one.unit}", f"at least {one.goal:g} x"
        verdict = "met" if one.met else "missed"
        lines.append(
            f"| {one.what} | {short(one.ours)} {one.unit} | {peer} | {one.ratio:.1f} x | {goal} | {verdict} |"
        )
    return lines


def short(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
