"""Historical import path of the .tflite reader."""

from mltk.tflite.model import TfliteModel

__all__ = ["TfliteModel"]
