"""Lay real recordings out as a data set, with a fifth of the speakers and of the noise kept apart for measuring.

    python benchmarks/real_words.py OUT [--seed N]

OUT/train is a folder as `mltk train --dataset` takes it, OUT/test one as `mltk evaluate --dataset` takes it: links into
../shared/speech (or MLTK_SPEECH_DIR), nothing is copied.
"""

import argparse
import hashlib
import os
from pathlib import Path

from mltk.audio.read import read_audio_file
from mltk.audio.write import write_audio_file
from mltk.datasets.folder import BACKGROUND_NOISE, SILENCE
from mltk.datasets.split import speaker_of

KEPT_APART = 0.2


def speech_dir() -> Path:
    """Return the folder of the real recordings."""
    default = Path(__file__).resolve().parents[2] / "shared" / "speech"
    folder = Path(os.environ.get("MLTK_SPEECH_DIR", default))
    if not folder.is_dir():
        raise SystemExit(f"Real recordings not found at {folder}: set MLTK_SPEECH_DIR")
    return folder


def is_kept_apart(name: str, seed: int) -> bool:
    """Tell whether a speaker (or a noise recording) is for measuring: decided by its name alone."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < KEPT_APART * 2**64


def lay_out(out: Path, seed: int) -> tuple[Path, Path]:
    """Make OUT/train and OUT/test and return them."""
    speech = speech_dir()
    train, test = out / "train", out / "test"
    for source in ("commands", "words"):
        for clip in sorted((speech / source).glob("*/*.flac")):
            word = clip.parent.name
            # Silence is generated from background noise: the recorded one is only measured with.
            side = test if word == SILENCE or is_kept_apart(speaker_of(clip), seed) else train
            link(clip, side / word / f"{source}_{clip.name}" if word == SILENCE else side / word / clip.name)
    for clip in sorted((speech / "noise").glob("*.flac")):
        side = test if is_kept_apart(clip.stem, seed) else train
        link(clip, side / BACKGROUND_NOISE / clip.name)
    return train, test


def link(source: Path, destination: Path) -> None:
    """Make a symbolic link; two clips of one name (the same speaker in both sources) both stay."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    while destination.is_symlink() or destination.exists():
        if destination.resolve() == source.resolve():
            return
        destination = destination.with_name(f"{destination.stem}0{destination.suffix}")
    destination.symlink_to(source.resolve())


def copy_as_wav(source: Path, folder: Path) -> None:
    """Write a recording as WAV, of the same rate and name, into a folder: the reference toolkit takes no FLAC."""
    samples, rate_hz = read_audio_file(source, return_sample_rate=True)
    write_audio_file(str(folder / f"{source.stem}.wav"), samples, rate_hz)


def main() -> None:
    """Lay out one data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for side in lay_out(options.out, options.seed):
        print(f"{side}: {sum(1 for _ in side.glob('*/*'))} files")


if __name__ == "__main__":
    main()
