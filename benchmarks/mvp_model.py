"""Fit the model of the MVP accelerator on measured tables, and check it on tables that it has not seen.

python benchmarks/mvp_model.py [TABLES.json] [--leave-one-out] [--write]

TABLES.json holds the published device profiles: {model: {"summary": {...}, "layers": [{"OpCode": ..., ...}]}}.
--leave-one-out fits on all but one model and predicts that one, each in turn. --write puts the table fitted on
all models into the package.

The fit is least squares with costs of no less than zero. An error counts relative to the value plus what the
printed digits hide. Each cost is held, loosely (half of itself is one standard deviation), to an expectation:
an instruction is a cycle and a load is one, as far as the kernels' text tells. So a kind of work that no table
shows keeps a sensible cost. The expectations that carry weight are listed in docs/profiling.md.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares, nnls

from mltk.profiling import mvp
from mltk.profiling.coefficients import TABLE, Coefficients
from mltk.profiling.estimate import accelerated_cost, plan_time_s, program_cycles, touched_elements
from mltk.profiling.operator import Operator

ROOT = Path(__file__).resolve().parents[1]
# Two of one architecture: what one of them tells is more than what a stranger tells.
TWINS = {"keyword_spotting_alexa", "keyword_spotting_heygecko"}
DEFAULT = ROOT.parent / "shared" / "reference" / "mvp_device_tables.json"

CLOCK_HZ = 78e6
ACC_NOISE = 0.01  # the MVP's cycles are counted: what is left is contention for the memory
CPU_NOISE = 0.05  # firmware versions differ
TICK_S = 3e-5  # of the clock that the times are taken with
PRIOR_SPREAD = 0.5

# Expected MVP cycles: what instructions and loads in the loops come to.
EXPECTED_MVP = {
    "conv_2d": {
        "program": 20.0,
        "scale": 1.0,
        "scale_pair": 1.0,
        "output": 3.0,
        "row": 0.2,
        "mac": 1.25,
        "mac_pair": 1.5,
        "step": 1.0,
    },
    "depthwise_conv_2d": {"program": 20.0, "output": 4.0, "activation": 2.0, "cut_output": 6.0, "mac": 3.0},
    "fully_connected": {"program": 20.0, "output": 6.0, "mac": 3.0},
    "average_pool_2d": {"program": 20.0, "output": 3.0, "value": 1.0},
    "max_pool_2d": {"program": 20.0, "output": 2.0, "value": 1.0},
    "elementwise": {"program": 20.0, "pair": 7.0},
}
# Expected CPU cycles: writing a program takes 2000, entering an operator 1000, touching a value 30, copying one 5,
# a function of one 700. All of these kinds stand in several tables, so that little hangs on the expectations.
EXPECTED_CPU = {
    "conv_2d": {"layer": 1000.0, "program": 2000.0},
    "depthwise_conv_2d/positions": {"layer": 1000.0, "program": 2000.0},
    "fully_connected": {"layer": 1000.0, "program": 1000.0},
    "max_pool_2d": {"layer": 1000.0, "program": 2000.0},
    "elementwise": {"layer": 1000.0, "program": 1000.0},
    "reshape": {"layer": 500.0, "element": 5.0},
    "quantize": {"layer": 500.0, "element": 30.0},
    "softmax": {"layer": 1000.0, "element": 700.0},
}
# Kinds that one table shows, or hardly more: what is expected is what the fit found for another kind, times a factor.
# So leaving that one table out leaves out all that it tells.
EXPECTED_LIKE = {
    "depthwise_conv_2d/cuts": {
        "layer": ("conv_2d", "layer", 1.0),
        "program": ("conv_2d", "program", 1.0),
        "cut": ("conv_2d", "program", 2.0),
    },
    "average_pool_2d": {
        "layer": ("max_pool_2d", "layer", 1.0),
        "program": ("max_pool_2d", "program", 1.0),
        "element": ("quantize", "element", 1.0),
    },
    "dequantize": {"layer": ("quantize", "layer", 1.0), "element": ("quantize", "element", 1.0)},
    "logistic": {"layer": ("softmax", "layer", 1.0), "element": ("softmax", "element", 1.0)},
}


@dataclass(frozen=True)
class Sample:
    """One measured layer."""

    model: str
    operator: Operator
    plan: mvp.Plan | None
    acc_cycles: float
    cpu_cycles: float
    time_s: float

    @property
    def kind(self) -> str:
        return self.plan.kind if self.plan else self.operator.name


@dataclass(frozen=True)
class Error:
    """A left-out layer: what was measured and what was predicted."""

    sample: Sample
    acc_cycles: float
    cpu_cycles: float
    time_s: float


def read_tables(path: Path) -> list[Sample]:
    """Return the layers of all tables."""
    tables = json.loads(path.read_text("utf-8"))
    return [_sample(model, row) for model, table in tables.items() for row in table["layers"]]


def _sample(model: str, row: dict[str, Any]) -> Sample:
    operator = operator_of_row(row)
    try:
        plan = mvp.plan(operator)
    except mvp.NotSupportedError:
        plan = None
    return Sample(model, operator, plan, row["Acc Cycles"], row["CPU Cycles"], row["Time (s)"])


def operator_of_row(row: dict[str, Any]) -> Operator:
    """Return a table's row as an operator."""
    options = dict(part.split(":") for part in row["Options"].lower().split() if ":" in part)
    inputs = tuple(_shape(text) for text in row["Input Shape"].split(","))
    width, height = _shape(options.get("stride", "1x1"))
    kernel = _shape(options.get("filter", "1x1"))[::-1]
    if row["OpCode"] in ("conv_2d", "depthwise_conv_2d"):
        kernel = inputs[1][1:3]
    return Operator(
        name=row["OpCode"],
        inputs=inputs,
        output=_shape(row["Output Shape"]),
        stride=(height, width),
        kernel=(kernel[0], kernel[1]),
        is_padded=options.get("padding") == "same",
        has_activation=options.get("activation", "none") != "none",
        macs=int(row["# MACs"]),
    )


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("x"))


