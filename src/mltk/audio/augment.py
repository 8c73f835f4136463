"""Augmentation: one clip in, the same words as another person in another room might have said them out.

Everything that is random is drawn from the generator that the caller gives, in a fixed order and a fixed
number of draws for the clip's parameters, so that the same seed gives the same clip wherever it is computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.audio.convert import require_clip, to_float32
from mltk.audio.equalize import equalize
from mltk.audio.length import adjust_length, trim_silence
from mltk.audio.noise import NOISE_COLORS, colored_noise, noise_color
from mltk.audio.resample import resample
from mltk.audio.stretch import stretch, warp_vocal_tract
from mltk.utils.errors import AudioError

Range = tuple[float, float]

# Factors outside of these are not speech any more, and would make clips of any size.
_LIMITS: dict[str, Range] = {
    "offset_range": (0.0, 1.0),
    "loudness_range": (0.0, 100.0),
    "speed_range": (0.25, 4.0),
    "pitch_range": (0.25, 4.0),
    "vtlp_range": (0.5, 2.0),
    "resample_range": (0.5, 2.0),
    "bg_noise_range": (0.0, 10.0),
    "noise_color_range": (0.0, 1.0),
}

_MAX_EQUALIZER_DB = 40.0

DEFAULT_NOISE_COLOR_RANGE: Range = (0.0, 0.1)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is varied at random, each as (low, high) of a uniform distribution; None leaves it as it is.

    Attributes:
        offset_range: where the clip sits: 0 at the start of the free room, 1 at its end (see
            `adjust_length`).
        trim_threshold_db: trim the quiet ends first (see `trim_silence`).
        speed_range: factor on the speed at the same pitch; above 1 is faster.
        pitch_range: factor on all frequencies at the same speed; above 1 is higher. As in later versions of
            the reference toolkit, two integers are semitones, and floats of which the lower is not above 0
            are octaves.
        vtlp_range: factor on the formants (vocal tract length perturbation).
        resample_range: factor on speed, pitch and formants together, as a tape that runs too fast; costs a
            tenth of the others and needs no extra. Ours, not the reference's.
        equalizer_db: a random frequency response within +/- this many decibels, as of another microphone and
            room (see `equalize`). Ours, not the reference's.
        bg_noise_range: gain of a random segment of a random background noise that is added.
        noise_colors: names of noise colours, one of which is added instead of a background noise in half of
            the clips (always where there is no background noise); 'all' are all.
        noise_color_range: RMS of that noise, 1 is full scale; None: 0 to 0.1.
        loudness_range: factor on the amplitude of the mix of clip and noise.

    Raises:
        AudioError: a range is not (low, high) with low <= high within its limits, or a colour is unknown.

    """

    offset_range: Range | None = (0.0, 1.0)
    trim_threshold_db: float | None = None
    speed_range: Range | None = None
    pitch_range: Range | None = None
    vtlp_range: Range | None = None
    resample_range: Range | None = None
    bg_noise_range: Range | None = None
    noise_colors: tuple[str, ...] = ()
    noise_color_range: Range | None = None
    loudness_range: Range | None = None
    equalizer_db: float | None = None

    def __post_init__(self) -> None:
        colors: Any = self.noise_colors
        if isinstance(colors, str):
            colors = {"all": NOISE_COLORS, "none": ()}.get(colors.lower(), (colors,))
        object.__setattr__(self, "noise_colors", tuple(noise_color(color) for color in colors or ()))
        object.__setattr__(self, "pitch_range", pitch_factors(self.pitch_range))
        for field in fields(self):
            if field.name in _LIMITS:
                checked = _checked_range(field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, checked)
        if self.trim_threshold_db is not None and not 0 < self.trim_threshold_db < math.inf:
            raise AudioError(f"trim_threshold_db must be above 0 dB, not {self.trim_threshold_db}")

        if self.equalizer_db is not None and not 0 <= self.equalizer_db <= _MAX_EQUALIZER_DB:
            raise AudioError(f"equalizer_db must be 0 to {_MAX_EQUALIZER_DB:g} dB, not {self.equalizer_db}")

    def without_variation(self) -> "Augmentation":
        """Return what is left for clips that are measured, not trained with: trimming, and the middle of the
        offsets.
        """
        low, high = self.offset_range or (0.0, 1.0)
        return Augmentation(offset_range=((low + high) / 2,) * 2, trim_threshold_db=self.trim_threshold_db)

    @property
    def needs_stretch(self) -> bool:
        """Whether speed or pitch vary, which takes a library of the extra 'train'."""
        return self.speed_range is not None or self.pitch_range is not None


