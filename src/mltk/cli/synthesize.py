"""`mltk synthesize`: speak words into a data set."""

from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    words: Annotated[list[str], typer.Argument(help="Words to speak; put quotes around a phrase.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for the data set: one sub-folder a word.", show_default=False
        ),
    ],
    count: Annotated[int, typer.Option(help="Clips of each word.")] = 300,
    unknown: Annotated[
        int, typer.Option(help="Clips in total of other common English words, from which _unknown_ is drawn.")
    ] = 0,
    noise: Annotated[
        bool, typer.Option("--noise/--no-noise", help="Also make background noise in _background_noise_/.")
    ] = False,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Synthesizer: espeak, hibari, or mixed; may be given several times.", show_default="espeak"
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="Language: en takes all its accents, en-us that one.")] = "en",
    seed: Annotated[int, typer.Option(help="Another seed, other clips; the same seed, the same clips.")] = 42,
    workers: Annotated[
        int | None, typer.Option(help="Processes at a time.", show_default="one for each core")
    ] = None,
) -> None:
    """Speak words with many synthetic voices into a folder with one sub-folder a word, to train on.

    The clips are 16-bit WAV at 16 kHz; manifest.csv names the speaker and the settings of each. Clips of an
    earlier run are replaced, recordings of your own stay as they are.

    Needs the extra 'synth'. Its eSpeak NG (package espeakng-loader) is under GPL-3.0, hibari (hibari-tts)
    under Apache-2.0; both are loaded at run time only.
    """
    from mltk.datasets.synthesis import synthesize_words

    engines = engine or ["espeak"]
    summary = synthesize_words(
        words, out, count, seed=seed, engines=engines, language=language, unknown=unknown, workers=workers
    )
    given = {" ".join(word.split()).casefold() for word in words}
    others = [word for word in summary.counts if word.casefold() not in given]
    for word, clips in summary.counts.items():
        if word not in others:
            print(f"{word:<20} {clips:>6} clips")
    if others:
        clips = sum(summary.counts[word] for word in others)
        print(f"{'(other words)':<20} {clips:>6} clips of {len(others)} words")
    if noise:
        from mltk.datasets.folder import BACKGROUND_NOISE
        from mltk.datasets.noise import write_background_noise

        files = write_background_noise(
            out / BACKGROUND_NOISE, seed=seed, engines=engines, language=language, workers=workers
        )
        print(f"{BACKGROUND_NOISE:<20} {len(files):>6} files")
    if summary.foreign:
        print(f"{summary.foreign} other WAV files in these folders stay: they count as recordings")
    print(
        f"{sum(summary.counts.values())} clips of {summary.speakers} speakers, "
        f"{summary.seconds / 60:.1f} minutes, in {summary.folder} ({summary.elapsed_s:.1f} s)"
    )
