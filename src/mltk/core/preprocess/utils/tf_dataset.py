"""Historical import path of the tf.data functions."""

from mltk.datasets.tf_dataset import load_audio_directory
from mltk.datasets.tf_dataset_parallel import parallel_process

__all__ = ["load_audio_directory", "parallel_process"]
