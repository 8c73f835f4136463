"""Everything that hears words in a sound, with all that it computes on the way: what a parity report compares.

Python's frontend, model and recognizer; the firmware's C on this machine; the firmware on an emulated board.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mltk.detection.events import Detection, Inference
from mltk.detection.stream import KeywordDetector
from mltk.firmware.boards import Memory, board_of
from mltk.firmware.emulator import Emulator
from mltk.firmware.firmware import Firmware, make_firmware
from mltk.firmware.host import HostProgram
from mltk.firmware.machine import Machine
from mltk.firmware.targets import Target
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import DeviceError

# An emulated board may have more memory than a real one: whether the program fits there is another question.
_ROOMY = 4 * 2**20
_ROW, _INPUT, _SCORES, _HEARD = b"RISH"


@dataclass(frozen=True)
class Trace:
    """What was computed of a sound.

    Attributes:
        features: uint16 [n, channels], what the frontend gave, before it became int8; with a dynamic scale each
            inference's window, one after the other.
        inputs: [n, frames * channels], what the model got, in its own type.
        scores: uint8 [n, classes], what it gave.
        lines: what was heard, such as `Heard yes (201) @4056ms`.

    """

    features: npt.NDArray[Any]
    inputs: npt.NDArray[Any]
    scores: npt.NDArray[Any]
    lines: tuple[str, ...]


class SoundEngine(Protocol):
    """One way from samples to words."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    def listen(self, samples: npt.NDArray[np.int16]) -> Trace:
        """Hear a sound, int16 [n] at the model's rate, from a fresh start."""


class PythonSound:
    """Python's frontend and recognizer with one of the engines of `mltk.tflite.engines`.

    Args:
        model: the model.
        engine: what runs it: "tflm" or "native".
        name: what a report calls it.

    Raises:
        DetectionError: the model has no frontend settings, or they do not belong to its graph.

    """

    def __init__(self, model: TfliteModel, engine: str, name: str) -> None:
        self.name = name
        self.detector = KeywordDetector(
            model, engine=engine, on_inference=self._on_inference, on_features=self._on_features
        )
        self._is_dynamic = bool(self.detector.frontend_settings.quantize_dynamic_scale_enable)
        self._rows: list[npt.NDArray[Any]] = []
        self._inferences: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []

    def listen(self, samples: npt.NDArray[np.int16]) -> Trace:
        """Hear a sound."""
        self._rows, self._inferences = [], []
        self.detector.reset()
        heard: list[Detection] = self.detector.feed(samples)
        _, n_channels = self.detector.frontend_settings.spectrogram_shape
        size = int(np.prod(self.detector.frontend_settings.spectrogram_shape))
        inputs = [given.reshape(-1) for given, _ in self._inferences]
        scores = [result for _, result in self._inferences]
        return Trace(
            np.concatenate(self._rows) if self._rows else np.zeros((0, n_channels), np.uint16),
            np.array(inputs) if inputs else np.zeros((0, size), np.int8),
            np.array(scores) if scores else np.zeros((0, len(self.detector.labels)), np.uint8),
            tuple(map(str, heard)),
        )

    def _on_features(self, features: npt.NDArray[np.uint16]) -> None:
        if not self._is_dynamic:
            self._rows.append(features.copy())

    def _on_inference(self, inference: Inference) -> None:
        if self._is_dynamic:
            self._rows.append(inference.features.copy())
        self._inferences.append((inference.model_input.copy(), inference.scores.copy()))


