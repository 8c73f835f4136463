"""The feed's batches: what is in them, and that nothing but seed, epoch and clip decides it."""

import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pytest
import soundfile

from mltk.audio.length import trim_silence
from mltk.audio.write import write_audio_file
from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.datasets.feed_recipe import ClipCache
from mltk.datasets.feed_workers import worker_count
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import AudioError, DatasetError, FrontendError

RATE = 16000


@dataclass(frozen=True)
class StandInClip:
    path: str | None
    class_id: int
    index: int


def make_settings(**changes):
    return AudioFeatureGeneratorSettings(
        sample_rate_hz=RATE,
        sample_length_ms=300,
        window_size_ms=30,
        window_step_ms=20,
        filterbank_n_channels=16,
        noise_reduction_enable=True,
        pcan_enable=True,
        log_scale_enable=True,
        **changes,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for i in range(14):
        t = np.arange(RATE // 4) / RATE
        tone = 0.3 * np.sin(2 * np.pi * (300 + 100 * i) * t) * np.hanning(len(t))
        write_audio_file(folder / f"clip{i}.wav", np.pad(tone, 500).astype(np.float32), RATE)
    for i in range(2):
        write_audio_file(folder / f"noise{i}.wav", (rng.standard_normal(RATE) * 0.1).astype(np.float32), 8000)
    return folder


@pytest.fixture(scope="module")
def clips(folder):
    words = [StandInClip(str(folder / f"clip{i}.wav"), i % 2, 100 + i) for i in range(14)]
    return [*words, StandInClip(None, 2, 7), StandInClip(None, 2, 8)]


@pytest.fixture(scope="module")
def noise(folder):
    return [str(folder / f"noise{i}.wav") for i in range(2)]


def make_generator(**changes):
    values = {
        "dtype": "int8",
        "frontend_settings": make_settings(),
        "debug": True,
        "trim_threshold_db": 20,
        "bg_noise_range": (0.0, 0.3),
        "loudness_range": (0.5, 1.5),
        "vtlp_range": (0.8, 1.2),
    }
    return ParallelAudioDataGenerator(**{**values, **changes})


def joined(batches):
    pairs = list(batches)
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])


def test_shapes_labels_and_length(clips, noise):
    feed = make_generator().feed(clips, noise, n_classes=3, batch_size=6)
    batches = list(feed)
    assert len(feed) == len(batches) == 3
    assert feed.n_samples == 16
    assert [x.shape for x, _ in batches] == [(6, 14, 16, 1), (6, 14, 16, 1), (4, 14, 16, 1)]
    assert batches[0][0].dtype == np.int8
    assert batches[0][1].dtype == np.float32
    y = joined(batches)[1]
    np.testing.assert_array_equal(y.sum(axis=1), np.ones(16))
    np.testing.assert_array_equal(y.sum(axis=0), [7, 7, 2])


def test_labels_belong_to_their_features(clips):
    # Without variation a clip's features are the frontend's for the trimmed clip in the middle.
    from mltk.audio.length import adjust_length
    from mltk.audio.read import read_audio_file

    feed = make_generator(validation_augmentation_enabled=False).feed(clips[:14], n_classes=3, training=False)
    x, y = joined(feed)
    frontend = AudioFeatureGenerator(make_settings())
    for row, label, clip in zip(x, y, clips, strict=False):
        sample = adjust_length(read_audio_file(clip.path), 4800, trim_threshold_db=20, offset=0.5)
        np.testing.assert_array_equal(row[..., 0], frontend.process_sample(sample, np.int8))
        assert label.argmax() == clip.class_id
    np.testing.assert_array_equal(feed.class_ids, y.argmax(axis=1))


def test_same_batches_whatever_the_number_of_workers(clips, noise):
    def epochs(**how):
        with make_generator(**how).feed(clips, noise, n_classes=3, batch_size=4, seed=5) as feed:
            return [joined(feed) for _ in range(3)]

    in_process = epochs()
    for how in ({"debug": False, "cores": 1}, {"debug": False, "cores": 2, "max_batches_pending": 9}):
        for (x, y), (want_x, want_y) in zip(epochs(**how), in_process, strict=True):
            np.testing.assert_array_equal(x, want_x)
            np.testing.assert_array_equal(y, want_y)
    assert (in_process[0][0] != in_process[1][0]).any()


