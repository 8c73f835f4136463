"""Historical import path of the parameters inside a .tflite."""

from mltk.tflite.parameters import TfliteModelParameters

__all__ = ["TfliteModelParameters"]
