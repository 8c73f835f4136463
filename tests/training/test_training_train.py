"""A whole training: what it makes, that it repeats, resumes, and stops as users expect."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

from training_models import write_specification

from mltk.tflite.model import TfliteModel
from mltk.training.train import train_model
from mltk.utils.errors import MltkError, ModelError, TrainingError

COMMAND = [sys.executable, "-c", "from mltk.cli.main import main; main()"]


def history_of(archive: Path) -> dict[str, Any]:
    with zipfile.ZipFile(archive) as source:
        content: dict[str, Any] = json.loads(source.read("train/training-history.json"))
    return content


def test_archive_holds_all_of_a_training(trained: Any) -> None:
    plots = [f"tones-{p}.png" for p in ("confusion_matrix", "fpr", "tpr", "roc", "precision_vs_recall")]
    expected = {
        "tones.py",
        "tones.keras",
        "tones.tflite",
        "tones.float32.tflite",
        "tones.h5.summary.txt",
        "tones.tflite.summary.txt",
        "train/log.txt",
        "train/training-history.json",
        "train/training-history.png",
        *(
            f"eval/{kind}/{name}"
            for kind in ("h5", "tflite")
            for name in ["eval-results.json", "summary.txt", *plots]
        ),
    }
    with zipfile.ZipFile(trained.archive) as source:
        assert set(source.namelist()) == expected
        assert source.read("tones.py") == trained.specification.read_bytes()
        assert b"Best" not in source.read("tones.py")
        assert b"Epoch 6/6" in source.read("train/log.txt")
        assert b"Total params" in source.read("tones.h5.summary.txt")
        assert b"conv_2d" in source.read("tones.tflite.summary.txt")


def test_history(trained: Any) -> None:
    content = history_of(trained.archive)
    assert content["epochs"] == list(range(6))
    assert content["params"].items() >= {"epochs": 6, "seed": 5, "verbose": 0, "steps": 4}.items()
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "lr"} == set(content["history"])
    assert all(len(values) == 6 for values in content["history"].values())
    assert trained.results.best == max(content["history"]["val_accuracy"])
    assert not any(str(trained.folder) in str(value) for value in content["params"].values()), (
        "no local paths"
    )


def test_results_read_as_a_report(trained: Any) -> None:
    text = str(trained.results)
    assert text.startswith("Trained tones: 6 epochs\nBest val_accuracy: ")
    assert re.search(r"^accuracy +float32 +int8\nall +\d+\.\d% +\d+\.\d%\nlow ", text, re.MULTILINE)
    assert f"Archive: {trained.archive}" in text


def test_model_learned_and_int8_follows(trained: Any) -> None:
    scores = trained.results.scores
    assert scores["float"].overall_accuracy > 0.8
    assert scores["tflite"].overall_accuracy == pytest.approx(scores["float"].overall_accuracy, abs=0.15)


def test_tflite_carries_the_settings(trained: Any) -> None:
    model = TfliteModel.load_flatbuffer_file(trained.results.tflite_path)
    parameters = model.parameters
    assert list(parameters)[:7] == [
        "name",
        "version",
        "description",
        "classes",
        "hash",
        "date",
        "runtime_memory_size",
    ]
    assert (parameters["name"], parameters["version"], parameters["detection_threshold"]) == ("tones", 3, 100)
    assert parameters["classes"] == ["low", "high", "_silence_"]
    assert parameters["fe.filterbank_n_channels"] == 16
    assert (model.inputs[0].scale, model.inputs[0].zero_point) == (1.0, 0)
    from mltk.tflite.micro import is_available

    assert (parameters["runtime_memory_size"] > 500) == is_available()


def test_kept_weights_are_those_of_the_best_epoch(trained: Any) -> None:
    from mltk.evaluation.stored import validation_file
    from mltk.models.loading import load_mltk_model

    model = load_mltk_model(trained.archive)
    with np.load(validation_file(model)) as stored:
        x, y = stored["x"], stored["y"]
    posteriors = trained.results.keras_model.predict(x.astype(np.float32), verbose=0)
    accuracy = np.mean(posteriors.argmax(axis=1) == y.argmax(axis=1))
    assert accuracy == pytest.approx(trained.results.best)


def test_the_same_seed_gives_the_same_model(trained: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    specification = write_specification(tmp_path, trained.dataset)
    again = train_model(str(specification), epochs=6, seed=5, evaluate=False)
    assert again.history == trained.results.history
    expected = TfliteModel.load_flatbuffer_file(trained.results.tflite_path)
    model = TfliteModel.load_flatbuffer_file(again.tflite_path)
    x = np.random.default_rng(0).integers(-128, 127, (20, *model.inputs[0].shape[1:])).astype(np.int8)
    np.testing.assert_array_equal(model.predict_batch(x), expected.predict_batch(x))
    other = train_model(str(specification), epochs=1, seed=6, evaluate=False, clean=True)
    assert other.history["loss"][0] != again.history["loss"][0]


def test_dry_run_has_files_of_its_own(trained: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    specification = write_specification(tmp_path, trained.dataset)
    results = train_model(str(specification), test=True)
    assert results.epochs == 3
    assert results.model_path.name == "tones-test.mltk.zip"
    with zipfile.ZipFile(results.model_path) as source:
        names = set(source.namelist())
    assert names >= {"tones.py", "tones.test.keras", "tones.test.tflite", "tones.test.tflite.summary.txt"}
    assert not (tmp_path / "tones.mltk.zip").exists()


def run_and_signal(
    arguments: list[str], environment: dict[str, str], after: str, how: int
) -> tuple[int, str]:
    """Run the command line; send a signal once it has written `after`."""
    text = ""
    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            text += line
            if after and after in line:
                process.send_signal(how)
                after = ""
    return process.returncode, text


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_resume_after_kill_is_as_if_nothing_happened(trained: Any, tmp_path: Path) -> None:
    specification = write_specification(tmp_path, trained.dataset)
    environment = os.environ | {"MLTK_CACHE_DIR": str(tmp_path / "cache")}
    arguments = ["train", str(specification), "--epochs", "6", "--seed", "5", "--no-evaluate"]
    code, _ = run_and_signal(arguments, environment, "Epoch 2/6", signal.SIGKILL)
    assert code == -signal.SIGKILL
    archive = tmp_path / "tones.mltk.zip"
    assert not archive.exists()
    arguments = [arg for arg in [*arguments, "--resume"] if arg not in ("--seed", "5", "--epochs", "6")]
    code, text = run_and_signal(arguments, environment, "", 0)
    assert code == 0, text
    assert "Epoch 1/6" not in text
    history = history_of(archive)
    expected = history_of(trained.archive)
    for metric, values in expected["history"].items():
        assert history["history"][metric] == pytest.approx(values, abs=1e-5), metric
    assert history["params"]["seed"] == 5


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_keeps_the_best_so_far(trained: Any, tmp_path: Path) -> None:
    specification = write_specification(tmp_path, trained.dataset)
    environment = os.environ | {"MLTK_CACHE_DIR": str(tmp_path / "cache")}
    arguments = ["train", str(specification), "--epochs", "5000", "--no-evaluate"]
    code, text = run_and_signal(arguments, environment, "Epoch 2/", signal.SIGINT)
    assert code == 0, text
    assert "Stopped by Ctrl-C" in text
    assert "stopped by Ctrl-C" in text.split("Trained tones: ")[1]
    assert "Traceback" not in text
    assert (tmp_path / "tones.mltk.zip").is_file()


def test_resume_of_nothing_or_damage_is_told(trained: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    specification = str(write_specification(tmp_path, trained.dataset))
    with pytest.raises(TrainingError, match="no training to resume"):
        train_model(specification, resume=True)
    state = tmp_path / "cache" / "models" / "tones" / "train" / "checkpoint" / "state.npz"
    state.parent.mkdir(parents=True)
    source = trained.folder / "cache" / "models" / "tones" / "train" / "checkpoint" / "state.npz"
    data = source.read_bytes()
    for cut in (0, 100, len(data) // 2, len(data) - 30):
        state.write_bytes(data[:cut])
        with pytest.raises(TrainingError, match=r"state\.npz is damaged"):
            train_model(specification, resume=True)
    state.write_bytes(data)
    with pytest.raises(TrainingError, match="has seed 5, not 6"):
        train_model(specification, resume=True, seed=6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"epochs": 0}, "--epochs is 0"),
        ({"epochs": -2}, "--epochs is -2"),
        ({"resume": True, "clean": True}, "--clean removes"),
        ({"resume": True, "weights": "x.weights.h5"}, "leave out --weights"),
        ({"weights": "missing.weights.h5"}, "no weights at missing"),
        ({"dataset": "/missing/folder"}, "no data set folder at /missing/folder"),
    ],
)
def test_refusals(
    trained: Any, tmp_path: Path, monkeypatch: Any, settings: dict[str, Any], told: str
) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(MltkError, match=told):
        train_model(str(write_specification(tmp_path, trained.dataset)), **settings)
    assert not (tmp_path / "tones.mltk.zip").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Dense(model.n_classes", "Dense(7", "has 7 outputs for its 3 classes"),
        ("keras_model.compile(", "dict(", "did not compile"),
        (
            "patience=50)",
            'patience=50)\nmy_model.checkpoint["monitor"] = "val_acuracy"',
            'did you mean "val_accuracy"',
        ),
        ("patience=1)", "patience=1, factor_=2)", "factor_"),
        ("Adam(0.02)", "Adam(1e30)", "loss became"),
        (
            "my_model.epochs = 3",
            'my_model.epochs = 3\nmy_model.train_kwargs = {"verbose": 1}',
            "train_kwargs",
        ),
    ],
)
def test_wrong_specifications_are_told(
    trained: Any, tmp_path: Path, monkeypatch: Any, old: str, new: str, told: str
) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    path = write_specification(tmp_path, trained.dataset)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises((ModelError, TrainingError), match=told):
        train_model(str(path))


def test_post_calls_the_specification(trained: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    path = write_specification(tmp_path, trained.dataset)
    path.write_text(
        path.read_text()
        + "\nfrom pathlib import Path\n"
        + "my_model.on_training_complete = lambda results: Path('post.txt').write_text(results.name)\n"
    )
    monkeypatch.chdir(tmp_path)
    train_model(str(path), epochs=1, evaluate=False)
    assert not Path("post.txt").exists()
    train_model(str(path), epochs=1, evaluate=False, post=True)
    assert Path("post.txt").stat().st_size > 0