def _checked_range(name: str, value: Any) -> Range | None:
    if value is None:
        return None
    low_limit, high_limit = _LIMITS[name]
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        raise AudioError(f"{name} must be a pair (low, high), not {value!r}") from None
    if not low_limit <= low <= high <= high_limit:
        raise AudioError(f"{name} must be (low, high) within {low_limit} to {high_limit}, not {value!r}")
    return low, high


def pitch_factors(pitch_range: Any) -> Any:
    """Return a pitch range as frequency factors: integers are semitones, floats with low <= 0 are octaves."""
    if not isinstance(pitch_range, tuple | list) or len(pitch_range) != 2:
        return pitch_range
    low, high = pitch_range
    if isinstance(low, int) and isinstance(high, int):
        return 2.0 ** (low / 12.0), 2.0 ** (high / 12.0)
    if isinstance(low, int | float) and isinstance(high, int | float) and low <= 0:
        return 2.0**low, 2.0**high
    return pitch_range


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One clip's random parameters."""

    offset: float
    speed: float
    pitch: float
    vtlp: float
    noise_gain: float
    color_rms: float
    loudness: float
    chooses_color: bool
    stretch_seed: int
    tape: float


def _draw(augmentation: Augmentation, rng: np.random.Generator) -> _Drawn:
    """Draw every parameter, wanted or not: switching one augmentation on leaves the others' values as they
    were.
    """
    u = rng.random(8)

    def between(range_: Range | None, at: float, default: float) -> float:
        return default if range_ is None else range_[0] + (range_[1] - range_[0]) * float(at)

    return _Drawn(
        offset=between(augmentation.offset_range, u[0], 0.0),
        speed=between(augmentation.speed_range, u[1], 1.0),
        pitch=between(augmentation.pitch_range, u[2], 1.0),
        vtlp=between(augmentation.vtlp_range, u[3], 1.0),
        noise_gain=between(augmentation.bg_noise_range, u[4], 0.0),
        color_rms=between(augmentation.noise_color_range or DEFAULT_NOISE_COLOR_RANGE, u[5], 0.0),
        loudness=between(augmentation.loudness_range, u[6], 1.0),
        chooses_color=bool(u[7] < 0.5),
        stretch_seed=int(rng.integers(1 << 31)),
        tape=between(augmentation.resample_range, float(rng.random()), 1.0),
    )


def augment(
    sample: Any,
    sample_rate_hz: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
    noises: Sequence[NDArray[Any]] = (),
    *,
    out_length: int | None = None,
    lead_in: int = 0,
    partial: bool = False,
) -> NDArray[np.float32]:
    """Vary one clip: trim, speed and pitch, vocal tract, frequency response, length and offset, noise, loudness; in this order.

    Args:
        sample: 1-D float32 in [-1, 1], or int16.
        sample_rate_hz: rate of the clip and the noises in Hz.
        augmentation: what to vary.
        rng: the only source of randomness.
        noises: background noises, 1-D float32 or int16 of any length above 0; one is chosen per clip.
        out_length: samples of the result's clip; None: as many as `sample` has.
        lead_in: samples of noise alone that are put before the clip.
        partial: leave only the word's beginning, at the end of the result, or its end, at the beginning: what a
            running stream shows of a word that comes or goes.

    Returns:
        float32 [lead_in + out_length], clipped to [-1, 1].

    Raises:
        AudioError: `sample` is not a mono clip.
        MissingExtraError: speed or pitch vary and the extra 'train' is not installed.

    """
    clip = to_float32(require_clip(sample))
    length = len(clip) if out_length is None else out_length
    drawn = _draw(augmentation, rng)
    if augmentation.trim_threshold_db is not None:
        clip = trim_silence(clip, augmentation.trim_threshold_db)  # type: ignore[assignment]
    if augmentation.resample_range is not None:
        # Whole percents: the resampler keeps a filter for each pair of rates.
        clip = to_float32(resample(clip, round(100 * drawn.tape), 100))
    if augmentation.needs_stretch:
        clip = stretch(clip, sample_rate_hz, drawn.speed, drawn.pitch, drawn.stretch_seed)
    if augmentation.vtlp_range is not None:
        # Whole percents too: what a factor does to an envelope is computed once.
        clip = warp_vocal_tract(clip, sample_rate_hz, round(drawn.vtlp, 2))
    if augmentation.equalizer_db:
        response = np.random.default_rng(drawn.stretch_seed)
        clip = equalize(clip, sample_rate_hz, augmentation.equalizer_db, response)
    mix = np.zeros(lead_in + length, np.float32)
    if partial:
        clip, offset = _part_of(clip, length, rng)
    else:
        offset = drawn.offset
    mix[lead_in:] = adjust_length(clip, length, offset=offset)
    with_background = len(noises) > 0 and augmentation.bg_noise_range is not None
    if augmentation.noise_colors and (drawn.chooses_color or not with_background):
        color = augmentation.noise_colors[int(rng.integers(len(augmentation.noise_colors)))]
        mix += np.float32(drawn.color_rms) * colored_noise(len(mix), color, rng)
    elif with_background:
        mix += np.float32(drawn.noise_gain) * random_noise(len(mix), noises, rng)
    return _saturated(mix, drawn.loudness)


