"""Historical import path of the TensorFlow Lite Micro interpreter."""

from mltk.tflite.micro import TfliteMicro

__all__ = ["TfliteMicro"]
