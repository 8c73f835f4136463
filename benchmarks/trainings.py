"""What the benchmarks that train share: runs that can be cut and continued, and one model scored in three ways."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.evaluation.folder import samples_of_folder
from mltk.evaluation.samples import Samples
from mltk.evaluation.stored import keras_model_of
from mltk.models.loading import load_mltk_model
from mltk.tflite.convert_quiet import load_tensorflow
from mltk.tflite.micro import TfliteMicro
from mltk.tflite.model import TfliteModel
from mltk.utils.files import write_text

FLOAT, LITERT, TFLM = "float", "int8 LiteRT", "int8 TFLM"


class ResultFile:
    """Results in a JSON file, written one by one: a run that is cut goes on behind the last one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.results: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def add(self, name: str, result: Any) -> None:
        """Keep a result."""
        self.results[name] = result
        write_text(self._path, json.dumps(self.results, indent=1) + "\n")


def train(model: str, folder: Path, dataset: Path, seed: int, epochs: int | None = None) -> Path:
    """Run `mltk train` in a folder, or go on with what was cut there; return the archive.

    Raises:
        SystemExit: it failed; its log is told.

    """
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(model).stem
    checkpoint = folder / "cache" / "models" / name / "train" / "checkpoint" / "state.npz"
    arguments = ["--resume" if checkpoint.is_file() else "--clean", "--seed", str(seed)]
    limit = ["--epochs", str(epochs)] if epochs else []
    options = ["--dataset", str(dataset), "--no-evaluate", *arguments, *limit]
    command = [sys.executable, "-c", "from mltk.cli.main import main; main()", "train", model, *options]
    environment = os.environ | {"MLTK_CACHE_DIR": str(folder / "cache")}
    with (folder / "train.log").open("a") as log:
        code = subprocess.run(
            command, cwd=folder, env=environment, stdout=log, stderr=log, check=False
        ).returncode
    if code:
        raise SystemExit(f"mltk train {name} ended with {code}: see {folder / 'train.log'}")
    return folder / f"{name}.mltk.zip"


def score(archive: Path, test: Path) -> tuple[list[str], NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Run the float model, the .tflite in LiteRT and the .tflite in TFLite-Micro over a folder's clips.

    The specification in the archive, which is ours, is executed.

    Returns:
        Classes, class ids [n] of the clips, and kind -> posteriors [n, n_classes].

    """
    load_tensorflow()
    model: Any = load_mltk_model(archive, execute_spec=True)
    samples = samples_of_folder(model, test)
    tflite = Path(model.tflite_archive_path)
    posteriors = {
        FLOAT: keras_model_of(model).predict(samples.x.astype(np.float32), batch_size=256, verbose=0),
        LITERT: TfliteModel.load_flatbuffer_file(str(tflite)).predict_batch(samples.x),
        TFLM: micro_posteriors(tflite, samples),
    }
    return list(model.classes), samples.class_ids, posteriors


def micro_posteriors(tflite: Path, samples: Samples) -> NDArray[np.float32]:
    """Return what TFLite-Micro computes, sample by sample: [n, n_classes]."""
    model = TfliteMicro.load_tflite_model(str(tflite))
    output = TfliteModel.load_flatbuffer_file(str(tflite)).outputs[0]
    rows = []
    try:
        for x in samples.x:
            model.input(value=x)
            model.invoke()
            rows.append(np.array(model.output()[0]))
    finally:
        TfliteMicro.unload_model(model)
    return output.dequantize(np.stack(rows)) if rows[0].dtype != np.float32 else np.stack(rows)


def accuracy(class_ids: NDArray[np.int64], posteriors: NDArray[Any]) -> float:
    """Return the share of clips whose class is on top."""
    return float((posteriors.argmax(axis=1) == class_ids).mean())
