"""Speech Commands v0.02: 105,829 one-second clips of 35 words by 2,618 speakers (P. Warden, 2018, CC BY 4.0).

P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition",
https://arxiv.org/abs/1804.03209

The module itself is a data set: `my_model.dataset = speech_commands_v2`.
"""

import os

from mltk.utils.archive_downloader import download_verify_extract

URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
# As TensorFlow Datasets' checksums.tsv and torchaudio's loader give it; 2,428,923,189 bytes.
SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
ARCHIVE_NAME = "speech_commands_v0.02.tar.gz"

URL_VARIABLE = "MLTK_SPEECH_COMMANDS_URL"
HASH_VARIABLE = "MLTK_SPEECH_COMMANDS_HASH"


def load_data(
    dest_dir: str | None = None,
    dest_subdir: str = "datasets/speech_commands/v2",
    *,
    url: str | None = None,
    file_hash: str | None = None,
    show_progress: bool = True,
) -> str:
    """Return the folder of the data set; download and unpack it first if it is not there yet.

    The archive (2.4 GB, 3.4 GB more when unpacked) is kept as `downloads/speech_commands_v0.02.tar.gz` in
    the user's folder (`MLTK_CACHE_DIR`, else `~/.mltk`); one put there by hand is used without a network.

    Args:
        dest_dir: the folder to unpack into. Default: `dest_subdir` in the user's folder.
        dest_subdir: used if `dest_dir` is None.
        url: a mirror. Default: environment variable MLTK_SPEECH_COMMANDS_URL, else the official URL.
        file_hash: the archive's hash. Default: environment variable MLTK_SPEECH_COMMANDS_HASH, else that of
            the official archive; it holds for a mirror too.
        show_progress: draw a progress bar if a terminal looks.

    Raises:
        DownloadError: it can not be downloaded, or is not the announced archive; the sentence says where to
            put an archive that was fetched by other means.
        ArchiveError: the archive is damaged or hostile.
        MltkError: a folder can not be written.

    """
    return download_verify_extract(
        url=url or os.environ.get(URL_VARIABLE) or URL,
        dest_dir=dest_dir,
        dest_subdir=dest_subdir,
        archive_fname=ARCHIVE_NAME,
        file_hash=file_hash or os.environ.get(HASH_VARIABLE) or SHA256,
        show_progress=show_progress,
    )


def download(dest_dir: str | None = None) -> str:
    """Return the folder of the data set, as `load_data` does."""
    return load_data(dest_dir)