def test_epochs_can_be_asked_for_by_number(clips, noise):
    with make_generator(debug=False, cores=1).feed(clips, noise, n_classes=3, batch_size=4) as feed:
        first, second = joined(feed), joined(feed)
        np.testing.assert_array_equal(joined(feed.epoch(0))[0], first[0])
        next(feed.epoch(1))  # left in the middle
        np.testing.assert_array_equal(joined(feed.epoch(1))[0], second[0])
        feed.next_epoch = 1
        np.testing.assert_array_equal(joined(feed)[0], second[0])
        feed.close()
        np.testing.assert_array_equal(joined(feed.epoch(1))[0], second[0])
        iterators = feed.epoch(0), feed.epoch(1)
        next(iterators[0])
        next(iterators[1])
        with pytest.raises(DatasetError, match="one epoch at a time"):
            list(iterators[0])


def test_seed_and_shuffle(clips, noise):
    def x(seed=1, **options):
        return joined(make_generator().feed(clips, noise, n_classes=3, seed=seed, **options))

    assert (x()[0] != x(seed=2)[0]).any()
    np.testing.assert_array_equal(x(shuffle=False)[1].argmax(axis=1), [c.class_id for c in clips])
    # Shuffling moves the samples and does not change them.
    in_order, shuffled = x(shuffle=False)[0], x()[0]
    assert sorted(s.tobytes() for s in in_order) == sorted(s.tobytes() for s in shuffled)


def test_validation_is_the_same_every_epoch(clips, noise):
    feed = make_generator().feed(clips, noise, n_classes=3, training=False)
    first = joined(feed)
    np.testing.assert_array_equal(joined(feed)[0], first[0])
    np.testing.assert_array_equal(first[1].argmax(axis=1), [c.class_id for c in clips])


