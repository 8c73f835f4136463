"""The same bits everywhere? Features, every layer's output and the decisions of a model, computed in every way there is.

Held to TensorFlow Lite Micro with Python's frontend are: mltk's kernels in Python, the generated C on this machine, and
the generated C on emulated chips. The first value that differs is named.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from mltk.detection.sources import file_blocks
from mltk.firmware.host import Snapshot, snapshots
from mltk.firmware.layer_engines import (
    Array,
    ChipLayers,
    HostLayers,
    LayerEngine,
    MicroLayers,
    NativeLayers,
    Sample,
)
from mltk.firmware.parity_report import Cell, Difference, ParityReport, Row
from mltk.firmware.sound_engines import (
    ChipSound,
    HostSound,
    PythonSound,
    SoundEngine,
    Trace,
    host_firmware,
    made_up_sound,
)
from mltk.firmware.targets import TARGETS, Target
from mltk.tflite.layers import TfliteTensor, shape_text
from mltk.tflite.micro import is_available
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import scratch_bytes
from mltk.tflite.plan.plan import make_plan
from mltk.utils.errors import DetectionError, DeviceError, MissingExtraError, TfliteError
from mltk.utils.text import printable

DEFAULT_TARGET = "cortex-m4"
_MOST_INPUTS = 1000
_MADE_UP_S = 3.0
# A recording is held in memory, and an emulated chip hears it about as fast as a person does.
_MOST_SOUND_S = 600

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Case:
    """One input of the graph, and how a report names it."""

    name: str
    sample: Sample


def verify_model(
    model: TfliteModel,
    audio: str | os.PathLike[str] | None = None,
    targets: Sequence[Target] | None = None,
    n_inputs: int = 10,
    seed: int = 0,
    tell: Tell = lambda text: None,
) -> ParityReport:
    """Compare everything that computes a model.

    Args:
        model: the model.
        audio: a recording for frontend, model and recognizer together; a made-up sound without one.
        targets: the chips to emulate; a Cortex-M4 where None, if the extra "device" is installed.
        n_inputs: how many random inputs, and how many windows of the sound at most, go through every layer.
        seed: of what is random.
        tell: called with a word about what is done now.

    Raises:
        TfliteError: the model can not be compiled, or `n_inputs` is out of range.
        DeviceError: a chip can not be emulated, or C can not be built.
        MissingExtraError: `targets` are named but the extra "device" is not installed.
        MltkError: the recording can not be read, or belongs to a model that hears nothing.

    """
    if not 1 <= n_inputs <= _MOST_INPUTS:
        raise TfliteError(f"The number of inputs is {n_inputs}: give 1 to {_MOST_INPUTS}")
    notes: list[str] = []
    if targets is None:
        targets = _default_targets(notes)
    has_micro = is_available()
    if not has_micro:
        notes.append(
            "tflite-micro is not installed here (PyPI has it for Linux only): held to mltk's own kernels instead"
        )
    session = _Session(model, targets, has_micro, tell, notes)
    sound_rows, differences, cases = session.compare_sound(audio, n_inputs, seed)
    cases = [*_random_cases(model, n_inputs, seed), *cases]
    layer_rows, layer_differences = session.compare_layers(cases)
    before = [row for row in sound_rows if row.kind == "features"]
    after = [row for row in sound_rows if row.kind == "decisions"]
    return ParityReport(
        name=printable(str(model.parameters.get("name") or model.source)),
        reference=session.reference,
        engines=tuple(session.names),
        rows=(*before, *layer_rows, *after),
        differences=tuple(_in_order([*differences, *layer_differences], [*before, *layer_rows, *after])),
        n_inputs=len(cases),
        notes=tuple(notes),
        sound=session.sound,
    )


def _default_targets(notes: list[str]) -> list[Target]:
    if (
        find_spec("unicorn") is not None
        and find_spec("ziglang") is not None
        and find_spec("elftools") is not None
    ):
        return [TARGETS[DEFAULT_TARGET]]
    notes.append("no chip was emulated: pip install 'mltk-audio[device]' brings compiler and emulator")
    return []


def _random_cases(model: TfliteModel, count: int, seed: int) -> list[_Case]:
    """Return noise over the whole range of the inputs' types, every other one smooth, which excites other paths."""
    rng = np.random.default_rng(seed)
    return [
        _Case(
            f"random input {number}", [random_values(rng, tensor, number % 2 == 1) for tensor in model.inputs]
        )
        for number in range(count)
    ]


