"""What quantization costs a model, layer by layer: error against the float32 model, and saturation.

Both graphs come from one converter and call the output of an operator by the same name; what has no partner is
listed apart. The errors of a layer include those of the layers before it, as on the device.
"""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.evaluation.samples import Samples
from mltk.evaluation.stored import stored_samples, validation_samples
from mltk.models.archive import ModelArchive
from mltk.models.loading import load_mltk_model, resolve_tflite
from mltk.models.model import MltkModel
from mltk.models.search import find_archive, find_model
from mltk.models.trained import TrainedModel
from mltk.tflite.every_tensor import EveryTensor
from mltk.tflite.layers import TfliteTensor
from mltk.tflite.model import TfliteModel
from mltk.tflite.summary import grid
from mltk.utils.errors import ModelError, TrainingError
from mltk.utils.files import read_bytes, write_text
from mltk.utils.logging import get_mltk_logger

FOLDER = "eval/quantization"
REPORT_JSON = "quantization-report.json"
REPORT_TXT = "quantization-report.txt"
DEFAULT_COUNT = 200
FLOAT32_SUFFIX = ".float32.tflite"


@dataclass(frozen=True)
class LayerError:
    """How far one tensor of the int8 model is from the float32 model's.

    Attributes:
        index: place of its operator in the int8 graph; -1: the model's input.
        name: the operator in lower case; "input".
        tensor: the tensor's name.
        scale: real = (quantized - zero_point) * scale.
        zero_point: see `scale`.
        rms_error: root mean square of the error over that of the float values; 0.01 is 1 %. NaN where all float
            values are zero.
        sqnr_db: signal to quantization noise, dB: -20 log10(rms_error); infinite where there is no error.
        range_sqnr_db: the same for float values that are quantized here and nowhere else: what this tensor's
            scale costs alone.
        max_error_lsb: the largest error in steps of `scale`.
        saturated: share of values that stand at an end of the integer range while the float value lies beyond it.
        at_ends: share of values at an end of the integer range (zeros of a ReLU are such).

    """

    index: int
    name: str
    tensor: str
    scale: float
    zero_point: int
    rms_error: float
    sqnr_db: float
    range_sqnr_db: float
    max_error_lsb: float
    saturated: float
    at_ends: float


