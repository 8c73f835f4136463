"""Historical import path of the splits."""

from mltk.datasets.split import shuffle_file_list_by_group, split_file_list

__all__ = ["shuffle_file_list_by_group", "split_file_list"]
