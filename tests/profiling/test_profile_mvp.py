"""How the MVP's work is counted, what it refuses, and how far the fitted model is off on models it has not seen."""

import importlib.util
import math
import statistics
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltk.profiling import mvp
from mltk.profiling.coefficients import mvp_coefficients
from mltk.profiling.estimate import accelerated_cost, cpu_cost
from mltk.profiling.operator import Operator, device_ops

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fitter():
    """The benchmark as a module."""
    pytest.importorskip("scipy", reason="the fit needs scipy (extra dev)")
    spec = importlib.util.spec_from_file_location("mvp_model", ROOT / "benchmarks" / "mvp_model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["mvp_model"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def samples(fitter, shared_dir):
    return fitter.read_tables(shared_dir / "reference" / "mvp_device_tables.json")


def conv(shape, kernel, n, output, stride=(1, 1), is_padded=True, **others) -> Operator:
    weights = (n, *kernel, shape[3])
    return Operator(
        "conv_2d", (shape, weights, (n,)), output, "int8", stride, kernel, is_padded=is_padded, **others
    )


def depthwise(shape, kernel, output, stride=(1, 1), is_padded=True) -> Operator:
    weights = (1, *kernel, output[3])
    inputs = (shape, weights, (output[3],))
    return Operator("depthwise_conv_2d", inputs, output, "int8", stride, kernel, is_padded=is_padded)


def total(plan: mvp.Plan, kind: str) -> float:
    return sum(program.count * program.work.get(kind, 0) for program in plan.programs)


def brute_force_macs(operator: Operator) -> int:
    """Multiply-accumulates with real inputs, not padding: one output after the other."""
    _, height, width, depth = operator.inputs[0]
    (kernel_h, kernel_w), (stride_h, stride_w) = operator.kernel, operator.stride
    _, out_h, out_w, channels = operator.output
    pad_h = max(0, (out_h - 1) * stride_h + kernel_h - height) // 2 if operator.is_padded else 0
    pad_w = max(0, (out_w - 1) * stride_w + kernel_w - width) // 2 if operator.is_padded else 0
    positions = sum(
        0 <= y * stride_h - pad_h + i < height and 0 <= x * stride_w - pad_w + j < width
        for y in range(out_h)
        for x in range(out_w)
        for i in range(kernel_h)
        for j in range(kernel_w)
    )
    return positions * channels * (depth if operator.name == "conv_2d" else 1)


@pytest.mark.parametrize(
    "operator",
    [
        conv((1, 49, 40, 1), (10, 8), 8, (1, 25, 20, 8), (2, 2)),
        conv((1, 12, 8, 6), (3, 3), 10, (1, 12, 8, 10)),
        conv((1, 19, 7, 5), (3, 2), 4, (1, 17, 6, 4), is_padded=False),
        depthwise((1, 59, 1, 96), (9, 1), (1, 30, 1, 96), (2, 2)),
        depthwise((1, 59, 49, 1), (7, 7), (1, 30, 25, 8), (2, 2)),
        depthwise((1, 48, 48, 6), (3, 3), (1, 48, 48, 6)),
    ],
    ids=lambda operator: f"{operator.name} {operator.inputs[0]}",
)
def test_every_real_multiplication_is_counted_once(operator):
    plan = mvp.plan(operator)
    lanes = 2 if operator.output[3] % 2 == 0 and plan.kind == "depthwise_conv_2d/positions" else 1
    if plan.kind == "depthwise_conv_2d/cuts" and operator.output[3] // operator.inputs[0][3] % 2 == 0:
        lanes = 2
    assert total(plan, "mac") * lanes + 2 * total(plan, "mac_pair") == brute_force_macs(operator)


def test_every_output_of_a_convolution_is_counted_once():
    operator = conv((1, 49, 40, 1), (10, 8), 8, (1, 25, 20, 8), (2, 2))
    plan = mvp.plan(operator)
    assert total(plan, "output") == operator.elements
    assert plan.n_programs == 1 + 4 * 6 + 5 + 5  # scaling; cut columns; the middle's cut rows; its five runs


def test_known_programs():
    assert mvp.plan(conv((1, 15, 1, 32), (1, 1), 96, (1, 15, 1, 96))).n_programs == 2
    assert mvp.plan(depthwise((1, 15, 1, 96), (9, 1), (1, 15, 1, 96))).n_programs == 15
    pool = Operator("max_pool_2d", ((1, 4, 4, 28),), (1, 2, 2, 28), "int8", (2, 2), (2, 2))
    assert mvp.plan(pool).n_programs == 14
    dense = Operator("fully_connected", ((1, 4000), (4, 4000), (4,)), (1, 4))
    assert mvp.plan(dense).n_programs == 4
    add = Operator("add", ((1, 124, 1, 32),) * 2, (1, 124, 1, 32))
    assert (mvp.plan(add).n_programs, total(mvp.plan(add), "pair")) == (2, 124 * 16)


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        (Operator("softmax", ((1, 4),), (1, 4)), "not an MVP operation"),
        (Operator("transpose_conv", ((4,),), (1, 4, 4, 2)), "transpose_conv is not modelled"),
        (Operator("add", ((1, 4), (1, 4)), (1, 4), "float32"), "input type (float32) is not int8"),
        (Operator("add", ((1, 4), (4,)), (1, 4)), "inputs of different shapes"),
        (Operator("fully_connected", ((1, 2053), (4, 2053)), (1, 4)), "weights_shape[1] (2053) > 1024"),
        (Operator("fully_connected", ((1, 8), (1500, 8)), (1, 1500)), "output_shape[1] (1500) > 1024"),
        (conv((1, 9, 9, 4), (3, 3), 4, (1, 5, 5, 4), dilation=(2, 2)), "dilation (2x2) is not 1x1"),
        (conv((1, 3, 3, 4), (1, 1), 2000, (1, 3, 3, 2000)), "output_depth (2000) > 1024"),
        (conv((1, 100, 100, 4), (1, 1), 32, (1, 100, 100, 32)), "output_stride (3200) > 2047"),
        (conv((1, 4, 4, 0), (1, 1), 4, (1, 4, 4, 4)), "empty shape"),
        (depthwise((1, 4, 4, 4), (3, 3), (1, 4, 4, 6)), "output depth (6) is not a multiple of 4"),
    ],
)
def test_reasons(operator, reason):
    with pytest.raises(mvp.NotSupportedError) as error:
        mvp.plan(operator)
    assert str(error.value) == reason


