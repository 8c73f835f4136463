"""What the flags of the Speech Commands scripts say, checked; nothing here needs TensorFlow.

Source of names, defaults and rules: TensorFlow's examples/speech_commands as of 1.15 and 2.x, which the READMEs of TensorFlow
Lite Micro's speech example call.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mltk.datasets.folder import SILENCE, UNKNOWN
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import TrainingError
from mltk.utils.text import suggestion

PREPROCESS = ("micro", "average", "mfcc")
# What 0 and 255 of a feature stand for.
FEATURE_RANGES = {"micro": (0.0, 26.0), "average": (0.0, 127.5), "mfcc": (-247.0, 30.0)}
OPTIMIZERS = ("adam", "gradient_descent", "momentum")
# Model parameters of a .tflite that tell these settings.
PARAMETER_PREFIX = "speech_commands."
_MOST_SAMPLES = 10_000_000


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """How a clip becomes a spectrogram.

    Attributes:
        sample_rate: of the clips in Hz; others are resampled.
        clip_duration_ms: length of a clip; shorter ones are filled up with zeros, longer ones cut, at their end.
        window_size_ms, window_stride_ms: length of a window, and from one to the next.
        feature_bin_count: width of a row; with "average" the bins are shared out to about so many.
        preprocess: "micro": the fixed-point frontend of the device; "average": means of neighbouring bins of the power
            spectrum; "mfcc": cepstral coefficients.
        quantize: features are int8, as the device computes and feeds them; else real numbers, float32.

    Raises:
        TrainingError: a value is out of its range.

    """

    sample_rate: int = 16000
    clip_duration_ms: int = 1000
    window_size_ms: float = 30.0
    window_stride_ms: float = 10.0
    feature_bin_count: int = 40
    preprocess: str = "mfcc"
    quantize: bool = False

    def __post_init__(self) -> None:
        if self.preprocess not in PREPROCESS:
            hint = suggestion(self.preprocess, PREPROCESS)
            raise TrainingError(
                f"--preprocess is '{self.preprocess}'{hint}: it can be {', '.join(PREPROCESS)}"
            )
        require("sample_rate", self.sample_rate, 1, 1_000_000)
        require("clip_duration_ms", self.clip_duration_ms, 1, 600_000)
        require("window_size_ms", self.window_size_ms, 0.001, 100_000)
        require("window_stride_ms", self.window_stride_ms, 0.001, 100_000)
        require("feature_bin_count", self.feature_bin_count, 1, self.n_bins)
        if (
            self.clip_length > _MOST_SAMPLES
            or not 2 <= self.window_length <= self.clip_length
            or self.stride < 1
        ):
            raise TrainingError(
                f"A window of {self.window_size_ms:g} ms every {self.window_stride_ms:g} ms does not fit into clips of "
                f"{self.clip_duration_ms} ms at {self.sample_rate} Hz: change --window_size_ms, --window_stride_ms "
                "or --clip_duration_ms"
            )
        if self.preprocess == "micro":
            self.frontend_settings.validate()

    @property
    def clip_length(self) -> int:
        """Samples in a clip."""
        return self.sample_rate * self.clip_duration_ms // 1000

    @property
    def window_length(self) -> int:
        """Samples in a window."""
        return int(self.sample_rate * self.window_size_ms / 1000)

    @property
    def stride(self) -> int:
        """Samples from one window to the next."""
        return int(self.sample_rate * self.window_stride_ms / 1000)

    @property
    def fft_length(self) -> int:
        """The smallest power of two that holds a window."""
        return 1 << max(self.window_length - 1, 0).bit_length()

    @property
    def n_bins(self) -> int:
        """Bins of the spectrum, 0 Hz and half the sample rate included."""
        return self.fft_length // 2 + 1

    @property
    def bins_a_mean(self) -> int:
        """Neighbouring bins that "average" makes one value of."""
        return self.n_bins // self.feature_bin_count

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of a spectrogram: (frames, values a frame)."""
        frames = (self.clip_length - self.window_length) // self.stride + 1
        if self.preprocess == "average":
            return frames, math.ceil(self.n_bins / self.bins_a_mean)
        return frames, self.feature_bin_count

    @property
    def scale(self) -> float:
        """What one step of a quantized feature stands for; its zero point is `zero_point`."""
        low, high = FEATURE_RANGES[self.preprocess]
        return (high - low) / 255

    @property
    def zero_point(self) -> float:
        """The int8 feature that stands for 0; a whole number but for "mfcc"."""
        return -128 - FEATURE_RANGES[self.preprocess][0] / self.scale

    @property
    def frontend_settings(self) -> AudioFeatureGeneratorSettings:
        """Settings of the fixed-point frontend for "micro"; the others take clip and rate out of it.

        Raises:
            TrainingError: a time is no whole number of milliseconds.

        """
        settings = AudioFeatureGeneratorSettings(
            sample_rate_hz=self.sample_rate, sample_length_ms=self.clip_duration_ms
        )
        if self.preprocess != "micro":
            return settings
        for name in ("window_size_ms", "window_stride_ms"):
            if not float(getattr(self, name)).is_integer():
                raise TrainingError(
                    f"--{name} is {getattr(self, name)}: --preprocess=micro takes whole milliseconds"
                )
        settings.window_size_ms = int(self.window_size_ms)
        settings.window_step_ms = int(self.window_stride_ms)
        settings.filterbank_n_channels = self.feature_bin_count
        settings.filterbank_upper_band_limit = min(7500.0, self.sample_rate / 2)
        settings.filterbank_lower_band_limit = 125.0
        settings.noise_reduction_enable = True
        settings.pcan_enable = True
        settings.log_scale_enable = True
        return settings

    def to_parameters(self) -> dict[str, Any]:
        """Return the settings as parameters of a .tflite."""
        names = [field.name for field in fields(FeatureSettings)]
        return {PARAMETER_PREFIX + name: getattr(self, name) for name in names}

    @staticmethod
    def from_parameters(parameters: Mapping[str, Any], source: str) -> "FeatureSettings":
        """Read the settings out of a .tflite's parameters.

        Args:
            parameters: of the .tflite.
            source: what it is, for the error.

        Raises:
            TrainingError: they are not in it, or can not be.

        """
        found = {
            field.name: parameters.get(PARAMETER_PREFIX + field.name) for field in fields(FeatureSettings)
        }
        if any(value is None for value in found.values()):
            raise TrainingError(
                f"{source} was not made by 'mltk speech_commands freeze': score it with 'mltk evaluate MODEL --dataset DIR'"
            )
        try:
            return FeatureSettings(
                **{field.name: field_type(field)(found[field.name]) for field in fields(FeatureSettings)}
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise TrainingError(f"{source} has settings of features that can not be: {error}") from error


def field_type(field: Any) -> Any:
    """Return the type of a setting."""
    return {"int": int, "float": float, "str": str, "bool": bool}[getattr(field.type, "__name__", field.type)]


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """What a net hears, and which one it is.

    Attributes:
        features: how clips become spectrograms.
        wanted_words: the words; `_silence_` and `_unknown_` come before them.
        model_architecture: name out of `mltk.models.shared.architectures`.

    Raises:
        TrainingError: a word is no name of a folder, or is there twice.

    """

    features: FeatureSettings
    wanted_words: tuple[str, ...] = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
    model_architecture: str = "conv"

    def __post_init__(self) -> None:
        words = self.wanted_words
        bad = [
            word for word in words if not word or word.startswith(("_", ".")) or "/" in word or "\\" in word
        ]
        if bad or not words or len(set(words)) != len(words):
            raise TrainingError(
                f"--wanted_words is '{','.join(words)}': give different names of folders with commas between them, "
                "such as yes,no"
            )

    @property
    def classes(self) -> list[str]:
        """Labels in the order of the outputs."""
        return [SILENCE, UNKNOWN, *self.wanted_words]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for a checkpoint."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "ModelSettings":
        """Make the settings again of `to_dict`.

        Raises:
            TrainingError, KeyError, TypeError: they are not that.

        """
        return ModelSettings(
            features=FeatureSettings(**values["features"]),
            wanted_words=tuple(map(str, values["wanted_words"])),
            model_architecture=str(values["model_architecture"]),
        )


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which clips train, validate and test.

    Attributes:
        data_dir: folder with one sub-folder of clips per word.
        silence_percentage, unknown_percentage: number of these clips in percent of that of the wanted words' clips.
        validation_percentage, testing_percentage: share of the speakers that is kept for these parts.

    Raises:
        TrainingError: a percentage is out of its range.

    """

    data_dir: str
    silence_percentage: float = 10.0
    unknown_percentage: float = 10.0
    validation_percentage: float = 10
    testing_percentage: float = 10

    def __post_init__(self) -> None:
        for name in ("silence_percentage", "unknown_percentage"):
            require(name, getattr(self, name), 0, 10_000)
        for name in ("validation_percentage", "testing_percentage"):
            require(name, getattr(self, name), 0, 100)
        if self.validation_percentage + self.testing_percentage >= 100:
            raise TrainingError(
                f"--validation_percentage={self.validation_percentage:g} and --testing_percentage="
                f"{self.testing_percentage:g} leave nothing to train with: lower them"
            )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything that `mltk speech_commands train` is told.

    Attributes:
        model: the net.
        data: the clips.
        schedule: (steps, learning rate) of each stage.
        train_dir: where checkpoints go.
        summaries_dir: where TensorBoard's files go; "" for none.
        start_checkpoint: go on from it; "" to begin.
        optimizer: one of `OPTIMIZERS`.
        batch_size: clips a step.
        background_volume: how loud background noise is at most, 0 to 1.
        background_frequency: share of the training clips that get it.
        time_shift_ms: clips are moved in time by up to so much.
        warmup_ms: sound before each clip whose features are dropped, up to so much: the frontend of a running stream has
            heard something before.
        eval_step_interval, save_step_interval: steps between two validations, and two checkpoints.
        seed: of everything that is random.
        cores: worker processes, as for `ParallelAudioDataGenerator`; 0: none.

    Raises:
        TrainingError: a value is out of its range.

    """

    model: ModelSettings
    data: DataSettings
    schedule: tuple[tuple[int, float], ...]
    train_dir: str
    summaries_dir: str = ""
    start_checkpoint: str = ""
    optimizer: str = "adam"
    batch_size: int = 100
    background_volume: float = 0.1
    background_frequency: float = 0.8
    time_shift_ms: float = 100.0
    warmup_ms: int = 0
    eval_step_interval: int = 400
    save_step_interval: int = 100
    seed: int = 42
    cores: float = 0.5

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            hint = suggestion(self.optimizer, OPTIMIZERS)
            raise TrainingError(f"--optimizer is '{self.optimizer}'{hint}: it can be {', '.join(OPTIMIZERS)}")
        require("batch_size", self.batch_size, 1, 100_000)
        require("background_volume", self.background_volume, 0, 1)
        require("background_frequency", self.background_frequency, 0, 1)
        require("time_shift_ms", self.time_shift_ms, 0, self.model.features.clip_duration_ms)
        require("warmup_ms", self.warmup_ms, 0, 60_000)
        require("eval_step_interval", self.eval_step_interval, 1, 10_000_000)
        require("save_step_interval", self.save_step_interval, 1, 10_000_000)
        require("seed", self.seed, 0, 2**32 - 1)

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(steps for steps, _ in self.schedule)


def parse_schedule(steps: str, rates: str) -> tuple[tuple[int, float], ...]:
    """Return (steps, learning rate) of each stage of --how_many_training_steps and --learning_rate.

    Args:
        steps: such as "15000,3000".
        rates: such as "0.001,0.0001".

    Raises:
        TrainingError: they are no numbers above 0, or not as many of each.

    """
    try:
        stages = [int(part) for part in steps.split(",")], [float(part) for part in rates.split(",")]
    except ValueError:
        stages = [], []
    numbers, values = stages
    legal = all(1 <= number <= 100_000_000 for number in numbers) and all(
        0 < value < math.inf for value in values
    )
    if not numbers or not legal:
        raise TrainingError(
            f"--how_many_training_steps is '{steps}' and --learning_rate '{rates}': give numbers above 0 with commas "
            'between them, such as "15000,3000" and "0.001,0.0001"'
        )
    if len(numbers) != len(values):
        raise TrainingError(
            f"--how_many_training_steps has {len(numbers)} stages and --learning_rate {len(values)}: give one rate "
            "for each stage"
        )
    return tuple(zip(numbers, values, strict=True))


def require(name: str, value: float, low: float, high: float) -> None:
    """Raise TrainingError unless a flag's value is in its range, both ends included."""
    if not low <= value <= high:
        raise TrainingError(f"--{name} is {value:g}: it can be {low:g} to {high:g}")
