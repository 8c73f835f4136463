"""The audio frontend alone on an emulated chip: samples in, features out, instructions counted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltk.firmware.bench import LINKER_SCRIPT
from mltk.firmware.emulator import Emulator
from mltk.firmware.firmware import c_stage
from mltk.firmware.settings_c import frontend_source, frontend_state_bytes, frontend_tables
from mltk.firmware.targets import Target
from mltk.firmware.toolchain import build
from mltk.frontend.settings import AudioFeatureGeneratorSettings

STAGES = (
    *("dc_notch", "window", "fft", "energy", "filterbank", "square_root", "activity"),
    *("noise_reduction", "pcan", "log"),
)
_BLOCK = 16000  # samples at once
_MAIN = """#include "frontend/mltk_fe.h"
extern const mltk_fe_tables tables;
int16_t samples[@SAMPLES@];
uint16_t features[@ROWS@][@CHANNELS@];
uint64_t memory[@BYTES@ / 8];
mltk_fe_state state;
int bench(uint32_t n_samples);

/* No samples: begin. Else returns the rows of features. */
int bench(uint32_t n_samples) {
  int rows = 0;
  size_t done = 0, taken = 0;
  if (n_samples == 0) return (int)mltk_fe_init(&tables, memory, sizeof(memory), &state);
  for (; done < n_samples; done += taken)
    rows += mltk_fe_process(&tables, &state, samples + done, n_samples - done, &taken, features[rows]);
  return rows;
}
"""


@dataclass(frozen=True)
class FrontendRun:
    """What the frontend did with some sound.

    Attributes:
        features: uint16 [frames, channels].
        instructions: a window, on the average; 0 if they were not counted.
        stages: the same for each stage that ran; a stage that the compiler merged with another counts there.
        stack_bytes: the most stack that it used.

    """

    features: npt.NDArray[np.uint16]
    instructions: float
    stages: dict[str, float]
    stack_bytes: int


class ChipFrontend:
    """The frontend with its tables as constants, on an emulated chip; a stream from the start on.

    Args:
        settings: the frontend's.
        target: the processor.
        optimization: of the compiler.

    Raises:
        DeviceError: it can not be built or emulated.
        FrontendError: a setting is outside its legal range.
        MissingExtraError: the extra "device" is not installed.

    """

    def __init__(
        self, settings: AudioFeatureGeneratorSettings, target: Target, optimization: str = "-O2"
    ) -> None:
        self._settings = settings
        tables = frontend_tables(settings)
        values = {
            "SAMPLES": _BLOCK,
            "ROWS": _BLOCK // settings.window_step + 1,
            "CHANNELS": settings.filterbank_n_channels,
            "BYTES": frontend_state_bytes(tables),
        }
        main = _MAIN
        for name, value in values.items():
            main = main.replace(f"@{name}@", str(value))
        declarations = '#include "frontend/mltk_fe.h"\nextern const mltk_fe_tables tables;\n'
        files = {
            **c_stage("frontend"),
            "tables.c": declarations + frontend_source(tables, "tables"),
            "bench.c": main,
        }
        self.elf = build(files, target, LINKER_SCRIPT, optimization)
        self._emulator = Emulator(self.elf, target)
        self.symbols = self._emulator.symbols
        self.section_sizes = self._emulator.section_sizes
        self._emulator.call("bench", 0, count=False)

    def run(self, samples: npt.NDArray[np.int16], count: bool = False) -> FrontendRun:
        """Hear more of the stream.

        Args:
            samples: int16 [n], any n.
            count: count instructions; far slower.

        """
        rows: list[npt.NDArray[np.uint16]] = []
        total, stack = 0, 0
        stages: dict[str, int] = {}
        channels = self._settings.filterbank_n_channels
        watch = [f"mltk_fe_{stage}" for stage in STAGES if f"mltk_fe_{stage}" in self.symbols]
        for start in range(0, len(samples), _BLOCK):
            block = samples[start : start + _BLOCK]
            self._emulator.write("samples", block.astype("<i2").tobytes())
            call = self._emulator.call("bench", len(block), watch=watch if count else (), count=count)
            data = self._emulator.read("features", call.result * channels * 2)
            rows.append(np.frombuffer(data, "<u2").reshape(-1, channels))
            total, stack = total + call.instructions, max(stack, call.stack_bytes)
            if count:
                for name, span in self._emulator.stop_counting()[1].items():
                    stages[name] = stages.get(name, 0) + span.instructions
        features = np.concatenate(rows or [np.zeros((0, channels), np.uint16)])
        n = max(len(features), 1)
        return FrontendRun(
            features=features,
            instructions=total / n,
            stages={name.removeprefix("mltk_fe_"): value / n for name, value in stages.items()},
            stack_bytes=stack,
        )
