"""`mltk speech_commands`: TensorFlow's Speech Commands scripts with their flags."""

import logging
from typing import Annotated, Any

import typer

HELP = """Train, freeze and test a net with the flags of TensorFlow's Speech Commands scripts.

docs/micro_speech.md in the sources tells how.
"""

Words = Annotated[str, typer.Option("--wanted_words", help="Words to recognize, with commas between them.")]
Architecture = Annotated[str, typer.Option("--model_architecture", help="Net: tiny_conv, conv, ds_cnn, ...")]
SampleRate = Annotated[int, typer.Option("--sample_rate", help="Sample rate of the clips in Hz.")]
ClipDuration = Annotated[int, typer.Option("--clip_duration_ms", help="Length of a clip.")]
WindowSize = Annotated[float, typer.Option("--window_size_ms", help="Length of a window of the spectrogram.")]
WindowStride = Annotated[
    float, typer.Option("--window_stride_ms", "--window_stride", help="From one window to the next.")
]
BinCount = Annotated[
    int, typer.Option("--feature_bin_count", "--dct_coefficient_count", help="Features of a window.")
]
Preprocess = Annotated[str, typer.Option("--preprocess", help="Features: micro, average or mfcc.")]
Quantize = Annotated[
    str, typer.Option("--quantize", metavar="BOOL", help="1: for a device, with int8 features.")
]
Verbosity = Annotated[str, typer.Option("--verbosity", help="DEBUG, INFO, WARN, ERROR or FATAL.")]
DataDir = Annotated[str, typer.Option("--data_dir", help="Folder with one sub-folder of clips per word.")]
Silence = Annotated[
    float, typer.Option("--silence_percentage", help="Clips of silence, in percent of those of the words.")
]
Unknown = Annotated[
    float,
    typer.Option("--unknown_percentage", help="Clips of other words, in percent of those of the words."),
]
Validation = Annotated[
    float, typer.Option("--validation_percentage", help="Share of the speakers that validates.")
]
Testing = Annotated[float, typer.Option("--testing_percentage", help="Share of the speakers that tests.")]
Given = Annotated[str | None, typer.Option(help="As in the training; not needed.")]

SPEECH_COMMANDS_URL = (
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
)
WORDS = "yes,no,up,down,left,right,on,off,stop,go"


