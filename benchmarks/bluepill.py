"""micro_speech whole on a blue pill (STM32F103: 64 KB of flash, 20 KB of RAM), emulated: does it fit, hear, and keep up?

    python benchmarks/bluepill.py [MODEL] [--seconds 60]

Needs the extra 'device', the real recordings and, without MODEL, the published tflite_micro_speech of ../shared/models. The
lines of the serial port are compared with what `mltk classify_audio --audio` prints about the same file, on LiteRT, on TFLM and
on our own kernels.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from chip_words import RATE_HZ, words_stream

from mltk.audio.write import write_audio_file
from mltk.detection.events import Detection
from mltk.detection.scoring import score_stream
from mltk.detection.sources import file_blocks
from mltk.firmware.boards import find_board
from mltk.firmware.firmware import make_firmware
from mltk.firmware.machine import Machine
from mltk.firmware.run import CYCLES_PER_INSTRUCTION

MOST_FLASH, MOST_RAM, LEAST_IDLE = 48 * 1024, 14 * 1024, 0.5
ENGINES = ("litert", "tflm", "native")


def published_model() -> Path:
    """Return the archive of seed 3's model."""
    default = Path(__file__).resolve().parents[2] / "shared"
    path = Path(os.environ.get("MLTK_SHARED_DIR", default)) / "models" / "tflite_micro_speech.mltk.zip"
    if not path.is_file():
        raise SystemExit(f"No model at {path}: set MLTK_SHARED_DIR, or give one")
    return path


def classify_audio(model: Path, audio: Path, engine: str) -> list[str]:
    """Return what the command prints."""
    code = "from mltk.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "classify_audio",
        str(model),
        "--audio",
        str(audio),
        "--engine",
        engine,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def verdict(is_met: bool) -> str:
    """Return how a figure compares with its limit."""
    return "ok" if is_met else "FALLS SHORT"


def main() -> None:
    """Build, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    model = arguments.model or published_model()
    firmware = make_firmware(model, find_board("bluepill"))
    words = [label for label in firmware.detector.labels if not label.startswith("_")]
    samples, spoken = words_stream(words, arguments.seconds)
    with tempfile.TemporaryDirectory() as folder:
        audio = Path(folder) / "words.wav"
        write_audio_file(audio, samples, RATE_HZ)
        run = Machine(firmware).run(file_blocks(audio, RATE_HZ), measure_s=2.0)
        expected = {engine: classify_audio(model, audio, engine) for engine in ENGINES}
    assert run.ram_bytes is not None
    assert run.load is not None
    print(run.to_string())
    print(f"\nFlash: {run.flash_bytes:,} of {MOST_FLASH:,} bytes: {verdict(run.flash_bytes <= MOST_FLASH)}")
    print(f"RAM with stack: {run.ram_bytes:,} of {MOST_RAM:,} bytes: {verdict(run.ram_bytes <= MOST_RAM)}")
    for engine, lines in expected.items():
        same = verdict(lines == run.lines and bool(lines))
        print(
            f"Lines equal to classify_audio --engine {engine}: {len(run.lines)} and {len(lines)} lines: {same}"
        )
    clock = f"{run.board.clock_hz / 1e6:g} MHz, {CYCLES_PER_INSTRUCTION} cycles an instruction"
    print(
        f"Idle at {clock}: {1 - run.load:.1%}, at least {LEAST_IDLE:.0%}: {verdict(1 - run.load >= LEAST_IDLE)}"
    )
    events = [Detection(event["label"], event["score"], event["time_ms"], 0) for event in run.detections]
    print(f"\n{score_stream(events, spoken, arguments.seconds * 1000)}")
    print(*run.lines, sep="\n")


if __name__ == "__main__":
    main()