@dataclass(frozen=True)
class QuantizationReport:
    """Error of an int8 model against its float32 model; prints as a table.

    Attributes:
        name: the model's name.
        n_samples: how many samples both models computed.
        layers: quantized tensors in the order of execution, the input first.
        unmatched: "index operator: tensor" of quantized tensors that the float32 graph does not have.
        agreement: share of samples whose most probable class is the same.
        max_output_error: largest difference of the outputs, in their units (posteriors: 0 to 1).
        rms_output_error: root mean square of that difference.

    """

    name: str
    n_samples: int
    layers: list[LayerError]
    unmatched: list[str]
    agreement: float
    max_output_error: float
    rms_output_error: float

    def to_json(self) -> str:
        """Return the text of `quantization-report.json`; NaN and infinity are null."""
        values = asdict(self)
        for layer in values["layers"]:
            for key, value in layer.items():
                if isinstance(value, float) and not math.isfinite(value):
                    layer[key] = None
        return json.dumps(values, indent=1, allow_nan=False)

    def table(self) -> str:
        """Return a row for every tensor."""
        headings = (
            *("Index", "OpCode", "Scale", "Zero point", "RMS error"),
            *("SQNR dB", "Range alone dB", "Max error LSB", "Saturated"),
        )
        rows = (
            (
                "" if layer.index < 0 else str(layer.index),
                layer.name,
                f"{layer.scale:.6g}",
                str(layer.zero_point),
                _text(100 * layer.rms_error, ".2f", "%"),
                _text(layer.sqnr_db, ".1f"),
                _text(layer.range_sqnr_db, ".1f"),
                f"{layer.max_error_lsb:.1f}",
                f"{100 * layer.saturated:.2f}%",
            )
            for layer in self.layers
        )
        return grid(headings, rows)

    def summary(self) -> str:
        """Return the lines below the table."""
        lines = [
            f"Samples: {self.n_samples}",
            f"Same class as float32: {self.agreement:.1%}",
            f"Output error: {self.rms_output_error:.4f} RMS, {self.max_output_error:.4f} at most",
        ]
        if self.unmatched:
            lines.append(f"Not compared, the float32 graph has no such tensor: {'; '.join(self.unmatched)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.table()}\n{self.summary()}"


def quantization_report(
    model: str | os.PathLike[str] | MltkModel,
    *,
    dataset: str | None = None,
    samples: npt.NDArray[Any] | None = None,
    count: int = DEFAULT_COUNT,
    test: bool = False,
    update_archive: bool = True,
) -> QuantizationReport:
    """Compare a model's int8 .tflite with its float32 .tflite, layer by layer.

    TensorFlow is not needed, and nothing of an archive is executed. The report (JSON, text, picture) goes into the
    model's log folder, eval/quantization, and into its archive.

    Args:
        model: name, archive, specification, loaded model, or NAME.tflite with NAME.float32.tflite beside it.
        dataset: take clips of this folder; without it, those that the training kept apart.
        samples: features [n, ...] instead of clips.
        count: so many samples at most, spread evenly over the clips.
        test: the dry run's model.
        update_archive: put the report into the archive.

    Raises:
        ModelError: there is no such model, it has no float32 .tflite, or there are no clips.
        TfliteError: LiteRT can not run it.
        TrainingError: the .tflite is not quantized, or an option makes no sense.

    """
    if count < 1:
        raise TrainingError(f"The number of samples for the report is {count}: give 1 or more")
    loaded, quantized, float32 = _models(model, test)
    if samples is None:
        samples = _clips(loaded, dataset).spread(count)
    report = compare(loaded.name, float32, quantized, samples[:count])
    archive = loaded.archive_path
    store_report(loaded, report, archive if update_archive and archive.is_file() else None)
    return report


def compare(
    name: str, float32: TfliteModel, quantized: TfliteModel, samples: npt.NDArray[Any]
) -> QuantizationReport:
    """Run two graphs of one model and measure the second against the first.

    Args:
        name: the model's name.
        float32: the float32 .tflite.
        quantized: the same model quantized.
        samples: features [n, ...]; integers are the device's own numbers.

    Raises:
        TrainingError: there are no samples, or the second is not quantized.
        TfliteError: LiteRT can not run them, or the samples do not fit.

    """
    if not len(samples):
        raise TrainingError(f"There are no samples to compare the models of {name} on")
    pairs, unmatched = _pairs(float32, quantized)
    if not pairs:
        raise TrainingError(
            f"The .tflite of {name} has no quantized tensor that its float32 model has too: quantize the model again"
        )
    wanted = [pair.of_float for pair in pairs] + [float32.outputs[0]]
    wanted_quantized = [pair.quantized for pair in pairs] + [quantized.outputs[0]]
    sums = [_Sums(pair.quantized) for pair in pairs]
    agreed, squared, largest, n_outputs = 0, 0.0, 0.0, 0
    runs = zip(
        EveryTensor(float32).run(samples.astype(np.float32), wanted),
        EveryTensor(quantized).run(samples, wanted_quantized),
        strict=True,
    )
    for expected, computed in runs:
        for total, exact, values in zip(sums, expected, computed, strict=False):
            total.add(exact, values)
        posteriors = quantized.outputs[0].dequantize(computed[-1]).reshape(-1)
        difference = posteriors - expected[-1].reshape(-1)
        agreed += int(posteriors.argmax() == expected[-1].argmax())
        squared += float(np.square(difference, dtype=np.float64).sum())
        largest = max(largest, float(np.abs(difference).max()))
        n_outputs += difference.size
    return QuantizationReport(
        name=name,
        n_samples=len(samples),
        layers=[total.result(pair) for total, pair in zip(sums, pairs, strict=True)],
        unmatched=unmatched,
        agreement=agreed / len(samples),
        max_output_error=largest,
        rms_output_error=math.sqrt(squared / n_outputs),
    )


def store_report(model: MltkModel, report: QuantizationReport, archive: Path | None) -> list[Path]:
    """Write JSON, text and picture into the model's log folder, and into an archive; return the files."""
    from mltk.evaluation.quantization_plot import plot_file_name, write_plot

    folder = Path(model.create_log_dir(FOLDER))
    files = [
        write_text(folder / REPORT_JSON, report.to_json()),
        write_text(folder / REPORT_TXT, f"{report}\n"),
        write_plot(report, folder / plot_file_name(report.name)),
    ]
    if archive is not None:
        ModelArchive(archive).update({f"{FOLDER}/{file.name}": file.read_bytes() for file in files})
    get_mltk_logger().info("The quantization report is in %s", folder)
    return files


def float32_beside(path: str | os.PathLike[str]) -> Path:
    """Return where the float32 model of a .tflite file is kept: NAME.float32.tflite beside NAME.tflite."""
    return Path(path).with_name(Path(path).name.removesuffix(".tflite") + FLOAT32_SUFFIX)


@dataclass(frozen=True)
class _Pair:
    """A tensor of the int8 graph and its partner."""

    index: int
    name: str
    of_float: TfliteTensor
    quantized: TfliteTensor


def _pairs(float32: TfliteModel, quantized: TfliteModel) -> tuple[list[_Pair], list[str]]:
    """Match the quantized tensors with the float ones by their names."""
    known = {tensor.name: tensor for layer in float32.layers for tensor in layer.outputs}
    known |= {tensor.name: tensor for tensor in float32.inputs}
    # QUANTIZE and DEQUANTIZE are not in the float graph: their two tensors are one there.
    same = {}
    for layer in quantized.layers:
        if layer.inputs and (source := layer.inputs[0]) is not None:
            if layer.name == "quantize":
                same[layer.outputs[0].index] = source.name
            elif layer.name == "dequantize":
                same[source.index] = layer.outputs[0].name
    pairs, unmatched = [], []
    computed = [(-1, "input", tensor) for tensor in quantized.inputs]
    computed += [(layer.index, layer.name, tensor) for layer in quantized.layers for tensor in layer.outputs]
    for index, name, tensor in computed:
        if tensor.dtype.kind not in "iu" or tensor.scale <= 0:
            continue
        partner = known.get(same.get(tensor.index, tensor.name)) or known.get(tensor.name)
        if partner is None or partner.dtype.kind != "f" or partner.size != tensor.size:
            unmatched.append(f"{index} {name}: {tensor.name}")
        else:
            pairs.append(_Pair(index, name, partner, tensor))
    return pairs, unmatched


class _Sums:
    """What is added up over the samples for one tensor."""

    def __init__(self, tensor: TfliteTensor) -> None:
        self._tensor = tensor
        limits = np.iinfo(tensor.dtype)
        self._ends = (limits.min, limits.max)
        lowest, highest = ((end - tensor.zero_point) * tensor.scale for end in self._ends)
        # A float value that rounds to an end is not beyond it.
        self._beyond = (lowest - tensor.scale / 2, highest + tensor.scale / 2)
        self._signal = self._noise = self._range_noise = self._largest = 0.0
        self._saturated = self._at_ends = self._count = 0

    def add(self, exact: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Take in one sample: float values and quantized values."""
        real, raw = exact.reshape(-1).astype(np.float64), values.reshape(-1)
        error = self._tensor.dequantize(raw) - real
        self._signal += float(np.square(real).sum())
        self._noise += float(np.square(error).sum())
        self._range_noise += float(np.square(self._requantized(real) - real).sum())
        self._largest = max(self._largest, float(np.abs(error).max(initial=0.0)))
        low, high = raw == self._ends[0], raw == self._ends[1]
        beyond = (low & (real < self._beyond[0])) | (high & (real > self._beyond[1]))
        self._saturated += int(beyond.sum())
        self._at_ends += int(low.sum() + high.sum())
        self._count += raw.size

    def _requantized(self, real: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        finite = np.nan_to_num(real, nan=0.0)
        return self._tensor.dequantize(self._tensor.quantize(finite))

    def result(self, pair: _Pair) -> LayerError:
        """Return the tensor's errors."""
        relative = math.sqrt(self._noise / self._signal) if self._signal > 0 else math.nan
        count = max(self._count, 1)
        return LayerError(
            index=pair.index,
            name=pair.name,
            tensor=pair.quantized.name,
            scale=pair.quantized.scale,
            zero_point=pair.quantized.zero_point,
            rms_error=relative,
            sqnr_db=_ratio_db(self._signal, self._noise),
            range_sqnr_db=_ratio_db(self._signal, self._range_noise),
            max_error_lsb=self._largest / pair.quantized.scale,
            saturated=self._saturated / count,
            at_ends=self._at_ends / count,
        )


def _ratio_db(signal: float, noise: float) -> float:
    if not (signal > 0 and math.isfinite(signal) and math.isfinite(noise)):
        return math.nan
    return 10 * math.log10(signal / noise) if noise > 0 else math.inf


def _text(value: float, form: str, unit: str = "") -> str:
    return "exact" if math.isinf(value) else "-" if math.isnan(value) else f"{value:{form}}{unit}"


def _models(
    model: str | os.PathLike[str] | MltkModel, test: bool
) -> tuple[MltkModel, TfliteModel, TfliteModel]:
    """Return the model, its int8 .tflite and its float32 .tflite."""
    data, name = resolve_tflite(model, test)
    if not isinstance(model, MltkModel) and find_model(model, test).kind == "tflite":
        path = Path(model)
        beside = float32_beside(path)
        if not beside.is_file():
            raise ModelError(f"There is no float32 model to compare {path} with: {beside} is missing")
        float32 = read_bytes(beside, ".tflite model")
        quantized = TfliteModel(data, path)
        # Without settings in the file its tensors can be compared all the same.
        loaded_file = TrainedModel(name, data if quantized.parameters else None)
        return loaded_file, quantized, TfliteModel(float32, beside)
    if isinstance(model, MltkModel):
        loaded: MltkModel = load_mltk_model(model, test)
        archive = loaded.archive
    else:
        loaded = TrainedModel.from_archive(find_archive(model, test))
        archive = ModelArchive(loaded.archive_path)
    member = _float32_member(archive)
    source = f"{archive.path}/{member}"
    return loaded, TfliteModel(data, archive.path), TfliteModel(archive.read(member), source)


def _float32_member(archive: ModelArchive) -> str:
    names: Sequence[str] = [
        name for name in archive.names if "/" not in name and name.endswith(FLOAT32_SUFFIX)
    ]
    if len(names) != 1:
        raise ModelError(
            f"{archive.path} has no float32 .tflite to compare with: make it with 'mltk quantize {archive.name}'"
        )
    return names[0]


def _clips(model: MltkModel, dataset: str | None) -> Samples:
    if dataset is None and isinstance(model, TrainedModel):
        samples = stored_samples(model)
        if samples is None:
            raise ModelError(
                f"The clips that {model.name} was validated with are not on this machine: name a folder with one "
                "sub-folder of clips per word (--dataset DIR)"
            )
        return samples
    return validation_samples(model, dataset)


def worst_layers(report: QuantizationReport, count: int = 3) -> Iterable[LayerError]:
    """Return the layers with the lowest signal to noise ratio, the worst first."""
    known = [layer for layer in report.layers if math.isfinite(layer.sqnr_db)]
    return sorted(known, key=lambda layer: layer.sqnr_db)[:count]
