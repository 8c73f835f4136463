"""Compare a model's outputs byte by byte: TensorFlow Lite Micro, our C on this machine, our C on emulated chips.

    python benchmarks/parity.py MODEL... [--random 200] [--clips 50] [--target cortex-m4 ...] [--seed 0]

MODEL: archives, names or .tflite files; without any the three of ../shared/models. Inputs are random ones over the whole
range of the input's type, half of them smooth, and the features of real clips of ../shared/speech, by the model's own
frontend. Prints a row for each model and each way to compute it: of the output's bytes, and of the bytes of all layers'
outputs, those that differ from the PyPI package tflite-micro, and the largest difference. Exit code 1 where one differs.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_words import speech_dir

from mltk.audio.convert import to_int16
from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.detection.stream import KeywordDetector
from mltk.firmware.host import Snapshot, snapshots
from mltk.firmware.layer_engines import ChipLayers, HostLayers, LayerEngine, MicroLayers, NativeLayers
from mltk.firmware.parity import random_values
from mltk.firmware.targets import find_target
from mltk.models.loading import resolve_tflite
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import scratch_bytes
from mltk.tflite.plan.plan import make_plan
from mltk.utils.errors import MltkError

TARGETS = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33")
SHARED_MODELS = (
    "tflite_micro_speech.mltk.zip",
    "keyword_spotting_on_off.tflite",
    "keyword_spotting_alexa.mltk.zip",
)
Array = NDArray[Any]


@dataclass
class Count:
    """What was compared."""

    n_bytes: int = 0
    n_different: int = 0
    largest: float = 0.0
    first: str = ""

    def add(self, expected: list[Array], got: list[Array], place: str) -> None:
        """Compare the layers of one inference."""
        for layer, (a, b) in enumerate(zip(expected, got, strict=True)):
            self.n_bytes += a.nbytes
            old, new = (np.frombuffer(x.tobytes(), np.uint8) for x in (a, b))
            n_different = int(np.count_nonzero(old != new))
            if n_different:
                self.n_different += n_different
                apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
                self.largest = max(self.largest, float(apart.max(initial=0)))
                self.first = self.first or f"tensor {layer} of {place}"

    def __str__(self) -> str:
        if not self.n_different:
            return f"0 of {self.n_bytes:,}"
        return f"{self.n_different:,} of {self.n_bytes:,} by up to {self.largest:g}, first {self.first}"


def random_inputs(model: TfliteModel, n: int, seed: int) -> list[Array]:
    """Return noise over the whole range of the input's type, every other one smooth and at a level of its own.

    White noise alone drives some models into one corner: all of their outputs are the same.
    """
    rng = np.random.default_rng(seed)
    (tensor,) = model.inputs
    return [random_values(rng, tensor, number % 2 == 1) for number in range(n)]


def clips(n: int, rate_hz: int, seed: int) -> Iterator[NDArray[np.int16]]:
    """Yield n real recordings of at least a second, the same number of each kind, at a rate."""
    rng = np.random.default_rng(seed)
    folders = [speech_dir() / name for name in ("alexa", "commands", "digits", "words")]
    found = [sorted(folder.rglob("*.flac")) for folder in folders]
    for number in range(n):
        paths = found[number % len(found)]
        samples, rate = read_audio_file(
            paths[rng.integers(len(paths))], return_numpy=True, return_sample_rate=True
        )
        yield to_int16(np.asarray(resample(samples, rate, rate_hz), np.float32))


def real_inputs(model: TfliteModel, n: int, seed: int) -> list[Array]:
    """Return what a model gets of n real clips, each padded to its length."""
    inputs: list[Array] = []
    detector = KeywordDetector(
        model, engine="native", on_inference=lambda inference: inputs.append(inference.model_input.copy())
    )
    settings = detector.frontend_settings
    for clip in clips(n, detector.sample_rate_hz, seed):
        detector.reset()
        before = len(inputs)
        detector.feed(np.resize(clip, settings.sample_length))
        del inputs[before + 1 :]
    (tensor,) = model.inputs
    return [value.reshape(tensor.shape).astype(tensor.dtype) for value in inputs]


def compare(path: str, options: argparse.Namespace) -> bool:
    """Compare one model; print its rows; tell whether all is the same."""
    data, name = resolve_tflite(path)
    model = TfliteModel(data, path=name)
    samples = [("random", [value]) for value in random_inputs(model, options.random, options.seed)]
    samples += [("real", [value]) for value in real_inputs(model, options.clips, options.seed)]
    moments = snapshots(model, make_plan(model, scratch_bytes))
    reference = MicroLayers(model, moments)
    values = [value for _, value in samples]
    expected = list(reference.layers(values))
    outputs = {
        kind: {result[-1].tobytes() for (k, _), result in zip(samples, expected, strict=True) if k == kind}
        for kind in ("random", "real")
    }
    n_real = sum(kind == "real" for kind, _ in samples)
    print(
        f"{name} ({len(data):,} bytes, CRC {zlib.crc32(data):08x}): {len(samples) - n_real} random inputs with "
        f"{len(outputs['random'])} outputs, {n_real} real inputs with {len(outputs['real'])}",
        flush=True,
    )
    is_same = True
    for engine in engines(model, moments, options.target or TARGETS):
        start = time.monotonic()
        last, every = Count(), Count()
        for number, (wanted, got) in enumerate(zip(expected, engine.layers(values), strict=True)):
            place = f"input {number} ({samples[number][0]})"
            last.add(wanted[-1:], got[-1:], place)
            every.add(wanted, got, place)
        is_same = is_same and every.n_different == 0
        print(f"| {name} | {engine.name} | {last} | {every} | {time.monotonic() - start:.0f} s |", flush=True)
    return is_same


def engines(model: TfliteModel, moments: list[Snapshot], targets: list[str]) -> Iterator[LayerEngine]:
    """Yield what is compared with TFLM, one after the other."""
    yield NativeLayers(model, moments)
    yield HostLayers(model)
    for target in targets:
        yield ChipLayers(model, find_target(target))


def main() -> int:
    """Compare all models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--random", type=int, default=200)
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--target", action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shared: Path = speech_dir().parent / "models"
    is_same = True
    for path in options.models or [str(shared / name) for name in SHARED_MODELS]:
        try:
            is_same = compare(path, options) and is_same
        except MltkError as error:
            print(f"{path}: {error}", flush=True)
            is_same = False
    print("Every byte is the same" if is_same else "THERE ARE DIFFERENCES")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
