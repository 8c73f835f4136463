"""Train keyword_spotting_commands with several architectures and score each on speakers that it has not heard.

    python benchmarks/ten_commands.py [--architectures ds_cnn ...] [--seed N] [--epochs N] [--out DIR]

Needs the extras 'train' and 'micro' and ../shared/speech (or MLTK_SPEECH_DIR): the folders commands, words, and noise. A fifth of
the speakers and of the noise recordings is kept apart (`real_words.py`). Scored are all clips of these speakers, and the 212
recordings of _silence_, of which none is trained with: the share of the ten words' clips that is right, those of _unknown_ and
_silence_, and of all. A run that is cut goes on where it was.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_words import lay_out
from trainings import FLOAT, LITERT, TFLM, ResultFile, accuracy, score, train

from mltk.datasets.folder import BACKGROUND_NOISE, SILENCE, UNKNOWN
from mltk.models.loading import load_mltk_model
from mltk.models.shared.architectures import ARCHITECTURES
from mltk.tflite.model import TfliteModel
from mltk.utils.files import write_text

MODEL = "keyword_spotting_commands"
DEFAULT = ("ds_cnn", "bc_resnet", "tenet6")
SPECIFICATION = """from mltk.models.specifications.keyword_spotting_commands import my_model

my_model.architecture = "{}"
"""


def clips_only(test: Path) -> Path:
    """Return a folder with the words and the recorded silence, without the noise recordings."""
    only = test.parent / "test_clips"
    only.mkdir(exist_ok=True)
    for word in test.iterdir():
        if word.name != BACKGROUND_NOISE and not (only / word.name).is_symlink():
            (only / word.name).symlink_to(word)
    return only


def shares(
    classes: list[str], class_ids: NDArray[np.int64], posteriors: NDArray[Any]
) -> dict[str, float | int]:
    """Return what share of the clips is right: of the ten words', of _unknown_, of _silence_, of all."""
    meta = {name: class_ids == classes.index(name) for name in (UNKNOWN, SILENCE)}
    words = ~(meta[UNKNOWN] | meta[SILENCE])
    return {
        "words": accuracy(class_ids[words], posteriors[words]),
        **{name: accuracy(class_ids[of], posteriors[of]) for name, of in meta.items()},
        "all": accuracy(class_ids, posteriors),
    }


def one_architecture(out: Path, name: str, data: tuple[Path, Path], seed: int, epochs: int | None) -> Any:
    """Train and score one architecture."""
    specification = write_text(out / f"{MODEL}.py", SPECIFICATION.format(name))
    started = time.monotonic()
    archive = train(str(specification), out, data[0], seed, epochs)
    minutes = (time.monotonic() - started) / 60
    classes, class_ids, posteriors = score(archive, data[1])
    model: Any = load_mltk_model(archive, execute_spec=True)
    return {
        "parameters": int(model.build_model().count_params()),
        "macs": TfliteModel.load_flatbuffer_file(model.tflite_archive_path).macs,
        "minutes": minutes,
        "clips": len(class_ids),
        **{kind: shares(classes, class_ids, rows) for kind, rows in posteriors.items()},
    }


def table(results: dict[str, Any]) -> str:
    """Return a row for each architecture."""
    lines = [
        "| architecture | parameters | MACs | ten words, int8 LiteRT | _unknown_ | _silence_ | all, int8 LiteRT "
        "| all, float | all, int8 TFLM |",
        "| --- " * 9 + "|",
    ]
    for name, result in results.items():
        of = result[LITERT]
        cells = [of["words"], of[UNKNOWN], of[SILENCE], of["all"], result[FLOAT]["all"], result[TFLM]["all"]]
        shown = " | ".join(f"{cell:.3f}" for cell in cells)
        lines.append(f"| {name} | {result['parameters']:,} | {result['macs']:,} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Run the architectures that are not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="+", choices=list(ARCHITECTURES), default=DEFAULT)
    parser.add_argument("--epochs", type=int, help="instead of the specification's number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/ten_commands"))
    options = parser.parse_args()
    out = options.out.resolve() / f"seed{options.seed}-epochs{options.epochs or 'all'}"
    train_folder, test_folder = lay_out(out / "data", options.seed)
    done = ResultFile(out / "results.json")
    for name in options.architectures:
        if name not in done.results:
            data = (train_folder, clips_only(test_folder))
            done.add(name, one_architecture(out / name, name, data, options.seed, options.epochs))
            print(f"{name}: {done.results[name]}", flush=True)
    print(table({name: done.results[name] for name in options.architectures}))


if __name__ == "__main__":
    main()
