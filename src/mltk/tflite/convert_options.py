"""What the user wants of the conversion: the `tflite_converter` dictionary of a specification, checked.

Source of the keys: formats.md, "Model attributes". The values may be strings or the objects of TensorFlow and
numpy that the strings name; nothing here needs TensorFlow, so that a wrong value is told before it is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mltk.utils.errors import ModelError
from mltk.utils.text import suggestion

OPTIMIZATIONS = ("DEFAULT", "OPTIMIZE_FOR_SIZE", "OPTIMIZE_FOR_LATENCY", "EXPERIMENTAL_SPARSITY")
OPS_SETS = (
    "TFLITE_BUILTINS",
    "TFLITE_BUILTINS_INT8",
    "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8",
    "SELECT_TF_OPS",
)
INFERENCE_TYPES = ("float32", "int8", "uint8", "int16")
KEYS = (
    "optimizations",
    "supported_ops",
    "inference_input_type",
    "inference_output_type",
    "representative_dataset",
    "generate_unquantized",
    "experimental_new_converter",
    "experimental_new_quantizer",
)


@dataclass(frozen=True)
class ConverterOptions:
    """Settings of one conversion; the defaults give a float32 model.

    Attributes:
        optimizations: names out of `OPTIMIZATIONS`; with "DEFAULT" and a representative data set the model is
            quantized.
        supported_ops: names out of `OPS_SETS`.
        inference_input_type: name out of `INFERENCE_TYPES`.
        inference_output_type: name out of `INFERENCE_TYPES`.
        representative_dataset: measure the tensors' ranges on data: on validation data ('generate'), or on
            that of the user's own function.
        generate_unquantized: make a float32 model beside a quantized one, to compare it with. It takes as
            long again as the conversion.

    The keys `experimental_new_converter` and `experimental_new_quantizer` of older TensorFlow versions are
    accepted and do
    nothing: there are no others left.

    """

    optimizations: tuple[str, ...] = ()
    supported_ops: tuple[str, ...] = ("TFLITE_BUILTINS",)
    inference_input_type: str = "float32"
    inference_output_type: str = "float32"
    representative_dataset: bool = False
    generate_unquantized: bool = True

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "ConverterOptions":
        """Check a specification's `tflite_converter`.

        Raises:
            ModelError: an unknown key or value; the sentence lists the legal ones.

        """
        for key in settings:
            if key not in KEYS:
                raise ModelError(
                    f"tflite_converter has no setting {key!r}{suggestion(str(key), KEYS)}; it has "
                    f"{', '.join(KEYS)}"
                )
        default = cls()
        given = {key: value for key, value in settings.items() if value is not None}
        options = cls(
            optimizations=_names("optimizations", given.get("optimizations", ()), OPTIMIZATIONS),
            supported_ops=_names("supported_ops", given.get("supported_ops", ()), OPS_SETS)
            or default.supported_ops,
            inference_input_type=_type_name("inference_input_type", given, default.inference_input_type),
            inference_output_type=_type_name("inference_output_type", given, default.inference_output_type),
            representative_dataset=_representative(given.get("representative_dataset")),
            generate_unquantized=bool(given.get("generate_unquantized", default.generate_unquantized)),
        )
        if options.needs_representative and not options.representative_dataset:
            raise ModelError(
                f"tflite_converter asks for {options.inference_input_type} input and "
                f"{', '.join(options.supported_ops)}, "
                "which needs data to measure the ranges on: set representative_dataset = 'generate'"
            )
        return options

    @property
    def quantizes(self) -> bool:
        """Whether weights or activations become integers."""
        return bool(self.optimizations) or self.needs_representative

    @property
    def needs_representative(self) -> bool:
        """Whether the conversion can not do without a representative data set: every int8 graph."""
        return (
            "TFLITE_BUILTINS_INT8" in self.supported_ops
            or self.inference_input_type != "float32"
            or self.inference_output_type != "float32"
        )


def _name_of(value: object) -> str:
    """Give the name of a string, an enum member, a numpy type or a TensorFlow DType."""
    if isinstance(value, str):
        return value.rsplit(".", maxsplit=1)[
            -1
        ]  # 'tf.int8' and 'tf.lite.Optimize.DEFAULT' are common spellings
    # Here, as in models/dataset.py: what only finds an archive needs no numpy.
    import numpy as np

    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value).name
    return str(getattr(value, "name", value))


def _one_of(key: str, value: object, legal: tuple[str, ...]) -> str:
    name = _name_of(value)
    if name not in legal:
        raise ModelError(
            f"tflite_converter[{key!r}] is {value!r}{suggestion(name, legal)}; it can be {', '.join(legal)}"
        )
    return name


def _names(key: str, values: object, legal: tuple[str, ...]) -> tuple[str, ...]:
    # A single value where a list is expected is clear enough.
    listed = values if isinstance(values, list | tuple | set | frozenset) else [values]
    return tuple(_one_of(key, value, legal) for value in listed)


def _type_name(key: str, given: Mapping[str, Any], default: str) -> str:
    return _one_of(key, given.get(key, default), INFERENCE_TYPES)


def _representative(value: object) -> bool:
    if value is None or callable(value):
        return value is not None
    if value != "generate":
        raise ModelError(
            f"tflite_converter['representative_dataset'] is {value!r}; it can be 'generate', a function that "
            "gives batches "
            "of features, or None"
        )
    return True
