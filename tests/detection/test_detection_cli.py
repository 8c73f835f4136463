"""`mltk classify_audio` as a user runs it, and what it leaves on disk."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from detection_models import N_CHANNELS, N_FRAMES, loud_model, noise_bursts

from mltk.cli.main import main
from mltk.detection.events import Detection
from mltk.detection.picture import SpectrogramRecorder, draw_stream
from mltk.detection.session import SessionOutputs, listen
from mltk.detection.stream import KeywordDetector
from mltk.utils.errors import AudioError, DetectionError, MltkError
from mltk.utils.logging import get_mltk_logger

AUDIO = noise_bursts(6)
MODEL = loud_model()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classify")
    (folder / "loud.tflite").write_bytes(MODEL)
    soundfile.write(folder / "street.wav", AUDIO, 16000)
    (folder / "street.raw").write_bytes(AUDIO.astype("<i2").tobytes())
    (folder / "text.wav").write_text("no audio at all")
    return folder


@pytest.fixture
def run(files, capsys, monkeypatch):
    """Run the command in this process, in the folder of the files; return (exit code, stdout, stderr)."""

    def run_command(*arguments):
        monkeypatch.chdir(files)
        monkeypatch.setattr(sys, "argv", ["mltk", "classify_audio", *map(str, arguments)])
        # The command's own console handler would write to the standard error of the test before.
        monkeypatch.setattr(get_mltk_logger(), "handlers", [])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run_command


def expected(**options):
    return KeywordDetector(MODEL, **options).feed(AUDIO)


def test_a_recording(run):
    code, out, err = run("loud.tflite", "--audio", "street.wav")
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(event) for event in expected()]
    assert out.startswith("Heard loud (")


def test_json(run):
    code, out, _ = run("loud.tflite", "--audio", "street.wav", "--json")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert events == [json.loads(event.to_json()) for event in expected()]
    assert set(events[0]) == {"time_ms", "label", "score", "class_id"}


@pytest.mark.parametrize("style", ["--window_duration", "--window-duration"])
def test_options_reach_the_detector(run, style):
    options = (
        style,
        500,
        "--count",
        3,
        "--threshold",
        140,
        "--suppression",
        250,
        "--latency",
        40,
        "--volume",
        2,
    )
    _, out, _ = run("loud.tflite", "--audio", "street.wav", *options)
    events = expected(
        window_duration_ms=500, count=3, threshold=140, suppression_ms=250, latency_ms=40, volume=2
    )
    assert out.splitlines() == [str(event) for event in events]
    assert events != expected()


def test_other_formats_and_rates(run, files):
    stereo = np.repeat(np.repeat(AUDIO, 3)[:, None], 2, axis=1)
    soundfile.write(files / "stereo48k.flac", stereo, 48000)
    code, out, _ = run("loud.tflite", "--audio", "stereo48k.flac", "--json")
    assert code == 0
    times = [json.loads(line)["time_ms"] for line in out.splitlines()]
    assert np.abs(np.array(times) - [event.time_ms for event in expected()]).max() <= 100


def test_verbose_tells_every_score_on_stderr(run):
    code, out, err = run("loud.tflite", "--audio", "street.wav", "--verbose")
    assert code == 0
    assert out.splitlines() == [str(event) for event in expected()]
    lines = [line for line in err.splitlines() if line.startswith("@")]
    seen = []
    KeywordDetector(MODEL, on_inference=seen.append).feed(AUDIO)
    assert lines == [f"@{i.time_ms}ms  loud {i.scores[0]:3d}  _quiet_ {i.scores[1]:3d}" for i in seen]


def test_the_dumped_sound_gives_the_same_events(run, files):
    _, out, _ = run("loud.tflite", "--audio", "street.wav", "--volume", 2, "--dump-audio", "heard")
    path = files / "heard" / "loud-heard.wav"
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 16000
    np.testing.assert_array_equal(samples, AUDIO)
    assert run("loud.tflite", "--audio", path, "--volume", 2)[1] == out
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_dumped_spectrograms(run, files):
    from matplotlib.image import imread

    run("loud.tflite", "--audio", "street.wav", "--dump-spectrograms", "windows")
    names = {f"{e.time_ms:09d}ms-{e.label}-{e.score}.png" for e in expected()}
    assert {p.name for p in (files / "windows").iterdir()} == names
    assert imread(files / "windows" / min(names)).shape[:2] == (4 * N_CHANNELS, 4 * N_FRAMES)


def test_every_window_is_dumped_when_verbose(run, files):
    run("loud.tflite", "--audio", "street.wav", "--dump-spectrograms", "every", "--verbose")
    detector = KeywordDetector(MODEL)
    detector.feed(AUDIO)
    assert len(list((files / "every").iterdir())) == detector.n_inferences


def test_a_picture(run, files):
    from matplotlib.image import imread

    assert run("loud.tflite", "--audio", "street.wav", "--picture", "street.png")[0] == 0
    picture = imread(files / "street.png")
    assert picture.shape[0] > 300
    # The line of each detection has its colour.
    marked = (np.abs(picture[..., :3] - [0x35 / 255, 0xD0 / 255, 1.0]).max(axis=2) < 0.02).sum(axis=0)
    columns = np.flatnonzero(marked > 100)
    assert 1 + (np.diff(columns) > 1).sum() == len(expected())


@pytest.mark.parametrize("piece", [1, 333, 100_000])
def test_raw_samples_from_standard_input(files, piece):
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from mltk.cli.main import main; main()",
            "classify_audio",
            "loud.tflite",
            "--audio",
            "-",
        ],
        cwd=files,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        data = (files / "street.raw").read_bytes()
        head, tail = data[: 20 * piece], data[20 * piece :]
        for start in range(0, len(head), piece):
            process.stdin.write(head[start : start + piece])
            process.stdin.flush()
        out, err = process.communicate(tail, timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out.decode().splitlines() == [str(event) for event in expected()]


def test_events_are_told_while_the_stream_goes_on(files):
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from mltk.cli.main import main; main()",
            "classify_audio",
            "loud.tflite",
            "--audio",
            "-",
        ],
        cwd=files,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdin.write(AUDIO[:32000].tobytes())
        process.stdin.flush()
        assert process.stdout.readline().decode().strip() == str(expected()[0])
        process.stdin.close()
        process.wait(60)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal that a test can send on Windows")
def test_ctrl_c_leaves_whole_files(files, tmp_path):
    command = [
        sys.executable,
        "-c",
        "from mltk.cli.main import main; main()",
        "classify_audio",
        "loud.tflite",
    ]
    with subprocess.Popen(
        [*command, "--audio", "-", "--dump-audio", str(tmp_path), "--picture", str(tmp_path / "p.png")],
        cwd=files,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(AUDIO[:48000].tobytes())
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loud-heard.wav", "p.png"]
    samples, _ = soundfile.read(tmp_path / "loud-heard.wav", dtype="int16")
    np.testing.assert_array_equal(samples, AUDIO[: len(samples)])
    assert len(samples) >= 16000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.tflite", "--audio", "street.wav"], "nowhere.tflite"),
        (["street.wav", "--audio", "street.wav"], "street.wav"),
        (["loud.tflite", "--audio", "nowhere.wav"], "nowhere.wav"),
        (["loud.tflite", "--audio", "text.wav"], "text.wav"),
        (["loud.tflite", "--audio", "."], "folder"),
        (["loud.tflite", "--audio", "street.wav", "--threshold", "256"], "from 0 to 255, got 256"),
        (["loud.tflite", "--audio", "street.wav", "--threshold", "-1"], "from 0 to 255, got -1"),
        (["loud.tflite", "--audio", "street.wav", "--volume", "-2"], "volume"),
        (["loud.tflite", "--audio", "street.wav", "--latency", "-2"], "latency"),
        (["loud.tflite", "--audio", "street.wav", "--count", "50"], "Nothing could ever be heard"),
        (["loud.tflite", "--audio", "street.wav", "--picture", "street.gif"], ".png, .svg or .pdf"),
        (["loud.tflite", "--audio", "street.wav", "--dump-audio", "street.raw/x"], "street.raw"),
        (["loud.tflite", "--audio", "street.wav", "--microphone", "usb"], "exclude each other"),
    ],
)
def test_errors_are_one_sentence(run, files, arguments, says):
    before = sorted(files.rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mltk: ")
    assert err.count("\n") == 1
    assert says in err
    assert sorted(files.rglob("*")) == before


def test_a_folder_that_can_not_be_written(run, files, tmp_path):
    tmp_path.chmod(0o555)
    try:
        for option, value in (("--dump-audio", tmp_path), ("--picture", tmp_path / "a.png")):
            code, out, err = run("loud.tflite", "--audio", "street.wav", option, value)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert str(tmp_path) in err
    finally:
        tmp_path.chmod(0o755)


def test_a_recording_that_is_too_short_is_told(run, files):
    soundfile.write(files / "short.wav", AUDIO[:9000], 16000)
    code, out, err = run("loud.tflite", "--audio", "short.wav")
    assert (code, out) == (0, "")
    assert err == "Too short to hear anything: 562 ms of sound gave 1 results, a decision needs 2\n"


def test_no_sound_on_standard_input(files):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from mltk.cli.main import main; main()",
            "classify_audio",
            "loud.tflite",
            "--audio",
            "-",
        ],
        check=False,
        cwd=files,
        input=b"",
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert (
        done.stderr.decode()
        == "mltk: Standard input gave no samples: pipe raw s16le audio into `--audio -`\n"
    )


# The session behind the command.


def test_a_broken_source_leaves_no_output(tmp_path):
    def blocks():
        yield AUDIO[:32000]
        raise AudioError("damaged here")

    outputs = SessionOutputs(audio_folder=tmp_path, picture=tmp_path / "p.png")
    with pytest.raises(AudioError):
        listen(KeywordDetector(MODEL), blocks(), lambda event: None, outputs)
    assert list(tmp_path.iterdir()) == []


def test_the_source_is_closed_after_ctrl_c():
    closed = []

    def blocks():
        try:
            yield AUDIO[:1000]
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    assert listen(KeywordDetector(MODEL), blocks(), print, SessionOutputs())
    assert closed == [True]


def test_a_hostile_label_stays_in_its_folder_and_line(tmp_path):
    model = loud_model(classes=["../../evil\n\x1b[2J", "_quiet_"])
    folder = tmp_path / "in"
    events = []
    listen(KeywordDetector(model), iter([AUDIO]), events.append, SessionOutputs(spectrogram_folder=folder))
    assert events
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert len(list(folder.iterdir())) == len(events)
    assert str(events[0]).isprintable()


def test_a_long_stream_is_thinned_out():
    recorder = SpectrogramRecorder(20)
    frames = np.arange(20_000, dtype=np.uint16)[:, None].repeat(3, axis=1)
    for start in range(0, len(frames), 777):
        recorder.add(frames[start : start + 777])
    assert recorder.column_ms == 80
    np.testing.assert_array_equal(recorder.features, frames[3::4])


def test_pictures_of_nothing(tmp_path):
    with pytest.raises(DetectionError, match="shorter than one window"):
        draw_stream(tmp_path / "a.png", SpectrogramRecorder(20), [])
    recorder = SpectrogramRecorder(20)
    recorder.add(np.ones((5, 3), np.uint16))
    draw_stream(tmp_path / "a.svg", recorder, [Detection("$x_{", 1, 20, 0)], "a $ title")
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")
    with pytest.raises(MltkError, match="must end with"):
        draw_stream(tmp_path / "a.txt", recorder, [])
