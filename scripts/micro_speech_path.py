"""The path of the micro speech READMEs, as a user would type it: train, freeze, convert, C source, tests, an emulated board.

Without --data_dir the words are synthesized. Everything that is made is in one folder (docs/micro_speech.md).
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.audio.write import write_audio_file
from mltk.firmware.self_test import read_clip
from mltk.tflite.model import TfliteModel
from mltk.training.speech_commands.data import find_parts
from mltk.training.speech_commands.settings import DataSettings

WORDS = ["yes", "no"]
CLASSES = ["_silence_", "_unknown_", *WORDS]
RATE_HZ = 16000
# The READMEs' flags of the features.
FEATURES = [
    "--model_architecture=tiny_conv",
    "--window_stride=20",
    "--preprocess=micro",
    f"--wanted_words={','.join(WORDS)}",
]


class Commands:
    """Runs commands in one folder and shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> list[str]:
        """Run `mltk ARGUMENTS`; return the lines that it printed."""
        print(f"\n$ mltk {shlex.join(arguments)}", flush=True)
        command = [sys.executable, "-c", "from mltk.cli.main import main; main()", *arguments]
        environment = os.environ | {"MLTK_CACHE_DIR": str(self.folder / "cache")}
        done = subprocess.run(
            command, cwd=self.folder, check=False, env=environment, text=True, stdout=subprocess.PIPE
        )
        print(done.stdout, end="", flush=True)
        if done.returncode:
            sys.exit(f"mltk {' '.join(arguments[:2])} ended with {done.returncode}")
        return done.stdout.splitlines()


def clips_of(data: DataSettings, model: TfliteModel) -> dict[str, list[str]]:
    """Return word -> clips of the testing part, those first that the model recognizes by themselves."""
    found: dict[str, list[tuple[int, str]]] = {word: [] for word in WORDS}
    for clip in find_parts(CLASSES, data).clips["testing"]:
        word = CLASSES[clip.class_id]
        if word in found and clip.path is not None and len(found[word]) < 30:
            features = read_clip(clip.path, word, model).features
            scores = model.predict_batch(features.reshape(1, *model.inputs[0].shape[1:]))[0]
            margin = scores[clip.class_id] - np.delete(scores, clip.class_id).max()
            found[word].append((-int(1000 * margin), clip.path))
    return {word: [path for _, path in sorted(clips)] for word, clips in found.items()}