# How much of a word is not the word yet.
_PARTIAL_SHARES = (0.15, 0.45)


def _part_of(
    clip: NDArray[np.float32], length: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """Return the beginning of a word with the offset 1, or its end with the offset 0."""
    share = float(rng.uniform(*_PARTIAL_SHARES))
    part = min(length, max(1, int(share * len(clip))))
    return (clip[:part], 1.0) if rng.random() < 0.5 else (clip[-part:], 0.0)


def _saturated(sample: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    return np.asarray(np.clip(sample * np.float32(gain), -1.0, 1.0), dtype=np.float32)


def random_noise(n: int, noises: Sequence[NDArray[Any]], rng: np.random.Generator) -> NDArray[np.float32]:
    """Cut a random segment out of a random noise; a noise that is too short is repeated.

    Args:
        n: samples wanted.
        noises: 1-D float32 or int16 arrays, none of them empty.
        rng: the source of randomness.

    Returns:
        float32 [n].

    """
    noise = noises[int(rng.integers(len(noises)))]
    if len(noise) >= n:
        start = int(rng.integers(len(noise) - n + 1))
        return to_float32(noise[start : start + n])
    start = int(rng.integers(len(noise)))
    return to_float32(np.take(noise, np.arange(start, start + n), mode="wrap"))


# How the clips of `_silence_` are made: shares of them, and levels.
_DIGITAL_SILENCE_SHARE = 0.05
_GENERATED_SHARE = 0.25
_GENERATED_RMS_DB = (-75.0, -12.0)
_QUIETEST_GAIN_DB = -50.0


def make_silence(
    n: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
    noises: Sequence[NDArray[Any]] = (),
) -> NDArray[np.float32]:
    """Make a clip in which nobody speaks: anything from digital silence to noise as loud as it was recorded.

    A model that only ever heard its noises at the gain at which they are mixed under words takes louder noise
    for speech. So the gain reaches 1 here whatever `bg_noise_range` is: half of the clips draw it evenly from
    0 to 1, half evenly in dB down to -50. A quarter of the clips (all, where there are no noises) are
    generated noise of a random colour and level, so that noises that were never recorded are silence too; one
    in twenty is digital silence.

    Args:
        n: samples wanted.
        augmentation: its `loudness_range` applies.
        rng: the only source of randomness.
        noises: background noises as for `augment`.

    Returns:
        float32 [n], clipped to [-1, 1].

    """
    drawn = _draw(augmentation, rng)
    kind, level, even = (float(value) for value in rng.random(3))
    if kind < _DIGITAL_SILENCE_SHARE:
        return np.zeros(n, np.float32)
    if kind < _DIGITAL_SILENCE_SHARE + _GENERATED_SHARE or len(noises) == 0:
        low, high = _GENERATED_RMS_DB
        color = NOISE_COLORS[int(rng.integers(len(NOISE_COLORS)))]
        gain = 10.0 ** ((low + (high - low) * level) / 20.0)
        noise = colored_noise(n, color, rng)
    else:
        gain = level if even < 0.5 else 10.0 ** (_QUIETEST_GAIN_DB * level / 20.0)
        noise = random_noise(n, noises, rng)
    return _saturated(noise, gain * drawn.loudness)