def fit(samples: list[Sample], made: dict[str, Any] | None = None) -> Coefficients:
    """Return the costs that explain the samples best."""
    accelerator = {
        family: _fit_costs(
            [
                (_work(sample), sample.acc_cycles)
                for sample in samples
                if sample.plan and sample.plan.family == family
            ],
            expected,
            ACC_NOISE,
        )
        for family, expected in EXPECTED_MVP.items()
    }
    cpu = {kind: _fit_cpu(samples, kind, expected) for kind, expected in EXPECTED_CPU.items()}
    for kind, sources in EXPECTED_LIKE.items():
        expected = {work: factor * cpu[like][cost] for work, (like, cost, factor) in sources.items()}
        cpu[kind] = _fit_cpu(samples, kind, expected)
    launch_share, clock_ratio = _fit_time(samples, accelerator, cpu)
    return Coefficients(made or {}, CLOCK_HZ, accelerator, cpu, launch_share, clock_ratio)


def _fit_cpu(samples: list[Sample], kind: str, expected: dict[str, float]) -> dict[str, float]:
    rows = [(_cpu_work(sample), sample.cpu_cycles) for sample in samples if sample.kind == kind]
    return _fit_costs(rows, expected, CPU_NOISE)


def _work(sample: Sample) -> Counter[str]:
    assert sample.plan is not None
    total: Counter[str] = Counter()
    for program in sample.plan.programs:
        total["program"] += program.count
        for kind, times in program.work.items():
            total[kind] += program.count * times  # type: ignore[assignment]
    return total


def _cpu_work(sample: Sample) -> dict[str, float]:
    if sample.plan is None:
        return {"layer": 1.0, "element": touched_elements(sample.operator)}
    return {"layer": 1.0, "program": sample.plan.n_programs, **sample.plan.extra}


def _fit_costs(
    rows: list[tuple[dict[str, float], float]], expected: dict[str, float], noise: float
) -> dict[str, float]:
    """Return costs >= 0: least squares over the distinct rows, with the expectations as loose rows."""
    distinct: dict[tuple[tuple[float, ...], float], float] = {}
    for work, measured in rows:
        if measured > 0:
            distinct[tuple(work.get(kind, 0.0) for kind in expected), measured] = _hidden(measured)
    matrix = [np.array(work) for work, _ in distinct]
    values = [measured for _, measured in distinct]
    weights = [1.0 / np.hypot(noise * measured, hidden) for (_, measured), hidden in distinct.items()]
    for index, cost in enumerate(expected.values()):
        matrix.append(np.eye(len(expected))[index])
        values.append(cost)
        weights.append(1.0 / (PRIOR_SPREAD * cost))
    left, right, base = np.array(matrix), np.array(values), np.array(weights)
    robust = np.ones(len(base))
    for _ in range(10):  # outliers weigh less: soft-L1 by reweighting
        scale = base * robust
        costs, _ = nnls(left * scale[:, None], right * scale)
        misses = (left @ costs - right) * base / 3.0
        robust = (1.0 + misses**2) ** -0.25
    return {kind: float(f"{cost:.4g}") for kind, cost in zip(expected, costs, strict=True)}


def _hidden(printed: float) -> float:
    """Return how far the value may lie from its printed form (one decimal of k or M)."""
    unit = 1e6 if printed >= 1e6 else 1e3 if printed >= 1e3 else 1.0
    return 0.05 * unit


