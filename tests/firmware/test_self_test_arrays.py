"""Models and spectrograms as C arrays: what a compiler reads is what was written."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from self_test_models import make_model
from typer.testing import CliRunner

from mltk.audio.write import write_audio_file
from mltk.cli.main import make_app
from mltk.firmware.feature_array import clip_features
from mltk.training.speech_commands.settings import FeatureSettings
from mltk.utils.errors import MltkError

FLAGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion"]


def compiler() -> str:
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler on this machine")
    return found


def run_c(folder: Path, sources: list[str], main: str, language: list[str]) -> bytes:
    """Compile files with a main and return what it writes."""
    (folder / "main.c").write_text(main)
    program = folder / "program"
    command = [compiler(), *FLAGS, *language, "main.c", *sources, "-o", str(program)]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run([str(program)], check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    "language", [["-x", "c", "-std=c99"], ["-x", "c", "-std=c11"], ["-x", "c++", "-std=c++11"]]
)
def test_a_compiler_reads_the_models_bytes(tmp_path: Path, language: list[str]) -> None:
    model = make_model()
    path = tmp_path / "levels.tflite"
    path.write_bytes(model.flatbuffer_data)
    arguments = ["compile", str(path), "--format", "array", "-o", str(tmp_path / "arrays")]
    result = CliRunner().invoke(make_app(), arguments)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        str(tmp_path / "arrays" / f"levels_model_data.{end}") for end in ("cc", "h")
    ]
    main = """
#include <stdint.h>
#include <stdio.h>
#include "levels_model_data.h"
int main(void) {
  if (((uintptr_t)g_levels_model_data & 15u) != 0) return 1;
  return fwrite(g_levels_model_data, 1, (size_t)g_levels_model_data_len, stdout) ? 0 : 1;
}
"""
    assert run_c(tmp_path / "arrays", ["levels_model_data.cc"], main, language) == model.flatbuffer_data


@pytest.mark.parametrize(
    ("name", "array", "file"),
    [
        (
            "tiny_conv_micro_features_model_data",
            "g_tiny_conv_micro_features_model_data",
            "tiny_conv_micro_features_model_data",
        ),
        ("g_model", "g_model", "model"),
    ],
)
def test_names_of_the_readmes(tmp_path: Path, name: str, array: str, file: str) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(make_model().flatbuffer_data)
    arguments = ["compile", str(path), "--format=array", "--name", name, "-o", str(tmp_path)]
    assert CliRunner().invoke(make_app(), arguments).exit_code == 0
    source = (tmp_path / f"{file}.cc").read_text()
    assert f"const unsigned char {array}[] = {{\n  0x" in source
    assert f"const int {array}_len = {len(make_model().flatbuffer_data)};" in source
    assert f"extern const int {array}_len;" in (tmp_path / f"{file}.h").read_text()


def test_wrong_formats_and_names_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(make_model(name="*/ int x; /*").flatbuffer_data)
    for extra, told in (
        (["--format", "elf"], "--format is 'elf'"),
        (["--format=array", "--name", "a b"], "'g_a b'"),
    ):
        result = CliRunner().invoke(make_app(), ["compile", str(path), *extra, "-o", str(tmp_path / "c")])
        assert isinstance(result.exception, MltkError)
        assert told in str(result.exception)
    assert not (tmp_path / "c").exists()
    result = CliRunner().invoke(
        make_app(), ["compile", str(path), "--format=array", "-o", str(tmp_path / "c")]
    )
    assert result.exit_code == 0
    source = next((tmp_path / "c").glob("*.cc")).read_text()
    assert source.count("*/") == 1


@pytest.mark.parametrize(
    ("kind", "quantize", "c_type", "size", "width"),
    [
        ("average", "1", "unsigned char", 1, 43),
        ("micro", "1", "signed char", 1, 40),
        ("mfcc", "1", "unsigned char", 1, 40),
        ("average", "0", "float", 4, 43),
    ],
)
def test_a_compiler_reads_the_spectrogram(
    tmp_path: Path, kind: str, quantize: str, c_type: str, size: int, width: int
) -> None:
    clip = tmp_path / "f2e59fea_nohash_1.wav"
    samples = np.random.default_rng(8).uniform(-0.5, 0.5, 14000).astype(np.float32)
    write_audio_file(str(clip), samples, 16000)
    arguments = [
        "speech_commands", "wav_to_features", f"--input_wav={clip}", "--output_c_file", str(tmp_path / "yes_data.cc"),
        "--window_stride=20", f"--preprocess={kind}", f"--quantize={quantize}",
    ]  # fmt: skip
    result = CliRunner().invoke(make_app(), arguments)
    assert result.exit_code == 0, result.output
    name = "g_f2e59fea_nohash_1"
    main = f"""
#include <stdio.h>
#include "yes_data.h"
int main(void) {{
  const {c_type} *data = {name}_data;
  return fwrite(data, {size}, (size_t)({name}_width * {name}_height), stdout) == {width * 49} ? 0 : 1;
}}
"""
    data = run_c(tmp_path, ["yes_data.cc"], main, ["-x", "c", "-std=c99"])
    settings = FeatureSettings(preprocess=kind, window_stride_ms=20, quantize=quantize == "1")
    expected = clip_features(clip, settings)
    assert expected.shape == (49, width)
    if c_type == "unsigned char":
        expected = (expected.astype(int) + 128).astype(np.uint8)
    assert data == expected.tobytes()