def test_a_refused_layer_goes_to_the_cpu():
    table = mvp_coefficients()
    small = conv((1, 50, 50, 4), (1, 1), 32, (1, 50, 50, 32), macs=320_000)
    large = conv((1, 100, 100, 4), (1, 1), 32, (1, 100, 100, 32), macs=1_280_000)
    assert accelerated_cost(small, table).is_supported
    refused = accelerated_cost(large, table)
    assert (refused.is_supported, refused.acc_cycles, refused.basis) == (False, 0, "assumed")
    assert refused.time_s == cpu_cost(large, table).time_s > 4 * accelerated_cost(small, table).time_s


@pytest.mark.parametrize("name", ["unidirectional_sequence_lstm", "conv_2d"])
def test_heavy_layers_outside_the_mvp_are_unsupported(name):
    lstm = Operator(name, ((1, 10, 8),), (1, 10, 4), macs=5000, dtype="int8" if name[0] == "u" else "float32")
    cost = accelerated_cost(lstm, mvp_coefficients())
    assert not cost.is_supported
    assert cost.error
    assert cost.cpu_cycles > lstm.macs


def test_light_layers_outside_the_mvp_are_no_failure():
    for name in ("reshape", "softmax", "pad", "sub", "unheard_of"):
        cost = accelerated_cost(Operator(name, ((1, 40),), (1, 40)), mvp_coefficients())
        assert (cost.is_supported, cost.error, cost.acc_cycles) == (True, "", 0)
        assert cost.cpu_cycles > 0


def test_twice_the_work_takes_about_twice_as_long():
    table = mvp_coefficients()
    for make in (
        lambda n: conv((1, 60, 1, 32), (1, 1), 48 * n, (1, 60, 1, 48 * n)),
        lambda n: depthwise((1, 30 * n, 1, 64), (9, 1), (1, 30 * n, 1, 64)),
        lambda n: Operator("fully_connected", ((1, 500), (32 * n, 500)), (1, 32 * n)),
    ):
        one, two = (accelerated_cost(make(n), table) for n in (1, 2))
        assert 1.8 < two.acc_cycles / one.acc_cycles < 2.2


def test_operations_as_the_profiles_count_them():
    assert (
        device_ops(conv((1, 49, 40, 1), (10, 8), 8, (1, 25, 20, 8), has_activation=True), 644_000) == 652_000
    )
    assert device_ops(Operator("softmax", ((1, 4),), (1, 4)), 8) == 20
    assert device_ops(Operator("reshape", ((1, 4),), (1, 4)), 4) == 0
    assert device_ops(Operator("add", ((1, 4), (1, 4)), (1, 4), has_activation=True), 4) == 4