def train(
    *,
    data_url: Annotated[
        str, typer.Option("--data_url", help="Fetched into --data_dir where that is empty; '' for never.")
    ] = SPEECH_COMMANDS_URL,
    data_dir: DataDir = "/tmp/speech_dataset/",
    background_volume: Annotated[
        float, typer.Option("--background_volume", help="How loud background noise is at most, 0 to 1.")
    ] = 0.1,
    background_frequency: Annotated[
        float, typer.Option("--background_frequency", help="Share of the clips that get it.")
    ] = 0.8,
    silence_percentage: Silence = 10.0,
    unknown_percentage: Unknown = 10.0,
    time_shift_ms: Annotated[
        float, typer.Option("--time_shift_ms", help="Clips are moved by up to so much.")
    ] = 100.0,
    warmup_ms: Annotated[
        int,
        typer.Option(
            "--warmup_ms", help="Up to so much sound before each clip, as in a stream; 0: the scripts'."
        ),
    ] = 0,
    testing_percentage: Testing = 10,
    validation_percentage: Validation = 10,
    sample_rate: SampleRate = 16000,
    clip_duration_ms: ClipDuration = 1000,
    window_size_ms: WindowSize = 30.0,
    window_stride_ms: WindowStride = 10.0,
    feature_bin_count: BinCount = 40,
    how_many_training_steps: Annotated[
        str, typer.Option("--how_many_training_steps", help="Steps of each stage.")
    ] = "15000,3000",
    eval_step_interval: Annotated[
        int, typer.Option("--eval_step_interval", help="Steps from one validation to the next.")
    ] = 400,
    learning_rate: Annotated[
        str, typer.Option("--learning_rate", help="Learning rate of each stage.")
    ] = "0.001,0.0001",
    batch_size: Annotated[int, typer.Option("--batch_size", help="Clips a step.")] = 100,
    summaries_dir: Annotated[
        str, typer.Option("--summaries_dir", help="Folder for TensorBoard; '' for none.")
    ] = "/tmp/retrain_logs",
    wanted_words: Words = WORDS,
    train_dir: Annotated[
        str, typer.Option("--train_dir", help="Folder for checkpoints.")
    ] = "/tmp/speech_commands_train",
    save_step_interval: Annotated[
        int, typer.Option("--save_step_interval", help="Steps from one checkpoint to the next.")
    ] = 100,
    start_checkpoint: Annotated[
        str, typer.Option("--start_checkpoint", help="Go on from this checkpoint.")
    ] = "",
    model_architecture: Architecture = "conv",
    check_nans: Annotated[
        str, typer.Option("--check_nans", metavar="BOOL", help="Always done.", hidden=True)
    ] = "0",
    quantize: Quantize = "0",
    preprocess: Preprocess = "mfcc",
    optimizer: Annotated[
        str, typer.Option("--optimizer", help="adam, gradient_descent (the scripts') or momentum.")
    ] = "adam",
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything that is random.")] = 42,
    cores: Annotated[
        float, typer.Option("--cores", help="Worker processes, or up to 1.0 a share; 0: none.")
    ] = 0.5,
    verbosity: Verbosity = "INFO",
) -> None:
    """Train a net in stages of steps; checkpoints go to TRAIN_DIR/ARCHITECTURE.ckpt-STEP."""
    from mltk.training.speech_commands.settings import (
        DataSettings,
        FeatureSettings,
        ModelSettings,
        TrainSettings,
        parse_schedule,
    )

    _set_verbosity(verbosity)
    _parse_bool("check_nans", check_nans)
    settings = TrainSettings(
        model=ModelSettings(
            features=FeatureSettings(
                sample_rate=sample_rate,
                clip_duration_ms=clip_duration_ms,
                window_size_ms=window_size_ms,
                window_stride_ms=window_stride_ms,
                feature_bin_count=feature_bin_count,
                preprocess=preprocess,
                quantize=_parse_bool("quantize", quantize),
            ),
            wanted_words=_words(wanted_words),
            model_architecture=model_architecture,
        ),
        data=DataSettings(
            data_dir=data_dir,
            silence_percentage=silence_percentage,
            unknown_percentage=unknown_percentage,
            validation_percentage=validation_percentage,
            testing_percentage=testing_percentage,
        ),
        schedule=parse_schedule(how_many_training_steps, learning_rate),
        train_dir=train_dir,
        summaries_dir=summaries_dir,
        start_checkpoint=start_checkpoint,
        optimizer=optimizer,
        batch_size=batch_size,
        background_volume=background_volume,
        background_frequency=background_frequency,
        time_shift_ms=time_shift_ms,
        warmup_ms=warmup_ms,
        eval_step_interval=eval_step_interval,
        save_step_interval=save_step_interval,
        seed=seed,
        cores=cores if cores <= 1 else int(cores),
    )
    _fetch(data_url, data_dir)
    from mltk.tflite.convert_quiet import load_tensorflow

    load_tensorflow()
    from mltk.training.speech_commands.train import train as run

    results = run(settings)
    if results.test is not None:
        _print_scores(results.test)
    print(f"Checkpoint: {results.checkpoint.with_suffix('')}")


def freeze(
    *,
    start_checkpoint: Annotated[
        str, typer.Option("--start_checkpoint", help="TRAIN_DIR/tiny_conv.ckpt-18000.")
    ],
    output_file: Annotated[
        str,
        typer.Option(
            "--output_file", help="NAME.mltk.zip or NAME.tflite; for NAME.pb NAME.mltk.zip is written."
        ),
    ],
    data_dir: Annotated[
        str | None,
        typer.Option("--data_dir", help="Clips for int8 ranges, where the training's are gone."),
    ] = None,
    wanted_words: Annotated[
        str | None, typer.Option("--wanted_words", help="As in the training, or none.")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option("--sample_rate", help="As in the training, or none.")
    ] = None,
    clip_duration_ms: Annotated[
        int | None, typer.Option("--clip_duration_ms", help="As in the training, or none.")
    ] = None,
    clip_stride_ms: Annotated[
        int | None, typer.Option("--clip_stride_ms", help="Without effect.", hidden=True)
    ] = None,
    window_size_ms: Annotated[
        float | None, typer.Option("--window_size_ms", help="As in the training, or none.")
    ] = None,
    window_stride_ms: Annotated[
        float | None,
        typer.Option("--window_stride_ms", "--window_stride", help="As in the training, or none."),
    ] = None,
    feature_bin_count: Annotated[
        int | None,
        typer.Option("--feature_bin_count", "--dct_coefficient_count", help="As in the training, or none."),
    ] = None,
    model_architecture: Annotated[
        str | None, typer.Option("--model_architecture", help="As in the training, or none.")
    ] = None,
    quantize: Annotated[
        str | None, typer.Option("--quantize", metavar="BOOL", help="As in the training, or none.")
    ] = None,
    preprocess: Annotated[
        str | None, typer.Option("--preprocess", help="As in the training, or none.")
    ] = None,
    verbosity: Verbosity = "INFO",
) -> None:
    """Make a model of a checkpoint: an archive with the float model and its .tflite."""
    _set_verbosity(verbosity)
    del clip_stride_ms
    flags: dict[str, Any] = {
        "wanted_words": None if wanted_words is None else _words(wanted_words),
        "sample_rate": sample_rate,
        "clip_duration_ms": clip_duration_ms,
        "window_size_ms": window_size_ms,
        "window_stride_ms": window_stride_ms,
        "feature_bin_count": feature_bin_count,
        "model_architecture": model_architecture,
        "quantize": None if quantize is None else _parse_bool("quantize", quantize),
        "preprocess": preprocess,
    }
    from mltk.tflite.convert_quiet import load_tensorflow

    load_tensorflow()
    from mltk.training.speech_commands.freeze import freeze as run

    print(run(start_checkpoint, output_file, flags, data_dir))


