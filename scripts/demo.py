"""The whole path once, as a user would type it: synthesize words, train, quantize, evaluate, hear the words in a stream.

Run by `make demo`; everything it makes is in one folder, where it can be looked at and repeated by hand.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mltk.audio.write import write_audio_file
from mltk.datasets.synthesis.stream import synthesize_stream
from mltk.detection.events import Detection
from mltk.detection.scoring import SpokenWord, StreamScore, score_stream

WORDS = ["yes", "no"]
MODEL = "tflite_micro_speech"
# Time enough for the words to be told apart; a real training goes on until it stops by itself.
EPOCHS = 80
TOLERANCE_MS = 500


def run(*arguments: str, folder: Path, capture: bool = False) -> str:
    """Show a command and run it in the demo's folder; its output is returned where it is wanted."""
    print(f"\n$ mltk {shlex.join(arguments)}", flush=True)
    command = [sys.executable, "-c", "from mltk.cli.main import main; main()", *arguments]
    environment = os.environ | {"MLTK_CACHE_DIR": str(folder / "cache")}
    finished = subprocess.run(
        command,
        cwd=folder,
        check=False,
        env=environment,
        text=True,
        stdout=subprocess.PIPE if capture else None,
    )
    if finished.returncode:
        sys.exit(f"The demo stopped: mltk {arguments[0]} ended with {finished.returncode}")
    return finished.stdout or ""


def make_stream(folder: Path, seed: int) -> tuple[list[SpokenWord], int]:
    """Lay words by voices that the training has not heard into quiet noise; return where they are."""
    spoken = ["yes", "no", "no", "yes", "no", "yes", "yes", "no"]
    samples, placed = synthesize_stream(spoken, seed=seed + 1)
    write_audio_file(str(folder / "stream.wav"), samples, 16000)
    words = [SpokenWord(word, start, end) for word, start, end in placed]
    (folder / "stream.json").write_text(json.dumps([vars(word) for word in words], indent=2) + "\n")
    return words, len(samples) * 1000 // 16000


def show_score(words: list[SpokenWord], score: StreamScore) -> None:
    """Print a line a word, then what was heard for no reason."""
    heard = {(word.start_ms, word.label): detection for word, detection in score.heard}
    print("\nspoken  from      to        heard at  score")
    for word in words:
        detection = heard.get((word.start_ms, word.label))
        found = f"{detection.time_ms:6d}ms  {detection.score}" if detection else "     -"
        print(f"{word.label:6s}  {word.start_ms:6d}ms  {word.end_ms:6d}ms  {found}")
    for detection in score.false:
        print(f"{detection.label} was heard at {detection.time_ms} ms where it was not spoken")
    print(score)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--count", type=int, default=300, help="clips of each word")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    folder = options.folder.resolve()
    if folder.exists():
        if (
            any(folder.iterdir())
            and not (folder / "stream.json").exists()
            and not (folder / "words").exists()
        ):
            sys.exit(f"{folder} holds something else than a demo: name another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    started = time.monotonic()
    seed = str(options.seed)

    unknown = str(3 * options.count)
    run("synthesize", *WORDS, "--out", "words", "--count", str(options.count), "--unknown", unknown, "--noise",
        "--seed", seed, folder=folder)  # fmt: skip
    run("train", MODEL, "--dataset", "words", "--epochs", str(options.epochs), "--seed", seed, folder=folder)
    run("summarize", MODEL, "--tflite", folder=folder)
    run("evaluate", MODEL, "--tflite", "--dataset", "words", folder=folder)
    words, duration_ms = make_stream(folder, options.seed)
    lines = run(
        "classify_audio",
        MODEL,
        "--audio",
        "stream.wav",
        "--picture",
        "stream.png",
        "--json",
        folder=folder,
        capture=True,
    )
    events = [json.loads(line) for line in lines.splitlines()]
    detections = [
        Detection(event["label"], event["score"], event["time_ms"], event["class_id"]) for event in events
    ]
    for detection in detections:
        print(detection)
    score = score_stream(detections, words, duration_ms, before_ms=TOLERANCE_MS, after_ms=TOLERANCE_MS)
    show_score(words, score)
    print(f"\nThe archive, pictures and logs are in {folder} ({time.monotonic() - started:.0f} s):")
    for path in sorted(folder.glob("*.mltk.zip")) + sorted(folder.rglob("*.png")):
        print(f"  {path.relative_to(folder)}")
    if score.missed or score.false:
        sys.exit("The demo fell short: a word was missed, or one was heard where none was spoken")


if __name__ == "__main__":
    main()
