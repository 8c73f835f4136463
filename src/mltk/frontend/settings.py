"""The settings of the audio frontend: a dict keyed `fe.*`, as in model parameters, with typed attributes."""

import copy
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any, Generic, NoReturn, Self, SupportsIndex, TypeVar, overload

import numpy as np

from mltk.utils.errors import FrontendError
from mltk.utils.text import suggestion

PREFIX = "fe."
MAX_FFT_LENGTH = 32768
MIN_WINDOW_SAMPLES = 3
# Fractional bits of the filterbank weights, of PCAN's signal-to-noise ratio: what the shifts below depend on.
_FILTERBANK_BITS = 12
_PCAN_SNR_BITS = 12

_TIMES = ("sample_rate_hz", "sample_length_ms", "window_size_ms", "window_step_ms", "filterbank_n_channels")

T = TypeVar("T", int, float, bool)


class UnknownSettingError(FrontendError, AttributeError):
    """An attribute that is not a setting was read or written."""


class _Setting(Generic[T]):
    """One attribute of the settings, stored in the dict under its `fe.` key.

    `low` and `high` are the legal range, both ends included; what depends on other settings stands in
    `validate`.
    """

    def __init__(self, default: T, low: float, high: float, doc: str) -> None:
        self.default: T = default
        self.kind: type[T] = type(default)
        self.low, self.high = low, high
        self.__doc__ = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: "AudioFeatureGeneratorSettings", owner: type) -> T: ...

    def __get__(self, instance: "AudioFeatureGeneratorSettings | None", owner: type) -> T | Self:
        if instance is None:
            return self
        value: T = instance.get(PREFIX + self.name, self.default)
        return value

    def __set__(self, instance: "AudioFeatureGeneratorSettings", value: T) -> None:
        instance[PREFIX + self.name] = value

    def convert(self, value: object) -> T:
        """Return `value` in the setting's own type.

        Raises:
            FrontendError: it is not such a value.

        """
        if isinstance(value, numbers.Real | np.bool_):
            number = float(value)
            fits = {bool: number in (0.0, 1.0), int: number.is_integer(), float: True}[self.kind]
            if fits:
                return self.kind(number)
        expected = {bool: "True or False", int: "a whole number", float: "a number"}[self.kind]
        raise FrontendError(f"{PREFIX}{self.name} must be {expected}, not {value!r}")

    def check_range(self, value: T) -> None:
        """Refuse a value outside the legal range.

        Raises:
            FrontendError: it is outside, or not a number.

        """
        if not self.low <= value <= self.high:
            _refuse(self.name, value, f"{self.low:g} to {self.high:g}")


def _refuse(name: str, value: object, legal: str) -> NoReturn:
    raise FrontendError(f"{PREFIX}{name} is {value}, the legal range is {legal}")


