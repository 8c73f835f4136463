"""The compiled models on emulated Cortex-M cores beside TensorFlow Lite Micro with CMSIS-NN: instructions, code, arena.

    python benchmarks/device.py [--cores m4 m3 ...] [--models micro_speech ...] [--markdown FILE]

Needs the extra 'device', QEMU for Arm for Cortex-M55, and ../shared/models (or MLTK_SHARED_DIR). Instructions of one
inference are counted (unicorn exactly, QEMU by its instruction clock), built by clang -O2. Two of the baseline's models
are not published with it: graphs of the same layers and shapes with random weights stand in for them; what is counted
hardly depends on the weights' values.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mltk.firmware.bench import ChipModel
from mltk.firmware.bench_qemu import QemuModel
from mltk.firmware.compile import CompiledModel, compile_model
from mltk.firmware.targets import find_target
from mltk.models.loading import resolve_tflite
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MLTK_SHARED_DIR", ROOT.parent / "shared")) / "models"
sys.path[:0] = [str(ROOT / "tests" / "kernels"), str(ROOT / "tests" / "tflite")]
KILO = 1000


@dataclass(frozen=True)
class Peer:
    """TensorFlow Lite Micro with CMSIS-NN on one core: instructions an inference, code in kB without the model."""

    instructions: int
    code_kb: float


# Source: shared/reference/device-baselines.md, measured 2026-08 with GCC 12.2 and TFLM's own release flags.
MODELS = ("micro_speech", "micro_speech_tf", "on_off", "ds_cnn", "alexa")
_FIGURES = {
    "m4": ((2397743, 43.7), (1495329, 44.4), (1038175, 46.5), (7720408, 56.1), (15692162, 58.7)),
    "m33": ((2373155, 44.0), (1481479, 44.6), (1038395, 46.8), (7693675, 56.5), (15666227, 59.0)),
    "m3": ((2773156, 39.0), (1512455, 38.8), (1284094, 41.8), (10635520, 49.7), (33391859, 50.9)),
    "m0plus": ((4360971, 49.4), (2596995, 49.3), (2747578, 52.6), (29238537, 61.2), (66333901, 62.3)),
    "m55": ((1004680, 34.6), (1008169, 39.7), (301433, 37.2), (1824383, 47.4), (2999758, 48.8)),
}
PEERS = {
    core: {name: Peer(*figures) for name, figures in zip(MODELS, row, strict=True)}
    for core, row in _FIGURES.items()
}
# The arena that the peer used (Cortex-M4, CMSIS-NN), bytes.
ARENAS = dict(zip(MODELS, (8868, 6836, 6852, 22944, 53588), strict=True))
# The models' files, all of which the peer has in flash beside its code.
FILE_BYTES = dict(zip(MODELS, (21288, 18800, 15336, 53736, 207460), strict=True))
# What ours is to stay below, as a part of the peer's instructions.
GOALS = {
    "m4": (0.35, 0.35, 0.8, 0.8, 0.8),
    "m33": (0.35, 0.35, 0.8, 0.8, 0.8),
    "m3": (0.6, 0.6, 0.8, 0.8, 0.8),
    "m0plus": (0.9,) * 5,
    "m55": (1.1,) * 5,
}
CODE_GOAL = 0.4


def _shared(name: str) -> bytes:
    return resolve_tflite(SHARED / name)[0]


def _rectified(net: Any) -> bytes:
    """Return a graph's file with the zero points that converters give to the outputs of a ReLU: the lowest value."""
    for tensor in net.tensors:
        net.build.graph.tensors[tensor].quantization.zeroPoint = [-128]
    return bytes(net.pack())


def _ds_cnn() -> bytes:
    from kernels_models import ds_cnn_net

    return _rectified(ds_cnn_net())


def _micro_speech_tf() -> bytes:
    """Return TensorFlow's micro_speech: one depthwise convolution of 8 filters, a dense layer of 4 words."""
    from kernels_cases import RELU
    from kernels_models import Net

    net = Net((1, 49, 40, 1))
    net.convolution((10, 8, 8), (2, 2), depthwise=True, activation=RELU)
    net.layer(22, (1, 4000), extra=(net.integers(-1, 4000),), **net.same())
    net.dense(4)
    net.softmax()
    return _rectified(net)


