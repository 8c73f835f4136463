"""What libsndfile does not tell of a file: whether it is as long as its own header says.

libsndfile reads what is there of a cut WAV, AIFF or OGG file and reports that as the length, and it allocates
what a header claims. A data set with a cut file is a damaged data set, so we look first. Only the chunk
headers are read.
"""

import os
from pathlib import Path
from typing import BinaryIO

_MAX_CHUNKS = 4096
_OGG_TAIL = 1 << 17  # an OGG page has at most 65,307 bytes, so its last page starts within these


def cut_short(path: Path) -> str | None:
    """Tell what a file's header announces that the file does not hold.

    Args:
        path: an existing file of any kind.

    Returns:
        Half a sentence such as 'its header announces 32000 bytes of audio, but 1200 are there', or None.

    Raises:
        OSError: the file can not be read.

    Sources: Microsoft's "Multimedia Programming Interface and Data Specifications" (RIFF), EBU Tech 3306
    (RF64), Apple's AIFF 1.3, RFC 3533 (OGG).

    """
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(12)
        if magic[:4] in (b"RIFF", b"RIFX", b"RF64") and magic[8:12] == b"WAVE":
            return _wav_cut_short(file, size, "big" if magic[:4] == b"RIFX" else "little")
        if magic[:4] == b"FORM" and magic[8:12] in (b"AIFF", b"AIFC"):
            return _describe(int.from_bytes(magic[4:8], "big"), size - 8)
        if magic[:4] == b"OggS":
            return _ogg_cut_short(file, size)
    return None


def _describe(announced: int, there: int) -> str | None:
    if announced <= there:
        return None
    return f"its header announces {announced} bytes of audio, but {max(there, 0)} are there"


def _wav_cut_short(file: BinaryIO, size: int, byte_order: str) -> str | None:
    """Walk the chunks behind the RIFF header up to the audio data."""
    long_data_size: int | None = None
    position = 12
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return "it has no audio data"
        name, length = header[:4], int.from_bytes(header[4:8], "big" if byte_order == "big" else "little")
        if name == b"ds64":
            sizes = file.read(16)
            long_data_size = int.from_bytes(sizes[8:16], "little")
        if name == b"data":
            announced = long_data_size if long_data_size is not None and length == 0xFFFFFFFF else length
            return _describe(announced, size - position - 8)
        position += 8 + length + (length & 1)
    return f"it has more than {_MAX_CHUNKS} chunks before its audio data"


def _ogg_cut_short(file: BinaryIO, size: int) -> str | None:
    """Look whether the last page is whole and marked as the end of the stream."""
    file.seek(max(0, size - _OGG_TAIL))
    tail = file.read(_OGG_TAIL)
    start = tail.rfind(b"OggS")
    page = tail[start:]
    whole = start >= 0 and len(page) >= 27 and len(page) >= 27 + page[26]
    if whole:
        whole = len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
    if whole and page[5] & 0x04:
        return None
    return "the end of its stream is missing"


def announces_length(path: Path) -> bool:
    """Tell whether the number of frames that libsndfile reports comes from the file and not from an estimate.

    True for everything but an MP3 without a Xing/Info header, whose length follows from its size and first
    bit rate.

    Raises:
        OSError: the file can not be read.

    """
    with path.open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            # The tag's size is "syncsafe": seven bits a byte. Source: ID3v2.3, section 3.1.
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            file.seek(size, os.SEEK_CUR)
            head = file.read(4)
        if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
            return True
        start = file.read(256)
    return b"Xing" in start or b"Info" in start
