"""On and off of Speech Commands v0.02 (P. Warden, 2018, CC BY 4.0); its other words are `_unknown_`.

The module itself is a data set: `my_model.dataset = on_off`. See `mltk.datasets.audio.subsets`.
"""

from mltk.datasets.audio.subsets import load_subset

CLASSES = ("on", "off")


def load_data(dest_dir: str | None = None) -> str:
    """Return the folder of the data set; download Speech Commands and link its clips first if needed.

    Args:
        dest_dir: the folder. Default: `datasets/on_off` in the user's folder.

    Raises:
        DownloadError, ArchiveError, DatasetError, MltkError: see `subsets.load_subset`.

    """
    return load_subset("on_off", CLASSES, dest_dir)


def download(dest_dir: str | None = None) -> str:
    """Return the folder of the data set, as `load_data` does."""
    return load_data(dest_dir)
