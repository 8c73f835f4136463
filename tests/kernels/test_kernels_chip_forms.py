"""The kernels' forms for processors with more than plain Thumb instructions, over random layers: every byte as TFLM has it.

A graph holds many layers side by side, each with its own input and output: one program a processor runs them all.
"""

from typing import Any

import numpy as np
import pytest
from kernels_cases import INT32, SAME, VALID, Builder, random_inputs, run_tflm, schema, window_out

from mltk.firmware.bench import ChipModel
from mltk.firmware.bench_qemu import QemuModel
from mltk.firmware.compile import compile_model
from mltk.firmware.qemu import has_qemu
from mltk.firmware.targets import find_target
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan import forms

pytest.importorskip("ziglang", reason="needs the extra device")
pytest.importorskip("unicorn", reason="needs the extra device")

LAYERS = 40
SEEDS = 2
CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33", "cortex-m55")
# The DSP form has two layouts of the weights, chosen by how many there are: either on one of two like cores.
MOST_WIDE_WEIGHTS = {"cortex-m4": 0, "cortex-m33": 2**31}
Ends = tuple[list[int], int]


class Layers:
    """Random layers, each reading inputs of its own."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.build = Builder()

    def number(self, lowest: int, highest: int) -> int:
        return int(self.rng.integers(lowest, highest + 1))

    def tensor(self, shape: tuple[int, ...], scale: float | None = None) -> int:
        return self.build.tensor(
            shape, scale=scale or float(self.rng.uniform(0.01, 0.2)), zero_point=self.number(-128, 127)
        )

    def scales(self, count: int) -> list[float]:
        """Return the weights' scales; some layers' sums are scaled up, or down to nothing."""
        size = self.rng.choice([0.01, 0.01, 0.01, 3.0, 1e-9])
        return (size * self.rng.uniform(0.1, 1.0, count)).tolist()

    def bias(self, count: int, scales: list[float]) -> int:
        largest = self.rng.choice([3000, 3000, 2**29, 2**30 + 2**29])
        return self.build.tensor(
            (count,), INT32, scale=scales, data=self.rng.integers(-largest, largest, count)
        )

    def window(self) -> dict[str, int]:
        padding = int(self.rng.choice([SAME, VALID]))
        found = {"padding": padding}
        dilated = self.rng.random() < 0.3
        for axis in "hw":
            kernel = self.number(1, 5) if self.rng.random() < 0.7 else 1
            stride, dilation = self.number(1, 2), self.number(1, 3) if dilated else 1
            size = self.number(1, 12) + (0 if padding == SAME else (kernel - 1) * dilation)
            found |= {f"size_{axis}": size, f"kernel_{axis}": kernel}
            found |= {f"stride_{axis}": stride, f"dilation_{axis}": dilation}
            found[f"out_{axis}"] = window_out(size, kernel, stride, dilation, padding)
        return found

    def convolution(self, depthwise: bool) -> Ends:
        window = self.window()
        in_c = int(self.rng.choice([1, 2, 3, 4, 5, 8, 16, 17, 20, 33]))
        multiplier = int(self.rng.choice([1, 1, 2, 3])) if depthwise else 1
        out_c = in_c * multiplier if depthwise else self.number(1, 13)
        kernel = (window["kernel_h"], window["kernel_w"])
        shape = (1, *kernel, out_c) if depthwise else (out_c, *kernel, in_c)
        scales = self.scales(out_c)
        batches = self.number(1, 2)
        source = self.tensor((batches, window["size_h"], window["size_w"], in_c))
        data = self.rng.integers(-128, 128, shape)
        weights = self.build.tensor(shape, scale=scales, data=data, axis=3 if depthwise else 0)
        output = self.tensor((batches, window["out_h"], window["out_w"], out_c))
        options: dict[str, Any] = {
            "padding": window["padding"],
            "strideH": window["stride_h"],
            "strideW": window["stride_w"],
            "dilationHFactor": window["dilation_h"],
            "dilationWFactor": window["dilation_w"],
            "fusedActivationFunction": self.number(0, 3),
        }
        inputs = [source, weights, self.bias(out_c, scales)]
        if depthwise:
            kind = schema.DepthwiseConv2DOptionsT(depthMultiplier=multiplier, **options)
        else:
            kind = schema.Conv2DOptionsT(**options)
        self.build.operator(4 if depthwise else 3, inputs, [output], kind, 3)
        return [source], output

    def dense(self) -> Ends:
        rows, in_c, out_c = self.number(1, 3), self.number(1, 70), self.number(1, 12)
        scales, in_scale = self.scales(out_c), float(self.rng.uniform(0.01, 0.2))
        source, output = self.tensor((rows, in_c), in_scale), self.tensor((rows, out_c))
        data = self.rng.integers(-128, 128, (out_c, in_c))
        weights = self.build.tensor((out_c, in_c), scale=scales, data=data)
        bias = self.bias(out_c, [in_scale * scale for scale in scales])
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=self.number(0, 3))
        self.build.operator(9, [source, weights, bias], [output], options, 4)
        return [source], output

    def sum(self, code: int) -> Ends:
        shape = (1, self.number(1, 4), self.number(1, 4), self.number(1, 21))
        repeated = tuple(size if self.rng.random() < 0.6 else 1 for size in shape)
        first, second = self.tensor(shape), self.tensor(repeated)
        output = self.tensor(shape)
        kind = schema.AddOptionsT if code == 0 else schema.SubOptionsT
        options = kind(fusedActivationFunction=self.number(0, 3))
        self.build.operator(code, [first, second], [output], options, 2)
        return [first, second], output

    def pack(self) -> bytes:
        """Return a graph of many layers."""
        makers = (
            lambda: self.convolution(depthwise=False),
            lambda: self.convolution(depthwise=False),
            lambda: self.convolution(depthwise=True),
            lambda: self.convolution(depthwise=True),
            self.dense,
            lambda: self.sum(0),
            lambda: self.sum(41),
        )
        ends = [makers[place % len(makers)]() for place in range(LAYERS)]
        return self.build.pack(
            [source for sources, _ in ends for source in sources], [end for _, end in ends]
        )


@pytest.fixture(scope="module", params=range(SEEDS))
def layers(request):
    """Return a graph, its inputs and TFLM's outputs."""
    data = Layers(request.param).pack()
    model = TfliteModel(data)
    inputs = random_inputs(model, np.random.default_rng(request.param))
    return model, inputs, run_tflm(data, *inputs)