def convert(
    *,
    graph_def_file: Annotated[
        str, typer.Option("--graph_def_file", "--input_file", help="What freeze wrote.")
    ],
    output_file: Annotated[str, typer.Option("--output_file", help="The .tflite to write.")],
    inference_type: Annotated[
        str | None, typer.Option("--inference_type", help="FLOAT or QUANTIZED_UINT8 (int8 here).")
    ] = None,
    input_shapes: Annotated[
        str | None, typer.Option("--input_shapes", help="Checked: such as 1,49,40,1.")
    ] = None,
    input_arrays: Annotated[str | None, typer.Option("--input_arrays", hidden=True)] = None,
    output_arrays: Annotated[str | None, typer.Option("--output_arrays", hidden=True)] = None,
    mean_values: Annotated[str | None, typer.Option("--mean_values", hidden=True)] = None,
    std_values: Annotated[str | None, typer.Option("--std_dev_values", "--std_values", hidden=True)] = None,
) -> None:
    """Take the .tflite out of a frozen model; takes the flags of TensorFlow's toco.

    What --input_arrays, --output_arrays, --mean_values and --std_dev_values told toco, the model knows by itself.
    """
    from mltk.training.speech_commands.frozen import convert as run

    del input_arrays, output_arrays, mean_values, std_values

    print(run(graph_def_file, output_file, inference_type, input_shapes))


def wav_to_features(
    *,
    input_wav: Annotated[str, typer.Option("--input_wav", help="The clip: any audio file.")],
    output_c_file: Annotated[
        str | None, typer.Option("--output_c_file", help="C source; NAME_features_data.cc without it.")
    ] = None,
    sample_rate: SampleRate = 16000,
    clip_duration_ms: ClipDuration = 1000,
    window_size_ms: WindowSize = 30.0,
    window_stride_ms: WindowStride = 10.0,
    feature_bin_count: BinCount = 40,
    quantize: Quantize = "0",
    preprocess: Preprocess = "mfcc",
    verbosity: Verbosity = "INFO",
) -> None:
    """Write the spectrogram of a clip as a C array, with a header beside it."""
    from mltk.firmware.feature_array import write_features
    from mltk.training.speech_commands.settings import FeatureSettings

    _set_verbosity(verbosity)
    features = FeatureSettings(
        sample_rate=sample_rate,
        clip_duration_ms=clip_duration_ms,
        window_size_ms=window_size_ms,
        window_stride_ms=window_stride_ms,
        feature_bin_count=feature_bin_count,
        preprocess=preprocess,
        quantize=_parse_bool("quantize", quantize),
    )
    print(write_features(input_wav, features, output_c_file))


def score(
    *,
    start_checkpoint: Annotated[
        str | None, typer.Option("--start_checkpoint", help="Score this checkpoint ...")
    ] = None,
    model_file: Annotated[
        str | None, typer.Option("--model_file", help="... or this .tflite or archive that freeze made.")
    ] = None,
    data_dir: DataDir = "/tmp/speech_dataset/",
    silence_percentage: Silence = 10.0,
    unknown_percentage: Unknown = 10.0,
    testing_percentage: Testing = 10,
    validation_percentage: Validation = 10,
    part: Annotated[str, typer.Option("--part", help="testing, validation or training.")] = "testing",
    engine: Annotated[
        str, typer.Option("--engine", help="What runs a .tflite: litert, tflm or native.")
    ] = "litert",
    verbosity: Verbosity = "INFO",
) -> None:
    """Print the accuracy on the testing part."""
    from mltk.training.speech_commands.score import score_checkpoint, score_tflite
    from mltk.training.speech_commands.settings import DataSettings
    from mltk.utils.errors import TrainingError

    _set_verbosity(verbosity)
    data = DataSettings(
        data_dir=data_dir,
        silence_percentage=silence_percentage,
        unknown_percentage=unknown_percentage,
        validation_percentage=validation_percentage,
        testing_percentage=testing_percentage,
    )
    if part not in ("testing", "validation", "training"):
        raise TrainingError(f"--part is '{part}': it can be testing, validation or training")
    if (start_checkpoint is None) == (model_file is None):
        raise TrainingError("Give either --start_checkpoint or --model_file")
    if model_file is not None:
        _print_scores(score_tflite(model_file, data, engine, part), part)
    else:
        _print_scores(score_checkpoint(str(start_checkpoint), data, part), part)