def random_values(rng: np.random.Generator, tensor: TfliteTensor, is_smooth: bool) -> Array:
    """Return noise over the whole range of a tensor's type, or smooth noise at a level of its own."""
    noise = rng.uniform(-1, 1, tensor.size)
    if is_smooth:
        width = int(rng.integers(2, 200))
        noise = np.convolve(noise, np.full(width, width**-0.5), "full")[: tensor.size] + rng.uniform(-1, 1)
    if tensor.dtype.kind == "f":
        values = 4 * noise
    else:
        limits = np.iinfo(tensor.dtype)
        values = np.clip(np.rint(noise * (limits.max // 2 + 1)), limits.min, limits.max)
    return values.reshape(tensor.shape).astype(tensor.dtype)


class _Session:
    """The engines of one comparison.

    Attributes:
        reference: the name of what the others are held to.
        names: of the others, in the order of the report's columns.
        sound: the reference's trace, where a sound was heard.

    """

    def __init__(
        self, model: TfliteModel, targets: Sequence[Target], has_micro: bool, tell: Tell, notes: list[str]
    ) -> None:
        self._model, self._targets, self._tell, self._notes = model, targets, tell, notes
        plan = make_plan(model, scratch_bytes)
        self._moments = snapshots(model, plan)
        self._has_micro = has_micro
        self.reference = MicroLayers.name if has_micro else NativeLayers.name
        self.names: list[str] = [NativeLayers.name] if has_micro else []
        self.names += [HostLayers.name, *(f"C on {target.name}" for target in targets)]
        self.sound: Trace | None = None

    # --- Layers

    def compare_layers(self, cases: Sequence[_Case]) -> tuple[list[Row], list[Difference]]:
        """Run all inputs through all engines; return a row for each layer's output."""
        samples = [case.sample for case in cases]
        tensors = [(moment, tensor) for moment in self._moments for tensor in moment.tensors]
        cells: list[dict[str, Cell]] = [{} for _ in tensors]
        differences: list[Difference] = []
        names = [_layer_name(moment, tensor) for moment, tensor in tensors]
        self._tell(f"layers: {self.reference}")
        expected = list(self._reference_layers().layers(samples))
        for engine in self._layer_engines():
            self._tell(f"layers: {engine.name}")
            counts = [Cell() for _ in tensors]
            found = None
            for case, wanted, got in zip(cases, expected, engine.layers(samples), strict=True):
                for place, (a, b) in enumerate(zip(wanted, got, strict=True)):
                    counts[place] = counts[place].plus(a, b)
                    if found is None or place < found[0]:
                        difference = first_difference(engine.name, names[place], case.name, a, b)
                        found = (place, difference) if difference else found
            if found is not None:
                differences.append(found[1])
            for cell, count in zip(cells, counts, strict=True):
                cell[engine.name] = count
        rows = [
            Row("layer", name, shape_text(tensor.shape), cell)
            for name, (_, tensor), cell in zip(names, tensors, cells, strict=True)
        ]
        return rows, differences

    def _reference_layers(self) -> LayerEngine:
        if self._has_micro:
            return MicroLayers(self._model, self._moments)
        return NativeLayers(self._model, self._moments)

    def _layer_engines(self) -> Iterator[LayerEngine]:
        if self._has_micro:
            yield NativeLayers(self._model, self._moments)
        try:
            yield HostLayers(self._model)
        except MissingExtraError as error:
            self._skip(HostLayers.name, str(error))
        for target in self._targets:
            yield ChipLayers(self._model, target)

    def _skip(self, name: str, reason: str) -> None:
        if name in self.names:
            self.names.remove(name)
        note = f"{name}: not compared: {reason}"
        if note not in self._notes:
            self._notes.append(note)

    # --- Sound

    def compare_sound(
        self, audio: str | os.PathLike[str] | None, n_inputs: int, seed: int
    ) -> tuple[list[Row], list[Difference], list[_Case]]:
        """Hear a sound with all engines; return rows, differences, and windows of it as inputs for the layers."""
        engine = "tflm" if self._has_micro else "native"
        try:
            reference = PythonSound(self._model, engine, self.reference)
        except DetectionError as error:
            if audio is not None:
                raise
            self._notes.append(f"features and decisions: not compared: {error}")
            return [], [], []
        samples = self._samples(reference, audio, seed)
        self._tell(f"sound: {self.reference}")
        wanted = self.sound = reference.listen(samples)
        rows: dict[str, dict[str, Cell]] = {name: {} for name in (*_SOUND_ROWS, _LINES)}
        differences = []
        for name, heard in self._sound_engines(samples):
            found = None
            for row, (_, part, place) in _SOUND_ROWS.items():
                a, b = _same_length(getattr(wanted, part), getattr(heard, part))
                rows[row][name] = Cell().plus(a, b)
                found = found or first_difference(name, row, place, a, b)
            a, b = _line_numbers(wanted.lines, heard.lines)
            rows[_LINES][name] = Cell().plus(a, b)
            if found is None and wanted.lines != heard.lines:
                found = _line_difference(name, wanted.lines, heard.lines)
            differences += [found] if found else []
        if not any(rows.values()):
            return [], [], self._windows(wanted, n_inputs)
        made = [
            Row(kind, name, _row_shape(wanted, part), rows[name])
            for name, (kind, part, _) in {**_SOUND_ROWS, _LINES: ("decisions", "lines", "")}.items()
        ]
        return made, differences, self._windows(wanted, n_inputs)

    def _samples(
        self, reference: PythonSound, audio: str | os.PathLike[str] | None, seed: int
    ) -> "np.typing.NDArray[np.int16]":
        rate = reference.detector.sample_rate_hz
        if audio is None:
            length_s = reference.detector.frontend_settings.sample_length_ms / 1000
            return made_up_sound(rate, length_s + _MADE_UP_S, seed)
        blocks, n_samples = [], 0
        for block in file_blocks(audio, rate):
            blocks.append(block)
            n_samples += len(block)
            if n_samples > _MOST_SOUND_S * rate:
                raise DetectionError(f"{audio} is longer than {_MOST_SOUND_S} s: cut a piece out of it")
        return np.concatenate(blocks)

    def _sound_engines(self, samples: "np.typing.NDArray[np.int16]") -> Iterator[tuple[str, Trace]]:
        """Yield what each engine made of the sound; an engine that can not hear is noted."""
        makers: list[tuple[str, Callable[[], SoundEngine]]] = []
        if self._has_micro:
            makers.append((NativeLayers.name, lambda: PythonSound(self._model, "native", NativeLayers.name)))
        makers.append((HostSound.name, lambda: HostSound(host_firmware(self._model))))
        makers += [
            (f"C on {target.name}", lambda target=target: ChipSound(self._model, target))  # type: ignore[misc]
            for target in self._targets
        ]
        for name, make in makers:
            self._tell(f"sound: {name}")
            try:
                engine = make()
            except (DeviceError, MissingExtraError) as error:
                note = f"features and decisions in C: not compared: {error}"
                if note not in self._notes:
                    self._notes.append(note)
                continue
            yield name, engine.listen(samples)

    def _windows(self, trace: Trace, count: int) -> list[_Case]:
        """Return inputs of the model out of a sound, evenly spread."""
        (tensor,) = self._model.inputs
        places = sorted(
            set(np.linspace(0, len(trace.inputs) - 1, min(count, len(trace.inputs))).astype(int).tolist())
        )
        return [
            _Case(
                f"window {place} of the sound",
                [trace.inputs[place].reshape(tensor.shape).astype(tensor.dtype)],
            )
            for place in places
        ]


# Row of the report -> its kind, the trace's part, what its first index counts.
_SOUND_ROWS = {
    "features": ("features", "features", "the sound"),
    "model input": ("features", "inputs", "the sound"),
    "scores": ("decisions", "scores", "the sound"),
}
_LINES = "heard"


def _layer_name(moment: Snapshot, tensor: TfliteTensor) -> str:
    layer = moment.layer
    place = f" output {layer.outputs.index(tensor)}" if len(layer.outputs) > 1 else ""
    return printable(f"{layer.index} {layer.name}{place}")


def _row_shape(trace: Trace, part: str) -> str:
    values = getattr(trace, part)
    return f"{len(values)} lines" if isinstance(values, tuple) else shape_text(values.shape)


def _same_length(a: Array, b: Array) -> tuple[Array, Array]:
    """Return two arrays [n, ...] of one length: what is missing of one differs from the other everywhere."""
    if len(a) == len(b):
        return a, b
    n = max(len(a), len(b))

    def filled(values: Array, other: Array) -> Array:
        rest = other[len(values) : n].astype(np.int64)
        return (
            np.concatenate([values.astype(np.int64), rest ^ 1])
            if len(values) < n
            else values.astype(np.int64)
        )

    return filled(a, b), filled(b, a)


def _line_numbers(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[Array, Array]:
    """Return lines as numbers that are the same where the lines are."""
    numbers = {line: number for number, line in enumerate(dict.fromkeys((*a, *b)))}
    return _same_length(*(np.array([numbers[line] for line in lines], np.int64) for lines in (a, b)))


def _line_difference(engine: str, a: tuple[str, ...], b: tuple[str, ...]) -> Difference:
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    texts = [lines[place] if place < len(lines) else "nothing" for lines in (a, b)]
    return Difference(engine, _LINES, "the sound", (place,), texts[0], texts[1])


def first_difference(engine: str, row: str, place: str, a: Array, b: Array) -> Difference | None:
    """Return the first value that differs, byte by byte; None where there is none."""
    if a.dtype == b.dtype and a.tobytes() == b.tobytes():
        return None
    size = a.dtype.itemsize
    if a.dtype == b.dtype:
        old, new = (np.frombuffer(x.tobytes(), np.uint8).reshape(-1, size) for x in (a, b))
        flat = int(np.argmax((old != new).any(axis=1)))
    else:
        flat = int(np.argmax(a.reshape(-1) != b.reshape(-1)))
        if a.reshape(-1)[flat] == b.reshape(-1)[flat]:
            return None
    index = tuple(int(i) for i in np.unravel_index(flat, a.shape))
    return Difference(engine, row, place, index, str(a.reshape(-1)[flat]), str(b.reshape(-1)[flat]))


def _in_order(differences: Sequence[Difference], rows: Sequence[Row]) -> list[Difference]:
    """Return differences in the order of computation: what comes first is the cause."""
    order = [row.name for row in rows]
    return sorted(differences, key=lambda difference: order.index(difference.row))
