"""Whole clips, chunks of any size, batches and threads: the same features. And what is refused."""

import pickle
import threading
import weakref

import frontend_cases as cases
import numpy as np
import pytest

from mltk.frontend.apply import apply_frontend
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import AudioError, FrontendError


def make_settings(**values):
    return AudioFeatureGeneratorSettings(
        window_size_ms=30, filterbank_n_channels=40, noise_reduction_enable=True, pcan_enable=True, **values
    )


def cut(samples, rng):
    """Cut into chunks of random sizes, many of them empty or of one sample."""
    start = 0
    while start < len(samples):
        size = int(rng.choice([0, 1, rng.integers(0, 400), rng.integers(0, 5000)]))
        yield samples[start : start + size]
        start += size


@pytest.mark.parametrize("seed", range(40))
def test_whole_equals_chunks_equals_batch(seed):
    rng = np.random.default_rng(seed)
    s = cases.random_blocks(cases.random_settings(rng, 700), rng)
    clips = np.stack([cases.make_clip(int(kind), s.sample_length, seed) for kind in (1, 10, 3, 0, 9)])
    generator = AudioFeatureGenerator(s)
    for dtype in (np.uint16, np.int8, np.float32):
        whole = np.stack([AudioFeatureGenerator(s).process_sample(clip, dtype) for clip in clips])
        assert whole.dtype == dtype
        np.testing.assert_array_equal(generator.process_batch(clips, dtype), whole)
        np.testing.assert_array_equal(generator.process_batch(clips, dtype, threads=3), whole)
        np.testing.assert_array_equal(apply_frontend(clips[1], s, dtype), whole[1])
    for i, clip in enumerate(clips):
        generator.reset()  # after a reset as in a fresh one
        expected = AudioFeatureGenerator(s).process_sample(clip, np.uint16)
        np.testing.assert_array_equal(
            np.concatenate([generator.process(part) for part in cut(clip, rng)]), expected, i
        )
        expected_activity = AudioFeatureGenerator(s)
        expected_activity.process_sample(clip)
        assert generator.activity_was_detected() == expected_activity.activity_was_detected()


