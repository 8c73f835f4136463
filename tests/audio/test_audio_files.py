"""Reading, streaming and writing audio files, good ones and bad ones."""

import os
import struct
import sys

import numpy as np
import pytest
import soundfile

from mltk.audio.read import audio_sample_rate, read_audio_file, stream_audio_file
from mltk.audio.resample import resample
from mltk.audio.write import write_audio_file
from mltk.utils.errors import AudioError, MltkError


def wav_bytes(data: bytes, rate=16000, channels=1, bits=16, data_size=None, kind=1, before=b""):
    """A WAV file byte by byte, so that every header field can lie."""
    size = len(data) if data_size is None else data_size
    align = channels * bits // 8
    fmt = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, kind, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits
    )
    body = b"WAVE" + fmt + before + struct.pack("<4sI", b"data", size) + data
    return struct.pack("<4sI", b"RIFF", len(body) & 0xFFFFFFFF) + body


@pytest.fixture
def noise():
    return (np.random.default_rng(0).standard_normal(48000) * 0.1).astype(np.float32)


def test_pcm16_values_and_rate(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(struct.pack("<4h", 0, 16384, -32768, 32767)))
    sample, rate = read_audio_file(path, return_numpy=True, return_sample_rate=True)
    assert rate == audio_sample_rate(path) == 16000
    assert sample.dtype == np.float32
    np.testing.assert_array_equal(sample, np.float32([0.0, 0.5, -1.0, 32767 / 32768]))
    np.testing.assert_array_equal(read_audio_file(os.fsencode(path)), sample)
    np.testing.assert_array_equal(read_audio_file(str(path), return_numpy=False), sample)


def test_channels_are_mixed_to_their_mean(tmp_path):
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav_bytes(struct.pack("<4h", 16384, 0, -32768, -32768), channels=2))
    np.testing.assert_array_equal(read_audio_file(path), np.float32([0.25, -1.0]))


def test_float_files_are_clipped_and_nan_is_refused(tmp_path):
    path = tmp_path / "f.wav"
    path.write_bytes(wav_bytes(struct.pack("<3f", 1.5, -2.0, 0.25), bits=32, kind=3))
    np.testing.assert_array_equal(read_audio_file(path), np.float32([1.0, -1.0, 0.25]))
    path.write_bytes(wav_bytes(struct.pack("<3f", 0.0, float("nan"), 0.25), bits=32, kind=3))
    with pytest.raises(AudioError, match=r"f\.wav holds nan"):
        read_audio_file(path)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_formats(tmp_path, noise, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, noise, 16000)
    sample, rate = read_audio_file(path, return_sample_rate=True)
    assert (sample.shape, rate) == ((48000,), 16000)
    # The lossy codecs cut the top of white noise off; the rest must be the same signal at the same place.
    assert np.corrcoef(sample, noise)[0, 1] > (0.8 if extension in ("ogg", "mp3") else 0.99999)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize("share", [0.9, 0.4, 0.02])
def test_truncated_files(tmp_path, noise, extension, share):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, noise, 16000)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(AudioError, match=rf"a\.{extension} is"):
        read_audio_file(path)
    with pytest.raises(AudioError, match=rf"a\.{extension} is"):
        list(stream_audio_file(path, 1000))


def test_mp3_without_a_length_is_not_called_truncated(tmp_path, noise):
    path = tmp_path / "a.mp3"
    # Quiet first: the small first frames make libsndfile estimate far more audio than there is.
    soundfile.write(path, np.concatenate((np.zeros(48000, np.float32), noise)), 16000)
    data = path.read_bytes()
    length_frame = data.index(b"Xing")
    assert soundfile.info(path).frames == 96000
    path.write_bytes(data[data.index(data[:2], length_frame + 100) :])
    assert soundfile.info(path).frames > 100_000
    assert abs(len(read_audio_file(path)) - 96000) < 4000


BAD = {
    "empty": b"",
    "garbage": bytes(range(256)) * 20,
    "zero channels": wav_bytes(bytes(64), channels=0),
    "many channels": wav_bytes(bytes(64), channels=65535),
    "zero bits": wav_bytes(bytes(64), bits=0),
    "no samples": wav_bytes(b""),
    "no data chunk": wav_bytes(b"")[:-8],
    "huge header": wav_bytes(bytes(64), data_size=0xFFFFFFF0),
    "unknown length": wav_bytes(bytes(64), data_size=0xFFFFFFFF),
    "one sample short": wav_bytes(bytes(64), data_size=66),
    "rate 0": wav_bytes(bytes(64), rate=0),
    "rate 1": wav_bytes(bytes(64), rate=1),
    "rate 4 GHz": wav_bytes(bytes(64), rate=0xFFFFFFFF),
    "chunk chain": b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 5000,
    "huge chunk": wav_bytes(bytes(64), before=struct.pack("<4sI", b"LIST", 0x7FFFFFFF)),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "raw", "txt"])