SIZES = st.one_of(st.integers(0, 40), st.sampled_from([1024, 2049, 70_000, 2**31 - 1]))
SHAPES = st.lists(SIZES, max_size=5).map(tuple)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from([*sorted(mvp.OPERATORS), "softmax", "unidirectional_sequence_lstm"]),
    inputs=st.lists(st.one_of(SHAPES, st.tuples(SIZES, SIZES, SIZES, SIZES)), max_size=3).map(tuple),
    output=st.one_of(SHAPES, st.tuples(SIZES, SIZES, SIZES, SIZES)),
    pairs=st.tuples(*[st.tuples(SIZES.map(lambda n: max(1, n)), SIZES.map(lambda n: max(1, n)))] * 3),
    is_padded=st.booleans(),
    macs=st.integers(0, 2**62),
)
def test_any_shapes_give_a_cost_soon(name, inputs, output, pairs, is_padded, macs):
    operator = Operator(name, inputs, output, "int8", *pairs, is_padded, macs=macs)
    started = time.process_time()
    cost = accelerated_cost(operator, mvp_coefficients())
    assert time.process_time() - started < 1.0
    assert all(
        math.isfinite(value) and value >= 0 for value in (cost.acc_cycles, cost.cpu_cycles, cost.time_s)
    )
    assert cost.is_supported == (not cost.error)


def test_all_costs_are_sane():
    table = mvp_coefficients()
    numbers = [
        n for part in (table.accelerator, table.cpu) for costs in part.values() for n in costs.values()
    ]
    assert all(number >= 0 for number in numbers)
    assert 0 <= table.launch_share <= 1
    assert table.clock_hz == 78e6
    assert len(table.made["tables"]) == 10


def test_the_packaged_table_is_the_fitted_one(fitter, samples):
    found, packaged = fitter.fit(samples), mvp_coefficients()
    for part in ("accelerator", "cpu"):
        ours, theirs = getattr(packaged, part), getattr(found, part)
        assert ours.keys() == theirs.keys()
        for kind, costs in ours.items():
            assert costs == pytest.approx(theirs[kind], rel=0.01)
    assert packaged.launch_share == pytest.approx(found.launch_share, rel=0.02)
    assert packaged.clock_ratio == pytest.approx(found.clock_ratio, rel=0.02)


def within_the_limits(fitter, errors) -> bool:
    """The issue's limits: 8 % median, 20 % worst. What was reached stands in docs/profiling.md."""
    layers = [abs(e) for kind in fitter.layer_errors(errors, "acc_cycles").values() for e in kind]
    totals = fitter.totals(errors).values()
    misses = [[abs(total[what]) for total in totals] for what in ("acc", "time")]
    return statistics.median(layers) < 0.08 and all(
        statistics.median(m) < 0.08 and max(m) < 0.2 for m in misses
    )


def test_models_left_out(fitter, samples):
    errors = fitter.leave_one_out(samples)
    assert (len(errors), len(fitter.totals(errors))) == (188, 10)
    assert within_the_limits(fitter, errors)


def test_both_models_of_one_architecture_left_out(fitter, samples):
    errors = fitter.leave_out(samples, fitter.TWINS)
    assert len(errors) == 112
    assert within_the_limits(fitter, errors)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_little_hangs_on_the_expected_costs(fitter, samples, monkeypatch, factor):
    for name in ("EXPECTED_MVP", "EXPECTED_CPU"):
        expected = getattr(fitter, name)
        scaled = {
            kind: {work: factor * cost for work, cost in costs.items()} for kind, costs in expected.items()
        }
        monkeypatch.setattr(fitter, name, scaled)
    assert within_the_limits(fitter, fitter.leave_one_out(samples))


def test_leaving_out_leaves_out(fitter, samples):
    """A model's own figures do not reach its prediction: doubling them changes nothing."""
    import dataclasses

    model = "keyword_spotting_pacman"
    doubled = [
        dataclasses.replace(s, acc_cycles=2 * s.acc_cycles, time_s=2 * s.time_s) if s.model == model else s
        for s in samples
    ]
    plain, changed = (
        [e.acc_cycles for e in fitter.leave_one_out(data) if e.sample.model == model]
        for data in (samples, doubled)
    )
    assert plain == changed