class HostSound:
    """The firmware's C files on this machine.

    Args:
        firmware: the program; only its board's own files are left out.

    Raises:
        DeviceError: it can not be built.
        MissingExtraError: there is no compiler.

    """

    name = "C on this machine"

    def __init__(self, firmware: Firmware) -> None:
        self._detector = firmware.detector
        files = {
            path: text
            for path, text in firmware.files.items()
            if path.endswith((".c", ".h")) and (not path.startswith("app/") or "kws" in path)
        }
        files["app/kws.inc"] = files.pop("app/kws.c")
        files["main.c"] = _HARNESS
        self._program = HostProgram(files, f"The firmware of {firmware.name}")

    def listen(self, samples: npt.NDArray[np.int16]) -> Trace:
        """Hear a sound."""
        data = self._program.run(samples.astype(np.int16, copy=False).tobytes())
        records: dict[int, list[bytes]] = {kind: [] for kind in (_ROW, _INPUT, _SCORES, _HEARD)}
        position = 0
        while position < len(data):
            size = int.from_bytes(data[position + 1 : position + 5], "little")
            records[data[position]].append(data[position + 5 : position + 5 + size])
            position += 5 + size
        lines = []
        for record in records[_HEARD]:
            score, class_id, time_ms = map(int, record.split())
            lines.append(str(Detection(self._detector.labels[class_id], score, time_ms, class_id)))
        return _trace(self._detector, records[_ROW], records[_INPUT], records[_SCORES], lines)


class ChipSound:
    """The firmware on an emulated board with that processor.

    Args:
        model: the model.
        target: the processor.

    Raises:
        DeviceError: it can not be built or emulated.
        MissingExtraError: the extra "device" is not installed.

    """

    def __init__(self, model: TfliteModel, target: Target) -> None:
        self.name = f"C on {target.name}"
        board = board_of(target)
        # A board with this very processor: a Cortex-M0+ where the board has a Cortex-M0.
        board = replace(
            board,
            target_name=target.name,
            flash=Memory(board.flash.origin, _ROOMY),
            ram=Memory(board.ram.origin, _ROOMY),
        )
        self._firmware = make_firmware(model, board)
        self._machine = Machine(self._firmware)
        self._records: dict[int, list[bytes]] = {}

    def listen(self, samples: npt.NDArray[np.int16]) -> Trace:
        """Hear a sound."""
        self._records = {kind: [] for kind in (_ROW, _INPUT, _SCORES)}
        # Counting would take far longer than the work: it ends with the first block.
        run = self._machine.run(
            [samples], measure_s=1 / self._firmware.detector.sample_rate_hz, prepare=self._watch
        )
        records = self._records
        return _trace(self._firmware.detector, records[_ROW], records[_INPUT], records[_SCORES], run.lines)

    def _watch(self, emulator: Emulator) -> None:
        frontend = self._firmware.detector.frontend_settings
        n_frames, n_channels = frontend.spectrogram_shape
        plan = self._firmware.compiled.plan
        offset = plan.offsets[plan.inputs[0].index]
        is_dynamic = bool(frontend.quantize_dynamic_scale_enable)

        def reader(kind: int, register: int, n_bytes: int, first: int = 0) -> Callable[[], None]:
            def read() -> None:
                address = emulator.register(register) + first
                self._records[kind].append(emulator.read_at(address, n_bytes))

            return read

        # Where the arguments are at the function's entry: r0, r1, ...
        quantize = "mltk_fe_quantize_below" if is_dynamic else "mltk_fe_quantize"
        emulator.on_entry(quantize, reader(_ROW, 2 if is_dynamic else 1, 2 * n_channels))
        emulator.on_entry("kws_model_invoke", reader(_INPUT, 0, n_frames * n_channels, offset))
        emulator.on_entry("mltk_detector_update", reader(_SCORES, 1, len(self._firmware.detector.labels)))


def _trace(
    detector: KeywordDetector,
    rows: Sequence[bytes],
    inputs: Sequence[bytes],
    scores: Sequence[bytes],
    lines: Sequence[str],
) -> Trace:
    n_frames, n_channels = detector.frontend_settings.spectrogram_shape
    return Trace(
        np.frombuffer(b"".join(rows), "<u2").reshape(-1, n_channels),
        np.frombuffer(b"".join(inputs), np.int8).reshape(-1, n_frames * n_channels),
        np.frombuffer(b"".join(scores), np.uint8).reshape(-1, len(detector.labels)),
        tuple(lines),
    )


