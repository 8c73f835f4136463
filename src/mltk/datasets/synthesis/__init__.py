"""Synthetic words: `synthesize_words`, `synthesize_stream`, and the interface that synthesizers share."""

from mltk.datasets.synthesis.interface import HELD_OUT, SAMPLE_RATE_HZ, Synthesizer, VoiceSettings
from mltk.datasets.synthesis.registry import ENGINES
from mltk.datasets.synthesis.stream import SpokenWord, synthesize_stream
from mltk.datasets.synthesis.vocabulary import DISTRACTORS
from mltk.datasets.synthesis.words import SynthesisSummary, synthesize_words

__all__ = [
    "DISTRACTORS",
    "ENGINES",
    "HELD_OUT",
    "SAMPLE_RATE_HZ",
    "SpokenWord",
    "SynthesisSummary",
    "Synthesizer",
    "VoiceSettings",
    "synthesize_stream",
    "synthesize_words",
]