class AudioFeatureGeneratorSettings(dict[str, Any]):
    """Settings of the audio frontend.

    A dict with one `fe.NAME` entry a setting, so that it goes into and comes from model parameters as it is;
    entries that are not frontend settings are kept. The same settings are attributes
    (`settings.sample_rate_hz`). `fe.fft_length` is always computed from the window.

    Types are checked when a setting is written, ranges by `validate`, which whatever computes features calls.
    """

    __slots__ = ()

    sample_rate_hz = _Setting(16000, 1, 1_000_000, "Sample rate of the audio in Hz.")
    sample_length_ms = _Setting(1000, 1, 86_400_000, "Length of one clip in ms.")
    window_size_ms = _Setting(25, 1, 100_000, "Length of one window in ms.")
    window_step_ms = _Setting(10, 1, 100_000, "Hop between two windows in ms; at most the window's size.")
    filterbank_n_channels = _Setting(
        32, 1, MAX_FFT_LENGTH // 2, "Number of mel channels; at most half the FFT length."
    )
    filterbank_upper_band_limit = _Setting(
        7500.0, 0.0, 500_000.0, "Highest frequency of the filterbank in Hz; at most half the sample rate."
    )
    filterbank_lower_band_limit = _Setting(125.0, 0.0, 500_000.0, "Lowest frequency of the filterbank in Hz.")
    noise_reduction_enable = _Setting(False, 0, 1, "Subtract an estimate of the noise in each channel.")
    noise_reduction_smoothing_bits = _Setting(
        10, 0, 12, "Fractional bits of the noise estimate; more than 12 would overflow on loud audio."
    )
    noise_reduction_even_smoothing = _Setting(0.025, 0.0, 1.0, "Smoothing of channels 0, 2, 4, ...")
    noise_reduction_odd_smoothing = _Setting(0.06, 0.0, 1.0, "Smoothing of channels 1, 3, 5, ...")
    noise_reduction_min_signal_remaining = _Setting(0.05, 0.0, 1.0, "Part of the signal that is always kept.")
    pcan_enable = _Setting(False, 0, 1, "Per-channel gain control: divide by a power of the noise.")
    pcan_strength = _Setting(0.95, 0.0, 100.0, "Exponent of the noise that the signal is divided by.")
    pcan_offset = _Setting(80.0, 0.0, 1e9, "Added to the noise before it is raised to `pcan_strength`.")
    pcan_gain_bits = _Setting(21, 0, 31, "Fractional bits of PCAN's gain.")
    log_scale_enable = _Setting(True, 0, 1, "Take the logarithm of the channels.")
    log_scale_shift = _Setting(6, 0, 12, "The natural logarithm is scaled by 2^log_scale_shift.")
    activity_detection_enable = _Setting(False, 0, 1, "Watch for activity (does not change the features).")
    activity_detection_alpha_a = _Setting(0.5, 0.0, 1.0, "Coefficient of the fast filter, in steps of 1/256.")
    activity_detection_alpha_b = _Setting(0.8, 0.0, 1.0, "Coefficient of the slow filter, in steps of 1/256.")
    activity_detection_arm_threshold = _Setting(0.75, 0.0, 7.999, "Armed once fast < slow * arm_threshold.")
    activity_detection_trip_threshold = _Setting(
        0.8, 0.0, 7.999, "If armed, trips once fast > slow * trip_threshold."
    )
    dc_notch_filter_enable = _Setting(False, 0, 1, "Remove the DC offset of the samples.")
    dc_notch_filter_coefficient = _Setting(0.95, 0.0, 32767 / 32768, "Pole of the DC notch filter.")
    quantize_dynamic_scale_enable = _Setting(
        False,
        0,
        1,
        "int8 features span `quantize_dynamic_scale_range_db` below the loudest.",
    )
    quantize_dynamic_scale_range_db = _Setting(40.0, 0.0, 1000.0, "Dynamic range of the int8 features in dB.")

    def __init__(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **values: Any) -> None:
        """Start from the defaults and take over all given entries.

        Args:
            other: entries, such as the parameters of a model.
            values: more entries: `fe.NAME` keys, attribute names, or any other key, which is kept as it is.

        Raises:
            FrontendError: a setting has a value of the wrong type.

        """
        super().__init__()
        for name, setting in SETTINGS.items():
            self[PREFIX + name] = setting.default
            if name == "sample_rate_hz":
                self._update_fft_length()  # here, so that it stands second, as in the archives
        self.update(other, **values)

    # the dict's side

    def __setitem__(self, key: str, value: Any) -> None:
        name = key.removeprefix(PREFIX) if key.startswith(PREFIX) else None
        if name is None or name not in SETTINGS:
            # The FFT length follows from the window: an old archive's own figure is not taken over.
            if key != "fe.fft_length":
                super().__setitem__(key, value)
            return
        super().__setitem__(key, SETTINGS[name].convert(value))
        if name in ("sample_rate_hz", "window_size_ms"):
            self._update_fft_length()

    def update(self, other: Any = (), /, **values: Any) -> None:
        """Take over entries; attribute names count as their `fe.` keys.

        Raises:
            FrontendError: a setting has a value of the wrong type.

        """
        for key, value in dict(other, **values).items():
            self[PREFIX + key if key in SETTINGS else key] = value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in SETTINGS:
            raise UnknownSettingError(f'There is no frontend setting "{name}"{suggestion(name, SETTINGS)}')
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> NoReturn:
        # Only reached when the attribute does not exist.
        raise UnknownSettingError(f'There is no frontend setting "{name}"{suggestion(name, SETTINGS)}')

    def copy(self) -> "AudioFeatureGeneratorSettings":
        """Return a deep copy."""
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> "AudioFeatureGeneratorSettings":
        # All entries are already converted: no need to start from the defaults and check each again.
        result = type(self).__new__(type(self))
        dict.update(result, copy.deepcopy(dict(self), memo))
        return result

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return AudioFeatureGeneratorSettings, (dict(self),)

    # what follows from the settings

    def _update_fft_length(self) -> None:
        super().__setitem__("fe.fft_length", 1 << max(self.window_size - 1, 0).bit_length())

    @property
    def fft_length(self) -> int:
        """The smallest power of two that holds a window."""
        return int(self["fe.fft_length"])

    @property
    def sample_length(self) -> int:
        """Samples in one clip."""
        return self.sample_length_ms * self.sample_rate_hz // 1000

    @property
    def window_size(self) -> int:
        """Samples in one window."""
        return self.window_size_ms * self.sample_rate_hz // 1000

    @property
    def window_step(self) -> int:
        """Samples between the starts of two windows."""
        return self.window_step_ms * self.sample_rate_hz // 1000

    @property
    def spectrogram_shape(self) -> tuple[int, int]:
        """Shape of a clip's features: (frames, channels).

        Raises:
            FrontendError: the window, its step or the clip's length is illegal.

        """
        self._validate_times()
        return (self.sample_length - self.window_size) // self.window_step + 1, self.filterbank_n_channels

    # what is legal

    def validate(self) -> None:
        """Check that features can be computed with these settings.

        Raises:
            FrontendError: a setting is outside its legal range; says which, and the range.

        """
        for name, setting in SETTINGS.items():
            setting.check_range(getattr(self, name))
        self._validate_times()
        self._validate_filterbank()
        if self.pcan_enable:
            self._validate_pcan()

    def _validate_times(self) -> None:
        for name in (
            "sample_rate_hz",
            "sample_length_ms",
            "window_size_ms",
            "window_step_ms",
            "filterbank_n_channels",
        ):
            SETTINGS[name].check_range(getattr(self, name))
        rate = self.sample_rate_hz
        if not MIN_WINDOW_SAMPLES <= self.window_size <= MAX_FFT_LENGTH:
            longest = MAX_FFT_LENGTH * 1000 // rate
            shortest = -(-MIN_WINDOW_SAMPLES * 1000 // rate)
            _refuse("window_size_ms", self.window_size_ms, f"{shortest} to {longest} at {rate} Hz")
        if not 1 <= self.window_step <= self.window_size:
            shortest = -(-1000 // rate)
            _refuse(
                "window_step_ms",
                self.window_step_ms,
                f"{shortest} to {self.window_size_ms} (the window's size) at {rate} Hz",
            )
        if self.sample_length < self.window_size:
            _refuse(
                "sample_length_ms",
                self.sample_length_ms,
                f"{self.window_size_ms} (the window's size) or more",
            )

    def _validate_filterbank(self) -> None:
        nyquist = self.sample_rate_hz / 2
        upper, lower = self.filterbank_upper_band_limit, self.filterbank_lower_band_limit
        if upper > nyquist:
            _refuse("filterbank_upper_band_limit", upper, f"0 to {nyquist:g} (half the sample rate)")
        if lower >= upper:
            _refuse("filterbank_lower_band_limit", lower, f"0 to below {upper:g} (the upper band limit)")
        bins = self.fft_length // 2
        if self.filterbank_n_channels > bins:
            _refuse("filterbank_n_channels", self.filterbank_n_channels, f"1 to {bins} (half the FFT length)")

    def _validate_pcan(self) -> None:
        # How far the spectrum's scale is from the one that PCAN's curve is made for.
        correction_bits = int(math.log2(self.fft_length)) - _FILTERBANK_BITS // 2
        for name, low, high in (
            ("noise_reduction_smoothing_bits", max(correction_bits, 0), 12),
            ("pcan_gain_bits", max(correction_bits + _PCAN_SNR_BITS, 0), 31),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                _refuse(name, value, f"{low} to {high} with PCAN and an FFT of {self.fft_length}")


SETTINGS: dict[str, _Setting[Any]] = {
    name: value for name, value in vars(AudioFeatureGeneratorSettings).items() if isinstance(value, _Setting)
}
"""All frontend settings by attribute name, in the order of the archives."""
