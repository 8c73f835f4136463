"""Small data in the form of the archives that keyword_spotting_alexa.py downloads: noises with a tone for a word."""

import hashlib
import io
import wave
from pathlib import Path

import numpy as np

RATE_HZ = 16000
DROPBOX = "www.dropbox.com/s"
MIXKIT = "assets.mixkit.co/sfx/download"
AMBIENT = (
    "mixkit-very-crowded-pub-or-party-loop-360.wav",
    "mixkit-big-crowd-talking-loop-364.wav",
    "mixkit-restaurant-crowd-talking-ambience-444.wav",
    "mixkit-keyboard-typing-1386.wav",
    "mixkit-office-ambience-447.wav",
    "mixkit-hotel-lobby-with-dining-area-ambience-453.wav",
)
# 10 % of these validate: with 1.5 times as many unknown ones they have to fill a batch of 100.
N_ALEXA = 420


def wav(
    seconds: float, tone_hz: float, rng: np.random.Generator, rate_hz: int = RATE_HZ, channels: int = 1
) -> bytes:
    """A tone of half the length in faint noise."""
    n = int(seconds * rate_hz)
    sound = rng.normal(0, 0.003, n)
    start, stop = n // 4, 3 * n // 4
    sound[start:stop] += 0.3 * np.sin(2 * np.pi * tone_hz * np.arange(stop - start) / rate_hz)
    samples = np.repeat((sound * 32767).astype("<i2")[:, None], channels, axis=1)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return out.getvalue()


def members() -> dict[str, dict[str, bytes]]:
    """Place on the mirror -> member -> content."""
    rng = np.random.default_rng(5)
    tones = {"alexa": [wav(0.8, 900 + 20 * i, rng) for i in range(12)]}
    tones["other"] = [wav(0.7, 2500 + 60 * i, rng) for i in range(12)]

    def clips(kind: str, count: int, name: str) -> dict[str, bytes]:
        return {name.format(f"{i:08x}", i): tones[kind][i % 12] for i in range(count)}

    return {
        f"{DROPBOX}/b6nd8xr7zzwmd6d/sl_synthetic_alexa.7z": clips(
            "alexa", N_ALEXA, "alexa/gcp_en-US+Voice-A+None+alexa+medium+low+{0}.wav"
        ),
        f"{DROPBOX}/86wh4defrqj0n9r/sl_synthetic_alexa_unknown.7z": clips(
            "other", 60, "unknown/azure_af-ZA+AdriNeural+None+lex+medium+low+{0}.wav"
        ),
        f"{DROPBOX}/zwvztg39a340b5q/sl_synthetic_generic_unknown.7z": clips(
            "other", 60, "unknown/aws_en-GB+Amy+None+about+medium+low+{0}.wav"
        ),
        f"{DROPBOX}/j4p9w4h92e8rruo/mlcommons_keywords_subset_part1.7z": clips(
            "other", 30, "about/common_voice_en_{1}.wav"
        )
        | clips("other", 5, "alexa/common_voice_en_{1}.wav"),
        f"{DROPBOX}/zacujsccjgk92b2/mlcommons_keywords_subset_part2.7z": clips(
            "other", 30, "backward/{0}_nohash_0.wav"
        ),
        # A sentence counts as often as it has seconds.
        f"{DROPBOX}/l9uxyr22w3jgenc/common_voice_subset.7z": {
            f"common_voice_en_{1000 + i}.wav": wav(30, 500 + 37 * i, rng) for i in range(40)
        },
        "github.com/SiliconLabs/mltk_assets/raw/master/datasets/brd2601_background_audio.7z": {
            f"brd2601_{i}.wav": wav(3, 50, rng) for i in range(2)
        },
    }


def write_mirror(folder: Path) -> Path:
    """Write the archives and files as a mirror has them, and a SHA256SUMS; return the latter."""
    import py7zr

    places = {}
    for place, content in members().items():
        out = io.BytesIO()
        with py7zr.SevenZipFile(out, "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
            for name, data in content.items():
                archive.writestr(data, name)
        places[place] = out.getvalue()
    rng = np.random.default_rng(6)
    places |= {f"{MIXKIT}/{name}": wav(4, 200, rng, 44100, 2) for name in AMBIENT}
    sums = []
    for place, data in places.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  ./{place}\n")
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder / "SHA256SUMS"
