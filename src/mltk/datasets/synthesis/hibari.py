"""hibari-tts: a small neural voice in a pip package (Apache-2.0), the second synthesizer.

Only the voice inside the package ("heart", a woman of the United States) is used: the others would be
downloaded.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.datasets.synthesis.interface import VoiceSettings
from mltk.utils.errors import DatasetError, MissingExtraError

_RATE_HZ = 24000

# One recorded voice becomes several speakers by playing it slower or faster: that moves the pitch and the
# formants together, as a longer or shorter vocal tract does. Neighbours differ by about 7 %, which is what
# VTLP (Jaitly and Hinton, 2013) takes for different speakers; the pace is set apart from it.
_STEPS = (74, 79, 85, 91, 97, 104, 111, 119, 127)
_HELD_OUT = frozenset({"heart85", "heart119"})


class HibariSynthesizer:
    """The voice "heart" at nine pitches, at any pace.

    Raises:
        MissingExtraError: the package hibari-tts is not installed.

    """

    name = "hibari"

    def __init__(self) -> None:
        try:
            from hibari import Hibari
        except ModuleNotFoundError as error:
            raise MissingExtraError("synth", "Speaking with hibari") from error
        self._voice: Any = Hibari(voice="heart", threads=1)

    def speakers(self, language: str) -> dict[str, float]:
        """Return one speaker for each pitch, each as often."""
        if language.lower() not in {"en", "en-us"}:
            raise DatasetError(f"hibari speaks English only, not '{language}': take the engine espeak")
        return {f"heart{step}": 1.0 for step in _STEPS}

    def held_out(self) -> frozenset[str]:
        """Return two pitches that data sets leave out."""
        return _HELD_OUT

    def draw(self, rng: np.random.Generator, language: str, speaker: str) -> VoiceSettings:
        """Draw the pace and, within 2 %, the pitch."""
        known = list(self.speakers(language))
        if speaker not in known:
            raise DatasetError(f"hibari has no speaker '{speaker}': take one of {', '.join(known)}")
        step = _STEPS[known.index(speaker)]
        return VoiceSettings(
            speaker=speaker,
            voice="heart",
            variant=str(step),
            rate=int(rng.integers(75, 131)),
            pitch=step + int(rng.integers(-2, 3)),
            pitch_range=0,
            seed=int(rng.integers(1, 2**31)),
        )

    def speak(self, text: str, settings: VoiceSettings) -> tuple[NDArray[np.float32], int]:
        """Speak a text; see `Synthesizer.speak`. The pitch is changed by the sample rate that is returned."""
        pace = settings.rate / settings.pitch
        samples = self._voice(text, speed=float(np.clip(pace, 0.5, 2.0)), seed=settings.seed)
        return np.asarray(samples, np.float32), _RATE_HZ * settings.pitch // 100