def made_up_sound(rate_hz: int, seconds: float, seed: int = 0) -> npt.NDArray[np.int16]:
    """Return a sound that excites a frontend: tones that glide, noise in bursts, silence, and clipping.

    Args:
        rate_hz: samples a second.
        seconds: its length.
        seed: of its random parts.

    Returns:
        int16 [samples].

    """
    rng = np.random.default_rng(seed)
    n = round(rate_hz * seconds)
    time_s = np.arange(n) / rate_hz
    sound = rng.normal(0, 30, n)
    piece = max(1, rate_hz // 4)
    for number, start in enumerate(range(0, n, piece)):
        part = time_s[start : start + piece]
        kind = number % 4
        level = rng.choice([300, 3000, 20000, 45000])
        if kind in (0, 2):
            low, high = rng.uniform(80, 800), rng.uniform(800, 0.45 * rate_hz)
            glide = low + (high - low) * (part - part[0]) * 4
            tone = sum(np.sin(2 * np.pi * k * np.cumsum(glide) / rate_hz) / k for k in (1, 2, 3))
            sound[start : start + piece] += level * tone
        elif kind == 1:
            sound[start : start + piece] += rng.normal(0, level / 4, len(part))
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def host_firmware(model: TfliteModel) -> Firmware:
    """Return the program of which `HostSound` takes what does not belong to a board.

    Raises:
        DeviceError: the model takes or gives other types than int8.

    """
    from mltk.firmware.boards import BOARDS

    board = BOARDS["mps2-an385"]
    # Plain C kernels: this machine has none of the chip's instructions.
    firmware = make_firmware(model, replace(board, target_name="cortex-m0"))
    if not firmware.files.get("app/kws.c"):
        raise DeviceError(f"The firmware of {firmware.name} has no listener")
    return firmware


# The listener, with every stage's values written out where it hands them on.
_HARNESS = """
#include <stdio.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif
#include "app/kws.h"
#include "frontend/mltk_fe_stages.h"

static void emit(int kind, const void *data, size_t size) {
  int shift;
  putchar(kind);
  for (shift = 0; shift < 32; shift += 8) putchar((int)((size >> shift) & 0xFF));
  fwrite(data, 1, size, stdout);
}
#define mltk_fe_quantize(tables, row, n, output) \\
  (emit('R', (row), 2 * (size_t)(n)), mltk_fe_quantize(tables, row, n, output))
#define mltk_fe_quantize_below(tables, highest, row, n, output) \\
  (emit('R', (row), 2 * (size_t)(n)), mltk_fe_quantize_below(tables, highest, row, n, output))
#define kws_model_invoke(state) \\
  (emit('I', kws_model_input(state), (size_t)KWS_FRAMES * KWS_CHANNELS), kws_model_invoke(state))
#define mltk_detector_update(detector, scores, time_ms, decision) \\
  (emit('S', (scores), KWS_CLASSES), mltk_detector_update(detector, scores, time_ms, decision))
#include "app/kws.inc"

static kws_state state;

int main(void) {
  static int16_t samples[160];
  size_t n;
#ifdef _WIN32
  (void)_setmode(0, _O_BINARY);
  (void)_setmode(1, _O_BINARY);
#endif
  if (kws_init(&state) != 0) return 1;
  while ((n = fread(samples, sizeof(samples[0]), 160, stdin)) != 0) {
    const int16_t *next = samples;
    while (n != 0) {
      kws_detection heard;
      const size_t n_taken = kws_feed(&state, next, n, &heard);
      if (heard.label != NULL) {
        char text[64];
        const int size = snprintf(text, sizeof(text), "%u %u %lld", (unsigned)heard.score, (unsigned)heard.class_id,
                                  (long long)heard.time_ms);
        emit('H', text, (size_t)size);
      }
      next += n_taken;
      n -= n_taken;
    }
  }
  return 0;
}
"""
