"""The frontend against what TensorFlow's op gave when make_frontend_golden.py ran; needs no TensorFlow."""

import hashlib
import json
from pathlib import Path

import frontend_cases as cases
import numpy as np
import pytest

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

with np.load(Path(__file__).with_name("golden_frontend.npz"), allow_pickle=False) as file:
    GOLDEN = {name: file[name] for name in file.files}
ABOUT = json.loads(str(GOLDEN["about"]))


@pytest.mark.parametrize("number", range(len(ABOUT["cases"])))
def test_golden(number):
    case = ABOUT["cases"][number]
    settings = AudioFeatureGeneratorSettings(**case["settings"])
    clip = cases.make_clip(case["kind"], settings.sample_length, case["seed"])
    assert hashlib.sha256(clip.astype("<i2").tobytes()).hexdigest() == case["clip_sha256"], (
        "the clip is another"
    )
    got = AudioFeatureGenerator(settings).process_sample(clip, np.uint16)
    np.testing.assert_array_equal(got, GOLDEN[f"features_{number}"])


def test_the_golden_values_say_something():
    values = np.concatenate([GOLDEN[f"features_{i}"].reshape(-1) for i in range(len(ABOUT["cases"]))])
    assert len(ABOUT["cases"]) >= 30
    assert np.count_nonzero(values) > 20000
    assert len(np.unique(values)) > 1000