SOURCES: dict[str, Callable[[], bytes]] = {
    "micro_speech": lambda: _shared("tflite_micro_speech.mltk.zip"),
    "micro_speech_tf": _micro_speech_tf,
    "on_off": lambda: _shared("keyword_spotting_on_off.tflite"),
    "ds_cnn": _ds_cnn,
    "alexa": lambda: _shared("keyword_spotting_alexa.mltk.zip"),
}
NOTES = {"micro_speech_tf": "stand-in", "ds_cnn": "stand-in"}


@dataclass(frozen=True)
class Result:
    """One model on one core."""

    core: str
    model: str
    instructions: int
    code_bytes: int
    flash_bytes: int
    arena_bytes: int

    @property
    def peer(self) -> Peer:
        """The peer's figures."""
        return PEERS[self.core][self.model]

    @property
    def ratio(self) -> float:
        """Instructions, ours by the peer's."""
        return self.instructions / self.peer.instructions

    @property
    def goal(self) -> float:
        """What the ratio is to stay below."""
        return GOALS[self.core][MODELS.index(self.model)]

    def row(self) -> list[str]:
        """Return the table's cells."""
        verdict = "yes" if self.ratio <= self.goal else "NO"
        code = self.code_bytes / KILO / self.peer.code_kb
        flash = self.flash_bytes / (self.peer.code_kb * KILO + FILE_BYTES[self.model])
        arena = self.arena_bytes / ARENAS[self.model]
        note = f" ({NOTES[self.model]})" if self.model in NOTES else ""
        return [
            *(self.core, self.model + note, f"{self.instructions:,}", f"{self.peer.instructions:,}"),
            *(f"{self.ratio:.3f}", f"{self.goal:g}", verdict, f"{self.code_bytes:,}", f"{code:.3f}"),
            *(f"{self.flash_bytes:,}", f"{flash:.3f}", f"{self.arena_bytes:,}", f"{arena:.3f}"),
        ]


HEADER = [
    *(
        "core",
        "model",
        "instructions",
        "TFLM, CMSIS-NN",
        "ratio",
        "goal",
        "met",
        "code, bytes",
        "ratio to TFLM's",
    ),
    *("flash with the model", "ratio to TFLM's", "arena, bytes", "ratio to TFLM's"),
]


def model_bytes(model: TfliteModel) -> int:
    """Return the bytes of a model's own numbers, as the .tflite has them: weights, their scales, biases."""
    total = 0
    for tensor in model.tensors:
        value = model.constant(tensor)
        if value is not None:
            total += value.nbytes + (4 * len(tensor.scales) if tensor.type_name == "int8" else 0)
    return total


def measure(model: TfliteModel, compiled: CompiledModel, core: str, name: str) -> Result:
    """Run one inference on an emulated core, and compare its output with the kernels here."""
    target = find_target(core)
    chip: Any = (ChipModel if target.unicorn_model else QemuModel)(compiled, target)
    value = np.random.default_rng(0).integers(-128, 128, model.inputs[0].shape).astype(np.int8)
    inference = chip.run(value)
    if not np.array_equal(inference.outputs[0], NativeModel(model).run(value)[0]):
        raise SystemExit(f"{name} on {core}: the output differs from this machine's")
    return Result(
        core=core,
        model=name,
        instructions=inference.instructions,
        code_bytes=chip.code_bytes - model_bytes(model),
        flash_bytes=chip.code_bytes,
        arena_bytes=compiled.plan.arena_bytes,
    )


def table(results: list[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [" | ".join(HEADER), " | ".join("---" for _ in HEADER)]
    lines += [" | ".join(result.row()) for result in results]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def main() -> None:
    """Measure all models on all cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cores", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    results = []
    for core in arguments.cores:
        if not find_target(core).unicorn_model and shutil.which("qemu-system-arm") is None:
            print(f"{core} is left out: QEMU for Arm is not installed", file=sys.stderr)
            continue
        for name in arguments.models:
            model = TfliteModel(SOURCES[name](), path=f"{name}.tflite")
            result = measure(model, compile_model(model, name, find_target(core)), core, name)
            print(" | ".join(result.row()), flush=True)
            results.append(result)
    text = table(results)
    print(f"\n{text}")
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
