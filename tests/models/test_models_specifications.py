"""The shipped specifications: the seeds' settings, shapes and sizes, and a dry run of each."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras", reason="the extra 'train' is not installed")

from mltk.audio.write import write_audio_file
from mltk.models.loading import load_mltk_model
from mltk.models.model import MltkModel
from mltk.models.search import SPECIFICATIONS

NAMES = ("keyword_spotting_alexa", "keyword_spotting_numbers", "keyword_spotting_commands")
COMMANDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> MltkModel:
    """Each specification, executed."""
    return load_mltk_model(request.param)


@pytest.fixture(scope="module")
def models() -> dict[str, MltkModel]:
    """All specifications, executed."""
    return {name: load_mltk_model(name) for name in NAMES}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones in place of words, two speakers a word."""
    root = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for number, word in enumerate([*COMMANDS, *DIGITS, "alexa", "tree", "house"]):
        for speaker in range(4):
            t = np.arange(8000) / 16000
            tone = 0.3 * np.sin(2 * np.pi * (300 + 90 * number) * t) + 0.01 * rng.standard_normal(8000)
            name = f"{speaker + 10:08x}_nohash_0.wav"
            write_audio_file(root / word / name, tone.astype(np.float32), 16000)
    return root


def test_every_specification_has_an_own_name_and_can_be_trained(model):
    assert Path(str(model.model_specification_path)).parent == SPECIFICATIONS
    assert model.version >= 1
    assert model.description
    assert model.class_mode == "categorical"
    assert model.tflite_converter["representative_dataset"] == "generate"
    assert model.model_parameters["verbose_model_output_logs"] is False


def test_alexa_has_the_settings_of_seed_2(models):
    model = models["keyword_spotting_alexa"]
    assert model.classes == ["alexa", "_unknown_"]
    assert model.input_shape == (118, 1, 108)
    settings = model.frontend_settings
    expected = {
        "fe.sample_rate_hz": 16000,
        "fe.sample_length_ms": 1200,
        "fe.window_size_ms": 30,
        "fe.window_step_ms": 10,
        "fe.filterbank_n_channels": 108,
        "fe.filterbank_upper_band_limit": 7500.0,
        "fe.filterbank_lower_band_limit": 125.0,
        "fe.noise_reduction_enable": True,
        "fe.noise_reduction_smoothing_bits": 10,
        "fe.noise_reduction_even_smoothing": 0.025,
        "fe.noise_reduction_odd_smoothing": 0.06,
        "fe.noise_reduction_min_signal_remaining": 0.40,
        "fe.dc_notch_filter_enable": True,
        "fe.dc_notch_filter_coefficient": 0.95,
        "fe.quantize_dynamic_scale_enable": True,
        "fe.quantize_dynamic_scale_range_db": 40.0,
    }
    assert {key: settings[key] for key in expected} == expected
    parameters = model.model_parameters
    assert (parameters["latency_ms"], parameters["minimum_count"]) == (200, 2)
    assert parameters["average_window_duration_ms"] == int(200 * 2 * 1.1)
    assert parameters["detection_threshold"] == int(0.80 * 255)
    assert parameters["suppression_ms"] == 900
    assert model.tflite_converter["inference_input_type"] == "int8"
    assert model.tflite_converter["inference_output_type"] == "int8"