def test_max_batches(clips, noise):
    feed = make_generator().feed(clips, noise, n_classes=3, batch_size=3, max_batches=2)
    assert len(feed) == len(list(feed)) == 2
    assert feed.n_samples == 6


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rescale": 0.5}, lambda u: u * np.float32(0.5)),
        ({"samplewise_center": True}, lambda u: u - u.mean()),
        ({"samplewise_std_normalization": True}, lambda u: (u - u.mean()) / (u.std() + 1e-6)),
        (
            {"samplewise_std_normalization": True, "rescale": 2.0},
            lambda u: (u - u.mean()) / (u.std() + 1e-6) * 2,
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["uint16", "float32", "int8"])
def test_normalization(clips, noise, changes, expected, dtype):
    plain = joined(make_generator(dtype=dtype).feed(clips, noise, n_classes=3, shuffle=False))[0]
    assert plain.dtype == np.dtype(dtype)
    x = joined(make_generator(dtype=dtype, **changes).feed(clips, noise, n_classes=3, shuffle=False))[0]
    assert x.dtype == np.float32
    for row, before in zip(x, plain, strict=True):
        np.testing.assert_allclose(row, expected(before.astype(np.float64)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dynamic", [False, True])
def test_warmup_drops_what_is_before_the_clip(folder, dynamic):
    settings = make_settings(quantize_dynamic_scale_enable=dynamic)
    clip = [StandInClip(str(folder / "clip3.wav"), 0, 1)]
    noise = [str(folder / "noise0.wav")]
    how = {
        "frontend_settings": settings,
        "offset_range": (0.5, 0.5),
        "vtlp_range": None,
        "loudness_range": None,
    }

    def x(**more):
        return joined(make_generator(**{**how, **more}).feed(clip, noise, n_classes=1))[0][0]

    silent = {"bg_noise_range": (0.0, 0.0)}
    # Before digital silence the filters have nothing to learn.
    np.testing.assert_array_equal(x(warmup_ms=205, **silent)[:3], x(**silent)[:3])
    loud = {"bg_noise_range": (1.0, 1.0)}
    with_warmup, without = x(warmup_ms=500, **loud), x(**loud)
    assert with_warmup.shape == without.shape
    assert (with_warmup != without).any()
    if not dynamic:
        # The noise reduction has learnt the noise, so less of it is left.
        assert with_warmup[:5].mean() < without[:5].mean()


def test_silence_is_made_of_noise_at_all_levels(noise):
    clips = [StandInClip(None, 0, i) for i in range(60)]
    x = joined(make_generator().feed(clips, noise, n_classes=1, training=False))[0]
    levels = x.reshape(60, -1).mean(axis=1)
    assert len({row.tobytes() for row in x}) > 50
    assert levels.min() == -128
    assert levels.max() > -60
    # Also where nothing is varied, and without any noise file.
    plain = make_generator(validation_augmentation_enabled=False, bg_noise_range=None)
    x = joined(plain.feed(clips, [], n_classes=1, training=False))[0]
    assert len({row.tobytes() for row in x}) > 50


def test_a_misspelt_name_is_told():
    with pytest.raises(DatasetError, match=r"no setting 'loudnes_range', did you mean \"loudness_range\""):
        ParallelAudioDataGenerator(frontend_settings=make_settings(), loudnes_range=(0.5, 1.0))
    generator = make_generator()
    with pytest.raises(DatasetError, match=r"did you mean \"speed_range\""):
        generator.speed_rang = (0.6, 1.9)
    generator.speed_range = None
    with pytest.raises(DatasetError, match="keywords only"):
        ParallelAudioDataGenerator("int8")


def test_defaults_and_names_of_the_reference():
    generator = ParallelAudioDataGenerator(frontend_settings=make_settings())
    assert (generator.cores, generator.max_batches_pending, generator.dtype) == (0.25, 4, "float32")
    assert (generator.unknown_class_percentage, generator.silence_class_percentage) == (1.0, 0.6)
    assert (generator.offset_range, generator.trim_threshold_db) == ((0.0, 1.0), 20)
    assert make_generator(samplewise_std_normalization=True).samplewise_center is True
    assert make_generator(dtype=np.int8).feed([StandInClip(None, 0, 0)], n_classes=1).recipe.dtype == "int8"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frontend_settings": None}, "needs frontend_settings"),
        ({"dtype": "int32"}, "dtype must be one of"),
        ({"dtype": "nonsense"}, "dtype must be one of"),
        ({"cores": 0}, "cores must be"),
        ({"cores": "all"}, "cores must be"),
        ({"max_batches_pending": 0}, "max_batches_pending"),
        ({"validation_split": 1.0}, "validation_split"),
        ({"unknown_class_percentage": -1}, "unknown_class_percentage"),
        ({"rescale": float("nan")}, "rescale"),
        ({"warmup_ms": -1}, "warmup_ms"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(DatasetError, match=message):
        make_generator(**changes)


def test_bad_feeds(clips):
    generator = make_generator()
    for changes, message in (
        ({"n_classes": 2}, "of class 2, but there are 2 classes"),
        ({"n_classes": 3, "batch_size": 0}, "batch_size"),
        ({"n_classes": 3, "seed": -1}, "seed"),
        ({"n_classes": 3, "max_batches": 0}, "max_batches"),
    ):
        with pytest.raises(DatasetError, match=message):
            generator.feed(clips, **changes)
    with pytest.raises(DatasetError, match="no clips"):
        generator.feed([], n_classes=1)
    generator.frontend_settings.window_step_ms = 60
    with pytest.raises(FrontendError, match="window_step_ms"):
        generator.feed(clips, n_classes=3)
    generator.frontend_settings.window_step_ms = 20
    generator.speed_range = (2.0, 1.0)
    with pytest.raises(AudioError, match="speed_range"):
        generator.feed(clips, n_classes=3)


def test_worker_count():
    import loky

    processors = loky.cpu_count()
    assert worker_count(1.0) == processors
    assert worker_count(1) == 1
    assert worker_count(0.01) == 1
    assert worker_count(10_000) == processors


def test_cache_stays_within_its_bytes_and_loses_nothing(folder):
    paths = [str(folder / f"clip{i}.wav") for i in range(6)]
    small, none, big = ClipCache(20_000), ClipCache(0), ClipCache()
    for path in paths * 2:
        want = none.get(path, RATE)
        np.testing.assert_array_equal(small.get(path, RATE), want)
        np.testing.assert_array_equal(big.get(path, RATE), want)
        np.testing.assert_array_equal(big.get(path, RATE), want)
        assert sum(x.nbytes for x in small._samples.values()) <= 20_000
    assert len(small._samples) == 2
    assert len(big._samples) == 6
    assert {x.dtype for x in big._samples.values()} == {np.dtype(np.int16)}


def test_a_clip_without_its_quiet_ends_is_that_of_trim_silence(tmp_path):
    samples = np.zeros(RATE, np.int16)
    samples[5000:9000] = np.random.default_rng(1).integers(-9000, 9000, 4000)
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        soundfile.write(path, samples, RATE, subtype="PCM_16")
    cache = ClipCache(samples.nbytes)  # room for one: the other is looked at anew each time
    for path in [*paths, *paths, paths[-1]]:
        for threshold_db in (20, 20, 60):
            got = cache.trimmed(str(path), RATE, threshold_db)
            np.testing.assert_array_equal(got, trim_silence(samples, threshold_db))
        np.testing.assert_array_equal(cache.trimmed(str(path), RATE, None), samples)
        assert len(cache._loud_parts) == 1
    assert len(trim_silence(samples, 20)) < RATE


@pytest.mark.parametrize("debug", [True, False])
def test_a_bad_file_ends_the_run_with_its_name(clips, noise, tmp_path, debug):
    bad = tmp_path / "broken.wav"
    bad.write_bytes(b"RIFF" + struct.pack("<I", 0) + b"WAVE")
    with make_generator(debug=debug, cores=1).feed(
        [*clips, StandInClip(str(bad), 0, 99)], noise, n_classes=3
    ) as feed:
        with pytest.raises(AudioError, match=r"broken\.wav"):
            list(feed)
        with pytest.raises(AudioError, match=r"broken\.wav"):
            list(feed)  # and again: the workers start anew


def test_workers_have_no_tensorflow_and_a_killed_one_is_told(clips, noise):
    with make_generator(debug=False, cores=1).feed(clips, noise, n_classes=3, batch_size=2) as feed:
        first = joined(feed)
        executor = feed._pool._executor
        loaded = executor.submit(_loaded_modules).result()
        assert "mltk.audio.augment" in loaded
        assert not [
            name for name in loaded if name.split(".")[0] in ("tensorflow", "keras", "sklearn", "matplotlib")
        ]
        batches = feed.epoch(1)
        next(batches)
        for pid in list(executor._processes):
            os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        with pytest.raises(DatasetError, match=r"worker process .* was killed"):
            list(chain(batches, *(feed.epoch(number) for number in range(2, 100))))
        np.testing.assert_array_equal(joined(feed.epoch(0))[0], first[0])


def _loaded_modules():
    return sorted(sys.modules)


LONG_RUN = """
import sys
from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from types import SimpleNamespace as Clip
print("imported", flush=True)
generator = ParallelAudioDataGenerator(frontend_settings=AudioFeatureGeneratorSettings(), cores=1)
feed = generator.feed([Clip(path=None, class_id=0, index=i) for i in range(100)], n_classes=1, batch_size=2)
try:
    while True:
        for x, y in feed:
            print("batch", flush=True)
except KeyboardInterrupt:
    feed.close()
    print("stopped", flush=True)
    sys.exit(130)
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="process groups and Ctrl-C work in another way on Windows"
)
@pytest.mark.parametrize("how", ["Ctrl-C", "kill -9"])
def test_nothing_is_left_running(tmp_path, how):
    script = tmp_path / "run.py"
    script.write_text(LONG_RUN)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        lines = [process.stdout.readline() for _ in range(20)]
        assert lines == ["imported\n"] + ["batch\n"] * 19  # the script ran once: no worker imported it
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
            out, error = process.communicate(timeout=120)
            assert process.returncode == 130
            assert out.endswith("stopped\n")
            assert "Traceback" not in error
        else:
            process.kill()
            process.communicate(timeout=120)
        deadline = time.monotonic() + 60
        while group_is_alive(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not group_is_alive(process.pid)
    finally:
        if group_is_alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()


def group_is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_spare_clips_take_turns(folder):
    clips = [StandInClip(str(folder / f"clip{i}.wav"), i % 2, i) for i in range(4)]
    spare = [StandInClip(str(folder / f"clip{i}.wav"), 1, 10 + i) for i in range(4)]
    feed = make_generator().feed(clips, (), spare, n_classes=2)
    seen = set()
    for epoch in range(30):
        items = feed._items_of(epoch)
        assert items == feed._items_of(epoch)
        assert sorted(item.class_id for item in items) == [0, 0, 1, 1]
        assert {item.index for item in items if item.class_id == 0} == {0, 2}
        assert len({item.index for item in items}) == 4
        seen |= {item.index for item in items if item.class_id == 1}
    assert seen == {1, 3, 10, 11, 12, 13}
    validation = make_generator().feed(clips, (), spare, n_classes=2, training=False)
    assert [item.index for item in validation._items_of(0)] == [0, 1, 2, 3]
