"""The background noise of Speech Commands v0.02: six recordings of a minute or more (P. Warden, 2018, CC BY 4.0).

For `bg_noise_dir = background_noise.download()` of a data generator, or as a folder for an augmentation of your own. The
module has no words, so it is no data set to train with alone.
"""

import os
from pathlib import Path

from mltk.datasets.audio.speech_commands import speech_commands_v2
from mltk.datasets.folder import BACKGROUND_NOISE, find_audio_files
from mltk.utils.archive_downloader import download_verify_extract
from mltk.utils.errors import DatasetError
from mltk.utils.path import user_dir

URL_VARIABLE = "MLTK_BACKGROUND_NOISE_URL"
HASH_VARIABLE = "MLTK_BACKGROUND_NOISE_HASH"


def load_data(dest_dir: str | None = None) -> str:
    """Return the folder of the recordings; download them first if needed.

    Args:
        dest_dir: the folder to unpack your own archive into, see below. Default: `datasets/background_noise` in the
            user's folder. The recordings of Speech Commands stay in its folder.

    The environment variables MLTK_BACKGROUND_NOISE_URL and MLTK_BACKGROUND_NOISE_HASH name an archive of your own.

    Raises:
        DownloadError, ArchiveError: see `speech_commands_v2.load_data`.
        DatasetError: there is no recording.

    """
    url = os.environ.get(URL_VARIABLE)
    if url:
        destination = (
            Path(dest_dir).expanduser() if dest_dir else user_dir() / "datasets" / "background_noise"
        )
        folder = Path(download_verify_extract(url, destination, file_hash=os.environ.get(HASH_VARIABLE)))
    else:
        folder = Path(speech_commands_v2.load_data()) / BACKGROUND_NOISE
    if not find_audio_files(folder):
        raise DatasetError(
            f"There is no background noise in {folder}: the archive is not the one that was expected"
        )
    return str(folder)


def download(dest_dir: str | None = None) -> str:
    """Return the folder of the recordings, as `load_data` does."""
    return load_data(dest_dir)
