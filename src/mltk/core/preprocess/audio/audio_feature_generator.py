"""Historical import path of the audio frontend."""

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

__all__ = ["AudioFeatureGenerator", "AudioFeatureGeneratorSettings"]