def make_stream(clips: dict[str, list[str]], path: Path) -> None:
    """Lay some clips into quiet noise, two seconds apart."""
    rng = np.random.default_rng(7)
    samples = rng.normal(0, 1e-3, 12 * RATE_HZ).astype(np.float32)
    for place, word in enumerate(["yes", "no", "yes", "no"]):
        clip, rate = read_audio_file(clips[word][place // 2 % len(clips[word])], return_sample_rate=True)
        spoken = resample(clip, rate, RATE_HZ)[: 2 * RATE_HZ]
        start = (2 + 2 * place) * RATE_HZ
        samples[start : start + len(spoken)] += np.asarray(spoken, np.float32)
    write_audio_file(path, np.clip(samples, -1, 1), RATE_HZ)


def main() -> None:
    """Go the path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("micro_speech"))
    parser.add_argument("--data_dir", type=Path, help="clips, one sub-folder a word; synthesized without it")
    parser.add_argument(
        "--steps", default="1000,200", help="--how_many_training_steps; the READMEs' are 15000,3000"
    )
    parser.add_argument("--count", type=int, default=200, help="synthesized clips of each word")
    parser.add_argument("--batch_size", default="100")
    parser.add_argument("--board", default="bluepill")
    parser.add_argument(
        "--measure", default="1.0", help="seconds of sound in which the emulator counts instructions"
    )
    parser.add_argument("--threshold", help="detection threshold of the model, 0 to 255; 200 without it")
    parser.add_argument("--validation_percentage", default="10")
    parser.add_argument("--testing_percentage", default="10")
    options = parser.parse_args()
    started = time.monotonic()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    commands = Commands(folder)

    data_dir = folder / "speech" if options.data_dir is None else options.data_dir.resolve()
    if options.data_dir is None:
        commands.run("synthesize", *WORDS, "--out", "speech", "--count", str(options.count), "--unknown", str(options.count),
                 "--noise")  # fmt: skip
    shares = ["--silence_percentage=25", "--unknown_percentage=25",
              f"--validation_percentage={options.validation_percentage}",
              f"--testing_percentage={options.testing_percentage}"]  # fmt: skip
    stages = options.steps.split(",")
    rates = ",".join(["0.001", "0.0001"][: len(stages)])
    interval = max(1, min(400, sum(map(int, stages)) // 2))
    commands.run("speech_commands", "train", *FEATURES, *shares, "--quantize=1", "--verbosity=INFO",
             f"--how_many_training_steps={options.steps}", f"--learning_rate={rates}", "--summaries_dir=retrain_logs",
             f"--data_dir={data_dir}", "--train_dir=speech_commands_train", f"--eval_step_interval={interval}",
             f"--batch_size={options.batch_size}")  # fmt: skip
    last = sum(map(int, stages))
    commands.run("speech_commands", "freeze", *FEATURES, "--quantize=1", "--output_file=tiny_conv.pb",
             f"--start_checkpoint=speech_commands_train/tiny_conv.ckpt-{last}")  # fmt: skip
    commands.run("speech_commands", "convert", "--graph_def_file=tiny_conv.pb", "--output_file=tiny_conv.tflite",
             "--input_shapes=1,49,40,1", "--input_arrays=Reshape_2", "--output_arrays=labels_softmax",
             "--inference_type=QUANTIZED_UINT8", "--mean_values=0", "--std_dev_values=9.8077")  # fmt: skip
    commands.run("compile", "tiny_conv.tflite", "--format", "array", "--name", "tiny_conv_micro_features_model_data",
             "-o", "micro_features")  # fmt: skip
    commands.run("compile", "tiny_conv.tflite", "--target", "cortex-m3", "-o", "tiny_conv-c")
    commands.run(
        "speech_commands", "test", "--model_file=tiny_conv.tflite", f"--data_dir={data_dir}", *shares
    )

    data = DataSettings(
        data_dir=str(data_dir),
        validation_percentage=float(options.validation_percentage),
        testing_percentage=float(options.testing_percentage),
    )
    clips = clips_of(data, TfliteModel.load_flatbuffer_file(folder / "tiny_conv.tflite"))
    labelled = [f"{word}={clips[word][0]}" for word in WORDS]
    for word in WORDS:
        commands.run("speech_commands", "wav_to_features", f"--input_wav={clips[word][0]}",
                 f"--output_c_file={word}_features_data.cc", "--window_stride=20", "--preprocess=average",
                 "--quantize=1")  # fmt: skip
    commands.run("speech_commands", "test_micro_speech", "tiny_conv.tflite", *labelled)
    commands.run(
        "speech_commands", "test_micro_speech", "tiny_conv.tflite", *labelled, "--board", options.board
    )

    if options.threshold is not None:
        commands.run("update_params", "tiny_conv.tflite", f"detection_threshold={options.threshold}")
    make_stream(clips, folder / "stream.wav")
    here = commands.run("classify_audio", "tiny_conv.tflite", "--audio", "stream.wav")
    there = commands.run("run", "tiny_conv.tflite", "--audio", "stream.wav", "--board", options.board, "--measure",
                     options.measure)  # fmt: skip
    heard = [[line for line in lines if line.startswith("Heard ")] for lines in (here, there)]
    if heard[0] != heard[1]:
        sys.exit(f"The emulated {options.board} heard something else than this computer")
    print(f"\nThe emulated {options.board} heard what this computer hears: {len(heard[1])} words.")
    print(f"Everything is in {folder} ({time.monotonic() - started:.0f} s).")


if __name__ == "__main__":
    main()