def self_test(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained int8 model, or a .tflite file.")],
    clips: Annotated[
        list[str],
        typer.Argument(
            help="Audio files: LABEL=FILE, or FILE in a folder with the label's name.", metavar="CLIP..."
        ),
    ],
    *,
    target: Annotated[
        str,
        typer.Option("--target", help="host, or a processor such as cortex-m3: an emulated board with it."),
    ] = "host",
    board: Annotated[str | None, typer.Option("--board", help="An emulated board, such as bluepill.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Keep the program's C source in this folder.")
    ] = None,
) -> None:
    """Build a C program with the model and the spectrograms of clips in it, and run it here or on an emulated chip."""
    from mltk.firmware.self_test import make_self_test, passed, read_clip
    from mltk.models.loading import resolve_tflite
    from mltk.tflite.model import TfliteModel

    data, name = resolve_tflite(model)
    tflite = TfliteModel(data, path=name)
    chosen = [read_clip(path, label, tflite) for label, path in map(_labelled, clips)]
    test = make_self_test(tflite, chosen, _board(target, board))
    if output is not None:
        test.write(output)
    lines = test.run()
    print("\n".join(lines))
    if not passed(lines):
        raise typer.Exit(1)


COMMANDS = {
    "train": train,
    "freeze": freeze,
    "convert": convert,
    "wav_to_features": wav_to_features,
    "test": score,
    "test_micro_speech": self_test,
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def _parse_bool(name: str, text: str) -> bool:
    from mltk.utils.errors import TrainingError

    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    if text.lower() not in values:
        raise TrainingError(f"--{name} is '{text}': it can be 1 or 0")
    return values[text.lower()]


def _set_verbosity(text: str) -> None:
    from mltk.utils.errors import TrainingError
    from mltk.utils.logging import get_logger

    levels = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}
    known = {**levels, "WARNING": logging.WARNING, "FATAL": logging.CRITICAL}
    if text.upper() not in known:
        raise TrainingError(f"--verbosity is '{text}': it can be {', '.join(levels)} or FATAL")
    get_logger().setLevel(known[text.upper()])


def _fetch(data_url: str, data_dir: str) -> None:
    """Download and unpack the clips where none are."""
    from pathlib import Path

    folder = Path(data_dir)
    if not data_url or (folder.is_dir() and any(folder.iterdir())):
        return
    from mltk.datasets.audio.speech_commands import speech_commands_v2

    if data_url == SPEECH_COMMANDS_URL:
        speech_commands_v2.load_data(data_dir)
        return
    from mltk.utils.archive_downloader import download_verify_extract

    download_verify_extract(data_url, dest_dir=data_dir, show_progress=True)


def _print_scores(results: Any, part: str = "testing") -> None:
    n_samples = sum(map(sum, results.confusion_matrix))
    print(f"Confusion Matrix:\n{results.confusion_table()}")
    title = "Final test" if part == "testing" else part.capitalize()
    print(f"{title} accuracy = {100 * results.overall_accuracy:.1f}% (N={n_samples})")


def _labelled(clip: str) -> tuple[str, str]:
    """Return (label, path) of LABEL=FILE or FOLDER/FILE."""
    from pathlib import Path

    label, separator, path = clip.partition("=")
    if separator and not Path(clip).exists():
        return label, path
    return Path(clip).resolve().parent.name, clip


def _board(target: str, board: str | None) -> Any:
    """Return the board that is meant, None for this computer."""
    from mltk.firmware.boards import board_of, find_board
    from mltk.firmware.targets import HOST, find_target
    from mltk.utils.errors import DeviceError

    is_host = target.lower() == HOST
    if board is not None and not is_host:
        raise DeviceError("--target and --board exclude each other: a board has its processor")
    if board is not None:
        return find_board(board)
    return None if is_host else board_of(find_target(target))