def test_a_stream_goes_on_where_a_clip_would_end():
    s = make_settings(dc_notch_filter_enable=True)
    audio = cases.bursts(100_003, 4)
    generator = AudioFeatureGenerator(s)
    whole = generator.process(audio)
    assert whole.shape == ((100_003 - 480) // 160 + 1, 40)
    for size in (160, 592, 16000):
        generator.reset()
        rows = [generator.process(audio[i : i + size]) for i in range(0, len(audio), size)]
        np.testing.assert_array_equal(np.concatenate(rows), whole)


def test_clips_leave_the_stream_alone():
    generator, alone = AudioFeatureGenerator(make_settings()), AudioFeatureGenerator(make_settings())
    audio = cases.bursts(16000, 5)
    for part in np.array_split(audio, 7):
        generator.process_sample(cases.noise(16000, 3, 9000))
        np.testing.assert_array_equal(generator.process(part), alone.process(part))


def test_strided_and_read_only_arrays_are_taken():
    generator = AudioFeatureGenerator(make_settings())
    stereo = np.stack([cases.bursts(16000, 6), cases.noise(16000, 6, 99)], axis=1)
    left = stereo[:, 0]
    expected = generator.process_sample(left.copy(), np.uint16)
    left.flags.writeable = False
    np.testing.assert_array_equal(generator.process_sample(left, np.uint16), expected)
    np.testing.assert_array_equal(generator.process_batch(stereo.T, np.uint16)[0], expected)
    np.testing.assert_array_equal(
        apply_frontend(left[:, np.newaxis], generator.settings, np.uint16), expected
    )


def test_unaligned_arrays_are_taken():
    """Such as samples behind a header of odd length in a file that was mapped."""
    generator = AudioFeatureGenerator(make_settings())
    clip = cases.bursts(16000, 6)
    unaligned = np.frombuffer(b"x" + clip.tobytes(), np.int16, offset=1)
    assert not unaligned.flags.aligned
    expected = generator.process_sample(clip, np.uint16)
    np.testing.assert_array_equal(generator.process_sample(unaligned, np.uint16), expected)
    np.testing.assert_array_equal(generator.process(unaligned), expected)
    generator.reset()
    rows = [generator.process(part) for part in np.array_split(unaligned, 30)]
    np.testing.assert_array_equal(np.concatenate(rows), expected)


def test_a_stream_may_be_overridden_and_is_given_back():
    """Although a generator's `process` is the C function itself."""

    class Counting(AudioFeatureGenerator):
        calls = 0

        def process(self, chunk):
            self.calls += 1
            return super().process(chunk)

    audio = cases.bursts(16000, 2)
    plain, counting = AudioFeatureGenerator(make_settings()), Counting(make_settings())
    np.testing.assert_array_equal(counting.process(audio), plain.process(chunk=audio))
    assert counting.calls == 1
    held = weakref.ref(plain)
    del plain
    assert held() is None


def test_threads_share_one_generator():
    generator = AudioFeatureGenerator(make_settings())
    clips = [cases.noise(16000, seed, 8000) for seed in range(4)]
    expected = [generator.process_sample(clip) for clip in clips]
    wrong = []

    def work(i):
        for _ in range(20):
            if not np.array_equal(generator.process_sample(clips[i]), expected[i]):
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_a_generator_can_be_pickled():
    generator = AudioFeatureGenerator(make_settings())
    clip = cases.bursts(16000, 1)
    copy = pickle.loads(pickle.dumps(generator))
    np.testing.assert_array_equal(copy.process_sample(clip), generator.process_sample(clip))


def test_float_audio_is_the_int16_audio_it_came_from():
    generator = AudioFeatureGenerator(make_settings())
    clip = cases.make_clip(1, 16000, 1)
    expected = generator.process_sample(clip, np.uint16)
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(
            generator.process_sample(clip.astype(dtype) / 32768, np.uint16), expected
        )
        np.testing.assert_array_equal(
            AudioFeatureGenerator(make_settings()).process((clip / 32768).astype(dtype)), expected
        )


def test_float_audio_saturates():
    """A loud clip must not wrap around: twice full scale is the clipped clip."""
    generator = AudioFeatureGenerator(make_settings())
    loud = np.sin(np.arange(16000) * 0.3).astype(np.float32) * 2
    clipped = np.clip(np.rint(loud.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    np.testing.assert_array_equal(
        generator.process_sample(loud, np.uint16), generator.process_sample(clipped, np.uint16)
    )


@pytest.mark.parametrize(
    ("sample", "received"),
    [
        (np.zeros(15999, np.int16), r"int16 \[15999\]"),
        (np.zeros(16001, np.int16), r"int16 \[16001\]"),
        (np.zeros(0, np.int16), r"int16 \[0\]"),
        (np.zeros((16000, 1), np.int16), r"int16 \[16000, 1\]"),
        (np.zeros(16000, np.int32), r"int32 \[16000\]"),
        (np.zeros(16000, np.uint16), r"uint16 \[16000\]"),
        (np.zeros(16000, np.complex64), r"complex64 \[16000\]"),
        (np.zeros(16000, object), r"object \[16000\]"),
        (np.int16(3), "int16"),
        ([0] * 16000, "list"),
        (None, "NoneType"),
        (b"0" * 32000, "bytes"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(sample, received):
    generator = AudioFeatureGenerator(make_settings())
    with pytest.raises(FrontendError, match=rf"must be int16 or float32 \[16000\], not {received}"):
        generator.process_sample(sample)
    with pytest.raises(FrontendError):
        generator.process_batch(sample)


@pytest.mark.parametrize("chunk", [np.zeros((2, 2), np.int16), np.zeros(2, np.int8), "audio"])
def test_a_chunk_that_does_not_fit_is_refused(chunk):
    generator = AudioFeatureGenerator(make_settings())
    with pytest.raises(FrontendError, match=r"A chunk must be int16 or float32 \[n\]"):
        generator.process(chunk)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_audio_with_nan_is_refused(bad):
    clip = np.zeros(16000, np.float32)
    clip[1234] = bad
    with pytest.raises(AudioError, match="1234"):
        AudioFeatureGenerator(make_settings()).process_sample(clip)


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.uint8, bool])
def test_another_output_type_is_refused(dtype):
    generator = AudioFeatureGenerator(make_settings())
    with pytest.raises(FrontendError, match="int8, uint16 or float32"):
        generator.process_sample(np.zeros(16000, np.int16), dtype)


def test_batches_of_none_and_bad_thread_counts():
    generator = AudioFeatureGenerator(make_settings())
    assert generator.process_batch(np.zeros((0, 16000), np.int16), np.int8).shape == (0, 98, 40)
    with pytest.raises(FrontendError, match="threads"):
        generator.process_batch(np.zeros((1, 16000), np.int16), threads=0)


def test_the_binding_itself_refuses_what_would_read_outside():
    """The checks above are sentences for people; these keep the process alive."""
    from mltk.frontend.native import native_frontend, native_settings

    native = native_frontend(native_settings(make_settings()))
    good = np.zeros((1, 16000), np.int16)
    with pytest.raises(ValueError, match="shape"):
        native.process_clips(good, np.zeros((1, 97, 40), np.uint16))
    for chunk in (
        good,
        good[0].astype(np.float32),
        good[0, ::2],
        good[0].byteswap().view(">i2"),
        None,
        b"0" * 320,
    ):
        assert native.process(chunk) is None
    with pytest.raises(TypeError):
        native.process_clips(good.astype(np.float32), np.zeros((1, 98, 40), np.uint16))
    with pytest.raises(TypeError):
        native.process_clips(good[:, ::2], np.zeros((1, 48, 40), np.uint16))
    with pytest.raises(TypeError):
        native.process_clips(good, np.zeros((1, 98, 40), np.int64))