@pytest.mark.parametrize("core", CORES)
def test_every_form_equals_tflm(layers, core, monkeypatch):
    model, inputs, expected = layers
    if core in MOST_WIDE_WEIGHTS:
        monkeypatch.setattr(forms, "MOST_WIDE_WEIGHTS", MOST_WIDE_WEIGHTS[core])
    target = find_target(core)
    if not target.unicorn_model and not has_qemu():
        pytest.skip("needs QEMU for Arm (qemu-system-arm)")
    chip = ChipModel if target.unicorn_model else QemuModel
    found = chip(compile_model(model, "layers", target), target).run(*inputs).outputs
    wrong = [
        f"{layer.config} of {[tensor.shape for tensor in layer.inputs if tensor]}"
        for layer, got, wanted in zip(model.layers, found, expected, strict=True)
        if not np.array_equal(got, wanted)
    ]
    assert not wrong


def test_qemu_counts_what_unicorn_counts():
    """Its instruction clock is not exact to the last one."""
    if not has_qemu():
        pytest.skip("needs QEMU for Arm (qemu-system-arm)")
    model = TfliteModel(Layers(9).pack())
    inputs = random_inputs(model, np.random.default_rng(9))
    target = find_target("cortex-m4")
    compiled = compile_model(model, "layers", target)
    exact = ChipModel(compiled, target).run(*inputs)
    found = QemuModel(compiled, target).run(*inputs)
    assert found.instructions == pytest.approx(exact.instructions, rel=0.002)
    for got, wanted in zip(found.outputs, exact.outputs, strict=True):
        np.testing.assert_array_equal(got, wanted)