def _fit_time(
    samples: list[Sample], accelerator: dict[str, dict[str, float]], cpu: dict[str, dict[str, float]]
) -> tuple[float, float]:
    planned = [sample for sample in samples if sample.plan]

    def misses(values: Any) -> list[float]:
        table = Coefficients({}, CLOCK_HZ, accelerator, cpu, float(values[0]), float(values[1]))
        return [
            (plan_time_s(sample.plan, program_cycles(sample.plan, table), table) - sample.time_s)
            / (0.03 * sample.time_s + TICK_S)
            for sample in planned
            if sample.plan
        ]

    found = least_squares(misses, [0.4, 1.0], bounds=([0.0, 0.8], [1.0, 1.25]), loss="soft_l1").x
    return float(f"{found[0]:.4g}"), float(f"{found[1]:.4g}")


def leave_out(samples: list[Sample], models: set[str]) -> list[Error]:
    """Return the layers of some models as predicted from the others."""
    table = fit([sample for sample in samples if sample.model not in models])
    errors = []
    for sample in samples:
        if sample.model in models:
            cost = accelerated_cost(sample.operator, table)
            errors.append(Error(sample, cost.acc_cycles or 0.0, cost.cpu_cycles, cost.time_s))
    return errors


def leave_one_out(samples: list[Sample]) -> list[Error]:
    """Return every layer as predicted from the other models."""
    models = dict.fromkeys(sample.model for sample in samples)
    return [error for model in models for error in leave_out(samples, {model})]


def totals(errors: Iterable[Error]) -> dict[str, dict[str, float]]:
    """Return each model's error of the accelerator's cycles, the CPU's cycles and the time, as shares."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 6)
    for error in errors:
        found = (error.acc_cycles, error.cpu_cycles, error.time_s)
        measured = (error.sample.acc_cycles, error.sample.cpu_cycles, error.sample.time_s)
        sums[error.sample.model] = [
            a + b for a, b in zip(sums[error.sample.model], (*found, *measured), strict=True)
        ]
    return {
        model: {name: values[i] / values[i + 3] - 1.0 for i, name in enumerate(("acc", "cpu", "time"))}
        for model, values in sums.items()
    }


def layer_errors(errors: Iterable[Error], what: str) -> dict[str, list[float]]:
    """Return the layers' errors as shares by kind of kernel; `what` is "acc_cycles" or "cpu_cycles"."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for error in errors:
        measured = getattr(error.sample, what)
        if measured > 0:
            by_kind[error.sample.kind].append(getattr(error, what) / measured - 1.0)
    return by_kind


def report(errors: list[Error], twins: list[Error]) -> str:
    """Return the tables of errors."""
    lines = ["| model left out | accelerator cycles | CPU cycles | time |", "| --- | --- | --- | --- |"]
    by_model = totals(errors)
    lines += [
        f"| {model} | {e['acc']:+.1%} | {e['cpu']:+.1%} | {e['time']:+.1%} |" for model, e in by_model.items()
    ]
    for name, pick in (("median", np.median), ("worst", np.max)):
        shown = [f"{pick([abs(e[what]) for e in by_model.values()]):.1%}" for what in ("acc", "cpu", "time")]
        lines.append(f"| **{name} of the absolute errors** | {' | '.join(shown)} |")
    lines += [
        f"| {model}, both TENet12 left out | {e['acc']:+.1%} | {e['cpu']:+.1%} | {e['time']:+.1%} |"
        for model, e in totals(twins).items()
    ]
    lines += ["", "| kernel | layers | accelerator cycles: median, worst | CPU cycles: median, worst |"]
    lines += ["| --- | --- | --- | --- |"]
    acc, cpu = layer_errors(errors, "acc_cycles"), layer_errors(errors, "cpu_cycles")
    for kind in sorted(cpu):
        lines.append(f"| {kind} | {len(cpu[kind])} | {_spread(acc.get(kind))} | {_spread(cpu[kind])} |")
    everything = [error for kind in acc.values() for error in kind]
    cpu_errors = [error for kind in cpu.values() for error in kind]
    lines.append(f"| **all** | {len(cpu_errors)} | {_spread(everything)} | {_spread(cpu_errors)} |")
    return "\n".join(lines)


def _spread(errors: list[float] | None) -> str:
    if not errors:
        return "-"
    sizes = np.abs(errors)
    return f"{np.median(sizes):.1%}, {np.max(sizes):.1%}"


def main() -> None:
    """Fit, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    samples = read_tables(options.tables)
    made = {
        "command": "python benchmarks/mvp_model.py --write",
        "tables": dict(Counter(sample.model for sample in samples)),
        "tables_sha256": hashlib.sha256(options.tables.read_bytes()).hexdigest(),
    }
    table = fit(samples, made)
    if options.leave_one_out:
        print(report(leave_one_out(samples), leave_out(samples, TWINS)))
    else:
        print(table.to_json(), end="")
    if options.write:
        (ROOT / "src" / "mltk" / "profiling" / TABLE).write_text(table.to_json(), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
