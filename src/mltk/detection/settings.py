"""A detector's settings: from the parameters inside the model, with the caller's options on top."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mltk.utils.errors import DetectionError

Mode = Literal["toolkit", "micro_speech"]

# What applies where neither the model nor the caller says anything: micro_speech's settings, every 100 ms.
DEFAULTS: dict[str, int] = {
    "average_window_duration_ms": 1000,
    "minimum_count": 3,
    "detection_threshold": 200,
    "suppression_ms": 1500,
    "latency_ms": 100,
    "volume_gain": 0,
}

# Wide enough for any use, narrow enough that a hostile model can not ask for all memory.
_LEGAL: dict[str, tuple[int, int]] = {
    "average_window_duration_ms": (0, 600_000),
    "minimum_count": (0, 10_000),
    "detection_threshold": (0, 255),
    "suppression_ms": (0, 86_400_000),
    "latency_ms": (0, 60_000),
}
_MAX_VOLUME_GAIN = 1000


@dataclass(frozen=True)
class DetectionSettings:
    """The recognizer's and the stream's settings, all checked.

    Attributes:
        labels: the classes in the order of the model's outputs.
        thresholds: one a class, 0 to 255; an averaged score must be larger.
        average_window_duration_ms: results older than this are dropped.
        minimum_count: how many results must be left for a decision; 0: no averaging.
        suppression_ms: how long the same class stays silent after it was reported.
        latency_ms: milliseconds of audio between two runs of the model; 0: every window of the frontend.
        volume_gain: samples are multiplied by this and saturate; 1: they are left alone.
        verbose: the model asks for a line about every run.
        mode: "toolkit" never reports labels that begin with '_', "micro_speech" reports every class.

    """

    labels: tuple[str, ...]
    thresholds: tuple[int, ...]
    average_window_duration_ms: int
    minimum_count: int
    suppression_ms: int
    latency_ms: int
    volume_gain: float
    verbose: bool = False
    mode: Mode = "toolkit"


def make_settings(
    parameters: Mapping[str, Any],
    *,
    window_duration_ms: int | None = None,
    count: int | None = None,
    threshold: int | Sequence[int] | None = None,
    suppression_ms: int | None = None,
    latency_ms: int | None = None,
    volume: float | None = None,
    mode: Mode = "toolkit",
) -> DetectionSettings:
    """Take the settings from a model's parameters; an option that is not None replaces the model's value.

    Args:
        parameters: the model's parameters: classes, average_window_duration_ms, minimum_count,
            detection_threshold or detection_threshold_list, suppression_ms, latency_ms, volume_gain,
            verbose_model_output_logs.
        window_duration_ms: replaces average_window_duration_ms.
        count: replaces minimum_count.
        threshold: replaces both threshold parameters: one value for all classes, or one a class.
        suppression_ms: replaces suppression_ms.
        latency_ms: replaces latency_ms.
        volume: replaces volume_gain.
        mode: see `DetectionSettings`.

    Raises:
        DetectionError: the model names no classes, or a value is not in its legal range.

    """
    if mode not in ("toolkit", "micro_speech"):
        raise DetectionError(f"Detection mode {mode!r} is unknown: use 'toolkit' or 'micro_speech'")
    labels = _labels(parameters)
    average_window = _integer(parameters, "average_window_duration_ms", "window_duration", window_duration_ms)
    minimum_count = _integer(parameters, "minimum_count", "count", count)
    latency = _integer(parameters, "latency_ms", "latency", latency_ms)
    if (minimum_count - 1) * latency > average_window:
        raise DetectionError(
            f"Nothing could ever be heard: {minimum_count} results every {latency} ms do not fit in a window "
            f"duration of {average_window} ms; lower the count or the latency, or raise the window duration"
        )
    return DetectionSettings(
        labels=labels,
        thresholds=_thresholds(parameters, threshold, len(labels)),
        average_window_duration_ms=average_window,
        minimum_count=minimum_count,
        suppression_ms=_integer(parameters, "suppression_ms", "suppression", suppression_ms),
        latency_ms=latency,
        volume_gain=_volume_gain(parameters, volume),
        verbose=bool(parameters.get("verbose_model_output_logs", False)),
        mode=mode,
    )


def _labels(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    classes = parameters.get("classes")
    if (
        not isinstance(classes, list | tuple)
        or not classes
        or not all(isinstance(label, str) for label in classes)
    ):
        raise DetectionError(
            "The model's parameters name no classes: add them with `mltk update_params MODEL classes=...` "
            "or use a model that mltk made"
        )
    return tuple(classes)


def _checked(what: str, value: object, key: str) -> int:
    low, high = _LEGAL[key]
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not low <= number <= high:
        raise DetectionError(f"{what} must be a whole number from {low} to {high}, got {value!r}")
    return number


def _integer(parameters: Mapping[str, Any], key: str, option: str, override: int | None) -> int:
    if override is not None:
        return _checked(f"The option {option}", override, key)
    return _checked(f"The model's parameter {key}", parameters.get(key, DEFAULTS[key]), key)


def _thresholds(
    parameters: Mapping[str, Any], override: int | Sequence[int] | None, n_classes: int
) -> tuple[int, ...]:
    key = "detection_threshold"
    if override is not None:
        what, value = "The option threshold", override
    elif parameters.get("detection_threshold_list"):
        what, value = "The model's parameter detection_threshold_list", parameters["detection_threshold_list"]
    else:
        what, value = f"The model's parameter {key}", parameters.get(key, DEFAULTS[key])
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (_checked(what, value, key),) * n_classes
    if len(value) != n_classes:
        raise DetectionError(f"{what} has {len(value)} entries for {n_classes} classes: give one a class")
    return tuple(_checked(what, entry, key) for entry in value)


def _volume_gain(parameters: Mapping[str, Any], override: float | None) -> float:
    what = "The model's parameter volume_gain" if override is None else "The option volume"
    value = parameters.get("volume_gain", DEFAULTS["volume_gain"]) if override is None else override
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return 1.0
        if 1 <= value <= _MAX_VOLUME_GAIN:
            return float(value)
    raise DetectionError(f"{what} must be 0 (off) or from 1 to {_MAX_VOLUME_GAIN}, got {value!r}")
