"""Historical import path of the augmenting feed."""

from mltk.datasets.feed import ParallelAudioDataGenerator

__all__ = ["ParallelAudioDataGenerator"]
