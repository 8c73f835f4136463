"""tflite_converter: strings, TensorFlow's and numpy's objects, and what is refused. No TensorFlow needed but
in one.
"""

import enum
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from mltk.tflite.convert_options import ConverterOptions
from mltk.utils.errors import ModelError

INT8 = {
    "optimizations": ["DEFAULT"],
    "supported_ops": ["TFLITE_BUILTINS_INT8"],
    "inference_input_type": "int8",
    "inference_output_type": "int8",
    "representative_dataset": "generate",
}
EXPECTED = ConverterOptions(("DEFAULT",), ("TFLITE_BUILTINS_INT8",), "int8", "int8", True)


class _Optimize(enum.Enum):  # as tf.lite.Optimize is made
    DEFAULT = "DEFAULT"


def test_strings() -> None:
    assert ConverterOptions.from_dict(INT8) == EXPECTED


@pytest.mark.parametrize("int8", [np.int8, np.dtype("int8"), "tf.int8", "np.int8"])
def test_other_spellings(int8: Any) -> None:
    settings = {
        **INT8,
        "optimizations": _Optimize.DEFAULT,
        "supported_ops": "TFLITE_BUILTINS_INT8",
        "inference_input_type": int8,
        "inference_output_type": int8,
    }
    assert ConverterOptions.from_dict(settings) == EXPECTED


def test_tensorflow_objects() -> None:
    tf = pytest.importorskip("tensorflow")
    settings = {
        **INT8,
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
        "inference_input_type": tf.int8,
        "inference_output_type": tf.int8,
    }
    assert ConverterOptions.from_dict(settings) == EXPECTED


def test_defaults_are_a_float_model() -> None:
    assert ConverterOptions.from_dict({}) == ConverterOptions()
    assert not ConverterOptions.from_dict({"supported_ops": None}).needs_representative


def test_function_as_representative_dataset() -> None:
    assert ConverterOptions.from_dict({**INT8, "representative_dataset": lambda: []}).representative_dataset


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"optimisations": []}, 'did you mean "optimizations"'),
        ({**INT8, "optimizations": ["DEFALT"]}, 'did you mean "DEFAULT".*OPTIMIZE_FOR_SIZE'),
        ({**INT8, "inference_input_type": "int4"}, "float32, int8, uint8, int16"),
        ({**INT8, "inference_input_type": np.float64}, "inference_input_type"),
        ({**INT8, "supported_ops": ["TFLITE"]}, "TFLITE_BUILTINS_INT8"),
        ({**INT8, "representative_dataset": "generte"}, "'generate'"),
        ({**INT8, "representative_dataset": None}, "set representative_dataset = 'generate'"),
    ],
)
def test_refusals_name_the_legal_values(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        ConverterOptions.from_dict(settings)


def test_options_load_no_tensorflow() -> None:
    code = (
        "import sys, mltk.tflite.convert_options as options; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
