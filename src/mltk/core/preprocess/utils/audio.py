"""Historical import path of the audio functions."""

from mltk.audio.length import adjust_length
from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.audio.write import write_audio_file
from mltk.frontend.numpy1 import apply_frontend

__all__ = ["adjust_length", "apply_frontend", "read_audio_file", "resample", "write_audio_file"]