def test_bad_files(tmp_path, name, extension):
    path = tmp_path / f"bad.{extension}"
    path.write_bytes(BAD[name])
    with pytest.raises(AudioError) as caught:
        read_audio_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("total", [0, 1 << 35, 100_000])
def test_flac_whose_header_lies(tmp_path, noise, total):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise, 16000)
    data = bytearray(path.read_bytes())
    # STREAMINFO: 36 bits of the number of samples, the low 32 of them in bytes 22 to 25.
    data[21] = (data[21] & 0xF0) | (total >> 32)
    data[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"a\.flac"):
        read_audio_file(path)


def test_missing_folder_and_null(tmp_path):
    with pytest.raises(AudioError, match=r"There is no audio file at .*nothing\.wav"):
        read_audio_file(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="is a folder"):
        read_audio_file(tmp_path)
    with pytest.raises(AudioError):
        read_audio_file("a\0b.wav")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        read_audio_file(tmp_path / "pipe.wav")


def test_mutated_files_never_crash(tmp_path, noise):
    rng = np.random.default_rng(1)
    for extension in ("wav", "flac", "ogg", "mp3"):
        path = tmp_path / f"a.{extension}"
        soundfile.write(path, noise[:4000], 16000)
        good = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(40):
            bad = good.copy()
            bad[rng.integers(0, min(len(bad), 200), 4)] = rng.integers(0, 256, 4)
            path.write_bytes(bad.tobytes())
            try:
                sample = read_audio_file(path)
            except AudioError:
                continue
            assert np.isfinite(sample).all()
            assert abs(sample).max() <= 1.0


@pytest.mark.parametrize("block_frames", [1, 160, 4096, 10_000_000])
def test_stream_is_the_same_for_every_block_size(tmp_path, noise, block_frames):
    path = tmp_path / "a.wav"
    write_audio_file(path, noise[:20000], 44100)
    blocks = list(stream_audio_file(path, block_frames, target_sr=16000))
    assert all(len(block) == block_frames for block in blocks[:-1])
    assert 0 < len(blocks[-1]) <= block_frames
    whole = resample(read_audio_file(path), 44100, 16000)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_stream_int16_is_bit_exact(tmp_path):
    pcm = np.random.default_rng(2).integers(-32768, 32768, 5000).astype(np.int16)
    write_audio_file(tmp_path / "a.wav", pcm, 16000)
    blocks = list(stream_audio_file(tmp_path / "a.wav", 777, target_sr=16000, dtype="int16"))
    assert blocks[0].dtype == np.int16
    np.testing.assert_array_equal(np.concatenate(blocks), pcm)


def test_stream_refusals(tmp_path):
    with pytest.raises(AudioError, match="0 frames"):
        stream_audio_file(tmp_path / "a.wav", 0)
    with pytest.raises(AudioError, match="at 0 Hz"):
        stream_audio_file(tmp_path / "a.wav", 10, target_sr=0)
    with pytest.raises(AudioError, match="no audio file"):
        next(stream_audio_file(tmp_path / "a.wav", 10))


def test_write_saturates_and_returns_the_path(tmp_path):
    path = tmp_path / "deep" / "a.wav"
    assert write_audio_file(path, np.float32([0.0, 0.5, 1.0, 3.0, -1.0, -3.0]), sample_rate=8000) == str(path)
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000
    np.testing.assert_array_equal(pcm, [0, 16384, 32767, 32767, -32768, -32768])


def test_write_channels(tmp_path):
    stereo = np.float32([[0.5, 0.0], [-1.0, -1.0]])
    pcm = soundfile.read(write_audio_file(tmp_path / "m.wav", stereo, 8000), dtype="int16")[0]
    np.testing.assert_array_equal(pcm, [8192, -32768])
    pcm = soundfile.read(write_audio_file(tmp_path / "s.wav", stereo, 8000, mono=False), dtype="int16")[0]
    np.testing.assert_array_equal(pcm, [[16384, 0], [-32768, -32768]])


def test_write_refusals_leave_nothing(tmp_path):
    good = np.zeros(4, np.float32)
    with pytest.raises(AudioError, match=r"end the name in \.wav"):
        write_audio_file(tmp_path / "a.mp3", good, 8000)
    with pytest.raises(AudioError, match="sample rate of 0 Hz"):
        write_audio_file(tmp_path / "a.wav", good, 0)
    with pytest.raises(AudioError, match="shape"):
        write_audio_file(tmp_path / "a.wav", np.zeros((2, 2, 2), np.float32), 8000)
    with pytest.raises(AudioError, match="nan at position 2"):
        write_audio_file(tmp_path / "a.wav", np.float32([0, 0, np.nan]), 8000)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(MltkError, match="Can not write"):
        write_audio_file(tmp_path / "file" / "a.wav", good, 8000)
