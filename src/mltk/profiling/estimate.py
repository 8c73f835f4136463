"""Cycles and time of one operator, from the counts of its work and the fitted costs.

The time of an operator on the MVP follows from how CPU and MVP take turns: while a program runs, the CPU
writes the next one; starting it is what nothing overlaps. Fully connected layers, additions and
multiplications wait for each program.
"""

from dataclasses import dataclass
from typing import Literal

from mltk.profiling import mvp
from mltk.profiling.coefficients import Coefficients
from mltk.profiling.operator import Operator

Basis = Literal["measured", "assumed"]

# Kernels that wait for a program's end before they write the next one.
_WAITING = {"fully_connected", "elementwise"}

# Operators on the CPU that no published table holds are taken to cost as much an element as one that is.
_LIKE = {
    "reshape": {
        *("pad", "padv2", "mirror_pad", "concatenation", "strided_slice", "slice", "transpose", "split"),
        *("split_v", "pack", "unpack", "gather", "expand_dims", "squeeze", "tile", "broadcast_to", "fill"),
        *("shape", "space_to_depth", "depth_to_space", "zeros_like", "resize_nearest_neighbor"),
    },
    "softmax": {
        *("tanh", "exp", "log", "rsqrt", "sqrt", "pow", "log_softmax", "elu", "sin", "cos"),
        *("hard_swish", "gelu"),
    },
}

# Instructions a multiply-accumulate of int8 CMSIS-NN kernels on a Cortex-M33, taken as cycles. From totals of
# five published models counted in an emulator (../shared/reference/device-baselines.md of this project's
# material): a first layer of depth 1 costs more, long depthwise windows most. Recurrent layers and float: not
# counted, an assumption.
_MACS = {
    "conv_2d": 2.4,
    "conv_2d/depth 1": 7.0,
    "depthwise_conv_2d": 2.5,
    "depthwise_conv_2d/not 3x3": 10.0,
    "fully_connected": 2.4,
    "other": 10.0,
    "float": 12.0,
}


@dataclass(frozen=True)
class LayerCost:
    """What one operator costs.

    Attributes:
        acc_cycles: cycles in which the accelerator works; None where there is none.
        cpu_cycles: cycles in which the CPU works.
        time_s: seconds from start to end.
        is_supported: False where the accelerator was expected to run it and its limits say no.
        error: the reason.
        basis: "measured" where the kernel's costs are fitted on measurements, "assumed" where they are taken
            from a similar one.

    """

    acc_cycles: float | None
    cpu_cycles: float
    time_s: float
    is_supported: bool
    error: str
    basis: Basis


def accelerated_cost(operator: Operator, table: Coefficients) -> LayerCost:
    """Return what an operator costs on a chip with the MVP."""
    try:
        plan = mvp.plan(operator)
    except mvp.NotSupportedError as reason:
        cost = cpu_cost(operator, table)
        expected = operator.name in mvp.OPERATORS or operator.macs > 0
        return LayerCost(
            0.0, cost.cpu_cycles, cost.time_s, not expected, str(reason) if expected else "", cost.basis
        )
    error = mvp.warning(operator)
    cycles = program_cycles(plan, table)
    basis: Basis = "measured" if operator.name != "mul" else "assumed"
    return LayerCost(
        acc_cycles=sum(count * each for count, each in cycles),
        cpu_cycles=plan_cpu_cycles(plan, table),
        time_s=plan_time_s(plan, cycles, table),
        is_supported=not error,
        error=error,
        basis=basis,
    )


def program_cycles(plan: mvp.Plan, table: Coefficients) -> list[tuple[int, float]]:
    """Return (how many, the MVP's cycles for one) of a plan's programs."""
    costs = table.accelerator[plan.family]
    fixed = costs.get("program", 0.0)
    return [
        (program.count, fixed + sum(costs.get(kind, 0.0) * times for kind, times in program.work.items()))
        for program in plan.programs
    ]


def plan_cpu_cycles(plan: mvp.Plan, table: Coefficients) -> float:
    """Return the CPU's cycles for a plan: a part for the operator, a part for each program, and the rest."""
    fixed, each = _cpu_parts(plan, table)
    return fixed + each * plan.n_programs


def plan_time_s(plan: mvp.Plan, cycles: list[tuple[int, float]], table: Coefficients) -> float:
    """Return the seconds that a plan takes with the CPU and the MVP working in turns."""
    fixed, each = _cpu_parts(plan, table)
    share = 1.0 if plan.kind in _WAITING else table.launch_share
    launch, prepare = each * share, each * (1.0 - share)
    total = fixed + prepare + sum(count * (max(run, prepare) + launch) for count, run in cycles)
    return total / (table.clock_hz * table.clock_ratio)


def _cpu_parts(plan: mvp.Plan, table: Coefficients) -> tuple[float, float]:
    """Return the CPU's cycles for the operator as a whole, and for each program."""
    costs = table.cpu[plan.kind]
    fixed = costs["layer"] + costs.get("element", 0.0) * plan.extra.get("element", 0.0)
    cuts = costs.get("cut", 0.0) * plan.extra.get("cut", 0.0)
    return fixed, costs["program"] + cuts / max(1, plan.n_programs)


def cpu_cost(operator: Operator, table: Coefficients) -> LayerCost:
    """Return what an operator costs on the CPU alone: a Cortex-M33 with CMSIS-NN's kernels."""
    basis: Basis = "measured" if _is_measured_on_cpu(operator.name, table) else "assumed"
    if operator.macs:
        cycles, basis = _macs_on_cpu(operator) * operator.macs, "assumed"
    else:
        costs = table.cpu[_like(operator.name, table)]
        cycles = costs["layer"] + costs.get("element", 0.0) * touched_elements(operator)
    return LayerCost(None, cycles, cycles / (table.clock_hz * table.clock_ratio), True, "", basis)


def touched_elements(operator: Operator) -> int:
    """Return how many values the CPU touches: a reduction its input's, the others their output's."""
    first = 1
    for size in operator.inputs[0] if operator.inputs else (0,):
        first *= size
    return max(first, operator.elements)


def _is_measured_on_cpu(name: str, table: Coefficients) -> bool:
    return name in table.cpu and "program" not in table.cpu[name]


def _like(name: str, table: Coefficients) -> str:
    if _is_measured_on_cpu(name, table):
        return name
    return next((known for known, names in _LIKE.items() if name in names), "quantize")


def _macs_on_cpu(operator: Operator) -> float:
    name = operator.name
    if operator.dtype != "int8":
        return _MACS["float"]
    if name == "conv_2d" and operator.is_image and operator.inputs[0][3] == 1:
        return _MACS["conv_2d/depth 1"]
    if name == "depthwise_conv_2d" and operator.kernel != (3, 3):
        return _MACS["depthwise_conv_2d/not 3x3"]
    return _MACS.get(name, _MACS["other"])