def test_alexa_frontend_is_the_published_archives(models, shared_dir):
    published = load_mltk_model(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip")
    ours = models["keyword_spotting_alexa"].frontend_settings
    assert dict(ours) == {
        key: pytest.approx(value) if isinstance(value, float) else value
        for key, value in published.frontend_settings.items()
        if key in ours
    }
    assert published.input_shape == models["keyword_spotting_alexa"].input_shape


def test_numbers_has_the_settings_that_seed_1_prints(models):
    model = models["keyword_spotting_numbers"]
    assert model.classes == [*DIGITS, "_unknown_"]
    assert model.input_shape == (98, 1, 40)
    parameters = model.tflite_parameters()
    expected = {
        "average_window_duration_ms": 450,
        "detection_threshold": 242,
        "fe.activity_detection_enable": False,
        "fe.dc_notch_filter_coefficient": 0.95,
        "fe.dc_notch_filter_enable": True,
        "fe.fft_length": 512,
        "fe.filterbank_lower_band_limit": 125.0,
        "fe.filterbank_n_channels": 40,
        "fe.filterbank_upper_band_limit": 7500.0,
        "fe.log_scale_enable": True,
        "fe.log_scale_shift": 6,
        "fe.noise_reduction_enable": True,
        "fe.noise_reduction_even_smoothing": 0.025,
        "fe.noise_reduction_min_signal_remaining": 0.4,
        "fe.noise_reduction_odd_smoothing": 0.06,
        "fe.noise_reduction_smoothing_bits": 10,
        "fe.pcan_enable": False,
        "fe.quantize_dynamic_scale_enable": False,
        "fe.sample_length_ms": 1000,
        "fe.sample_rate_hz": 16000,
        "fe.window_size_ms": 30,
        "fe.window_step_ms": 10,
        "latency_ms": 10,
        "minimum_count": 2,
        "name": "keyword_spotting_numbers",
        "samplewise_norm.mean_and_std": True,
        "suppression_ms": 700,
        "version": 1,
        "volume_gain": 0.0,
    }
    assert {key: parameters[key] for key in expected} == expected
    assert model.tflite_converter["inference_input_type"] == "float32"
    assert model.tflite_converter["inference_output_type"] == "float32"


def test_commands_have_the_twelve_classes_of_the_literature(models):
    model = models["keyword_spotting_commands"]
    assert model.classes == [*COMMANDS, "_unknown_", "_silence_"]
    assert model.input_shape == (49, 40, 1)


def test_the_nets_take_the_features_and_give_the_classes(model):
    net = model.build_model()
    assert net.compiled
    assert net.input_shape == (None, *model.input_shape)
    assert net.output_shape == (None, model.n_classes)
    posteriors = net(np.zeros((2, *model.input_shape), np.float32)).numpy()
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0, atol=1e-5)


def test_commands_can_be_trained_with_another_architecture(tmp_path):
    path = tmp_path / "keyword_spotting_commands.py"
    path.write_text(
        "from mltk.models.specifications.keyword_spotting_commands import my_model\n"
        'my_model.architecture = "tiny_conv"\n'
    )
    other = load_mltk_model(path)
    assert other.archive_path == tmp_path / "keyword_spotting_commands.mltk.zip"
    assert other.build_model().count_params() > 0
    assert any("tiny" in layer.name or "first" in layer.name for layer in other.build_model().layers)


def test_residual_branches_begin_at_zero(models):
    from keras import layers

    net = models["keyword_spotting_numbers"].build_model()
    norms = [layer for layer in net.layers if isinstance(layer, layers.BatchNormalization)]
    silent = [layer for layer in norms if not np.any(layer.gamma.numpy())]
    assert len(silent) == 16  # one a block
    assert {layer.momentum for layer in norms} == {0.9}
    assert len(norms) > 3 * len(silent)


@pytest.mark.parametrize("name", NAMES)
def test_an_untrained_specification_says_so_in_one_sentence(name, tmp_path):
    for command in ("summarize", "profile"):
        arguments = [command, name, *(["--tflite"] if command == "summarize" else [])]
        run = subprocess.run(
            [sys.executable, "-c", "from mltk.cli.main import main; main()", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode != 0
        assert "is not trained yet" in run.stderr
        assert "Traceback" not in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_trains_converts_and_scores(name, recordings, tmp_path, monkeypatch):
    from mltk.tflite.model import TfliteModel
    from mltk.training.train import train_model

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    results = train_model(name, test=True, dataset=str(recordings), epochs=1)
    assert results.model_path == tmp_path / f"{name}-test.mltk.zip"
    trained = load_mltk_model(results.model_path)
    assert set(results.scores) == {"float", "tflite"}
    tflite = TfliteModel.load_flatbuffer_file(str(results.tflite_path))
    specification = load_mltk_model(name)
    assert tflite.inputs[0].shape[1:] == specification.input_shape
    operators = {"keyword_spotting_numbers": 118, "keyword_spotting_alexa": 56}
    assert len(tflite.layers) == operators.get(name, len(tflite.layers))
    assert trained.classes == specification.classes
