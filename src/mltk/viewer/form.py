"""The frontend's settings as a form: groups, names, units, ranges for sliders; and back as text to copy."""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mltk.frontend.settings import PREFIX, SETTINGS, AudioFeatureGeneratorSettings
from mltk.utils.errors import FrontendError

# Title, the prefix that the group's names share, and the settings; the first 'enable' is the group's switch.
GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Audio", "", ("sample_rate_hz", "sample_length_ms")),
    ("Window", "window_", ("window_size_ms", "window_step_ms")),
    (
        "Filterbank",
        "filterbank_",
        ("filterbank_n_channels", "filterbank_lower_band_limit", "filterbank_upper_band_limit"),
    ),
    (
        "Noise reduction",
        "noise_reduction_",
        (
            "noise_reduction_enable",
            "noise_reduction_smoothing_bits",
            "noise_reduction_even_smoothing",
            "noise_reduction_odd_smoothing",
            "noise_reduction_min_signal_remaining",
        ),
    ),
    ("PCAN gain control", "pcan_", ("pcan_enable", "pcan_strength", "pcan_offset", "pcan_gain_bits")),
    ("Log scale", "log_scale_", ("log_scale_enable", "log_scale_shift")),
    ("DC notch filter", "dc_notch_filter_", ("dc_notch_filter_enable", "dc_notch_filter_coefficient")),
    (
        "Activity detection",
        "activity_detection_",
        (
            "activity_detection_enable",
            "activity_detection_alpha_a",
            "activity_detection_alpha_b",
            "activity_detection_arm_threshold",
            "activity_detection_trip_threshold",
        ),
    ),
    (
        "int8 dynamic range",
        "quantize_dynamic_scale_",
        ("quantize_dynamic_scale_enable", "quantize_dynamic_scale_range_db"),
    ),
)

# Where a slider is of use; the legal range is often far wider and can be typed.
_SLIDERS: dict[str, tuple[float, float, float]] = {
    "sample_rate_hz": (8000, 48000, 1000),
    "sample_length_ms": (100, 3000, 10),
    "window_size_ms": (5, 100, 1),
    "window_step_ms": (1, 100, 1),
    "filterbank_n_channels": (4, 128, 1),
    "filterbank_lower_band_limit": (0, 4000, 5),
    "filterbank_upper_band_limit": (500, 24000, 50),
    "noise_reduction_smoothing_bits": (0, 12, 1),
    "pcan_strength": (0, 2, 0.01),
    "pcan_offset": (0, 1000, 1),
    "pcan_gain_bits": (0, 31, 1),
    "log_scale_shift": (0, 12, 1),
    "activity_detection_arm_threshold": (0, 2, 0.01),
    "activity_detection_trip_threshold": (0, 2, 0.01),
    "quantize_dynamic_scale_range_db": (0, 120, 1),
}
_FRACTION = (0.0, 1.0, 0.005)
_LABELS = {"filterbank_n_channels": "channels"}
_UNITS = {"_hz": "Hz", "_ms": "ms", "_db": "dB", "_band_limit": "Hz"}


def form() -> list[dict[str, Any]]:
    """Return the form's groups in their order, ready for JSON."""
    return [
        {"title": title, "settings": [_field(name, prefix) for name in names]}
        for title, prefix, names in GROUPS
    ]


def _field(name: str, prefix: str) -> dict[str, Any]:
    setting = SETTINGS[name]
    low, high, step = _SLIDERS.get(name, _FRACTION)
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    label = _LABELS.get(name, name.removeprefix(prefix))
    for ending in ("_hz", "_ms", "_db"):
        label = label.removesuffix(ending)
    return {
        "name": name,
        "label": label.replace("_", " "),
        "kind": setting.kind.__name__,
        "unit": unit,
        "low": low,
        "high": high,
        "step": step,
        "doc": f"{PREFIX}{name}: {setting.__doc__} Default {setting.default}, "
        f"legal {setting.low:g} to {setting.high:g}.",
    }


def read_settings(
    values: object, start: AudioFeatureGeneratorSettings | None = None
) -> AudioFeatureGeneratorSettings:
    """Return legal settings from what a page sent.

    Args:
        values: a mapping of names, with or without 'fe.', to numbers and booleans.
        start: what holds where `values` says nothing; the defaults without it.

    Raises:
        FrontendError: it is no mapping, names no setting, or a value is illegal.

    """
    if not isinstance(values, Mapping):
        raise FrontendError("Settings must be an object of names and values")
    settings = AudioFeatureGeneratorSettings() if start is None else start.copy()
    for key, value in values.items():
        name = str(key).removeprefix(PREFIX)
        if name == "fft_length":  # always computed
            continue
        if name not in SETTINGS:
            raise FrontendError(f"There is no frontend setting {PREFIX}{name[:64]}")
        settings[PREFIX + name] = value
    settings.validate()
    return settings


def named_setting(sentence: str) -> str | None:
    """Return the setting that an error's sentence is about, by its first 'fe.NAME'; None where there is none."""
    found = re.search(r"\bfe\.(\w+)", sentence)
    return found[1] if found is not None and found[1] in SETTINGS else None


def plain(settings: AudioFeatureGeneratorSettings) -> dict[str, Any]:
    """Return the settings by attribute name, ready for JSON."""
    return {name: getattr(settings, name) for name in SETTINGS}


def as_text(
    settings: AudioFeatureGeneratorSettings, start: AudioFeatureGeneratorSettings | None = None
) -> dict[str, str]:
    """Return settings to copy into a specification and into a file for `mltk update_params --params`.

    Args:
        settings: legal settings.
        start: leave out what is as here.

    Returns:
        'python': lines such as `frontend_settings.window_size_ms = 30`; 'yaml' and 'json': a flat table of
        `fe.*` keys, with the FFT's length, which firmware reads.

    """
    chosen = {
        key: _short(value)
        for key, value in settings.items()
        if key.startswith(PREFIX) and (start is None or start.get(key) != value)
    }
    python = [
        f"frontend_settings.{key.removeprefix(PREFIX)} = {value!r}"
        for key, value in chosen.items()
        if key.removeprefix(PREFIX) in SETTINGS
    ]
    yaml = [f"{key}: {_yaml(value)}" for key, value in chosen.items()]
    return {
        "python": "\n".join(python),
        "yaml": "\n".join(yaml),
        "json": json.dumps(chosen, indent=2) if chosen else "{}",
    }


def _short(value: Any) -> Any:
    """Return 0.025 for 0.02500000037252903: a model stores 32 bits, and both become the same there."""
    if isinstance(value, float) and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    return value


def _yaml(value: float) -> str:
    # YAML 1.1 takes 1e-05 for text: a number needs its point.
    text = json.dumps(value)
    return text.replace("e", ".0e") if type(value) is float and "." not in text else text
