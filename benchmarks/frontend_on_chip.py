"""The audio frontend on emulated chips: instructions a window beside TensorFlow's C code, and its features beside Python's.

    python benchmarks/frontend_on_chip.py [--seconds 60]

Needs the extra 'device' and the real recordings. Settings: 16 kHz, windows of 30 ms every 20 ms, a 512-point FFT, 40 channels
from 125 to 7500 Hz, noise reduction, PCAN and log: those of TensorFlow's figure (84,610 instructions on M3, gcc 12 -O2, counted
in an emulator). Instructions are counted over the first 10 seconds, features compared over all of them.
"""

import argparse
import re

from chip_words import RATE_HZ, words_stream

from mltk.firmware.bench_frontend import ChipFrontend
from mltk.firmware.targets import find_target
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

TENSORFLOW = {"cortex-m3": 84_610, "cortex-m4": 84_739}
AT_MOST = 0.6
COUNTED_S = 10
# Of libm and of the compiler's software floats: none may be in the image.
FLOAT_FUNCTIONS = re.compile(
    r"(log|exp|pow|sin|cos|tan|sqrt|floor|ceil|round|fmin|fmax)(1p|2|10|m1)?f?|__aeabi_([fd]|u?[il]2[fd]).*|__.*[sdt]f[2-9]?"
)
SETTINGS = AudioFeatureGeneratorSettings(
    sample_rate_hz=RATE_HZ,
    window_size_ms=30,
    window_step_ms=20,
    filterbank_n_channels=40,
    filterbank_lower_band_limit=125.0,
    filterbank_upper_band_limit=7500.0,
    noise_reduction_enable=True,
    pcan_enable=True,
    log_scale_enable=True,
)


def float_functions(symbols: dict[str, int]) -> list[str]:
    """Return the names of floating-point functions among an image's symbols."""
    return sorted(name for name in symbols if FLOAT_FUNCTIONS.fullmatch(name))


def main() -> None:
    """Measure M0+, M3, M4 and M33."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    samples, _ = words_stream(["yes", "no"], seconds)
    expected = AudioFeatureGenerator(SETTINGS).process(samples)
    print(
        f"{seconds} s of real recordings, {len(expected):,} windows of {expected.shape[1]} features, clang -O2\n"
    )
    print(
        "| core | instructions a window | TensorFlow's | ratio | differing features | flash (tables) | stack | float code |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    stages: dict[str, dict[str, float]] = {}
    for name in ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33"):
        chip = ChipFrontend(SETTINGS, find_target(name))
        counted = chip.run(samples[: COUNTED_S * RATE_HZ], count=True)
        rest = chip.run(samples[COUNTED_S * RATE_HZ :])
        stages[name] = counted.stages
        n = len(counted.features)
        differing = int((counted.features != expected[:n]).sum() + (rest.features != expected[n:]).sum())
        missing = len(expected) - n - len(rest.features)
        peer = TENSORFLOW.get(name)
        ratio = f"{counted.instructions / peer:.3f} (at most {AT_MOST})" if peer else ""
        sizes = chip.section_sizes
        tables = sizes.get(".rodata", 0)
        assert not sizes.get(".data", 0), "tables are not constant"
        print(
            f"| {name} | {counted.instructions:,.0f} | {f'{peer:,}' if peer else ''} | {ratio} | {differing + missing} of "
            f"{expected.size:,} | {sizes['.text'] + tables:,} ({tables:,}) | {counted.stack_bytes} | "
            f"{', '.join(float_functions(chip.symbols)) or 'none'} |",
            flush=True,
        )
    print(f"\n| stage | {' | '.join(stages)} |\n| --- |{' --- |' * len(stages)}")
    for stage in stages["cortex-m3"]:
        print(f"| {stage} | {' | '.join(f'{found.get(stage, 0):,.0f}' for found in stages.values())} |")


if __name__ == "__main__":
    main()
