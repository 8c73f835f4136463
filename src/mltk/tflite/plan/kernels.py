"""What the compiler knows of the C kernels: the fields of their parameters, in the order of `mltk_nn.h`.

From this one table the engine lays out the structs in memory and the firmware's writer prints them as C. The
sizes are checked against the compiled C when the engine is loaded.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# C type -> ctypes. A pointer's constant is an array of the type that it points to; "void *" takes any array.
C_TYPES: dict[str, type] = {
    "int8_t": ctypes.c_int8,
    "uint8_t": ctypes.c_uint8,
    "int16_t": ctypes.c_int16,
    "uint16_t": ctypes.c_uint16,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "float": ctypes.c_float,
}


@dataclass(frozen=True)
class Kernel:
    """One C kernel.

    Attributes:
        name: the function's; its parameters are the struct NAME_params unless `struct` says another.
        source: the C file that holds it, below native/kernels: the form in plain C.
        fields: (name, C type) in the struct's order; a type that ends in " *" is a constant array. A name may
            be that of a member's member, such as "shape.sizes[0]".
        has_scratch: it takes scratch memory, and NAME_scratch_bytes(params) tells how much.
        struct: the struct's name where several kernels share one.
        forms: such as "dsp" or "mve" -> the C file of the form for processors with these instructions.

    """

    name: str
    source: str
    fields: tuple[tuple[str, str], ...]
    has_scratch: bool = False
    struct: str = ""
    forms: Mapping[str, str] = field(default_factory=dict)

    @property
    def struct_name(self) -> str:
        """The C name of its parameters' type."""
        return self.struct or f"{self.name}_params"


_REQUANTIZE = (
    ("weights", "void *"),
    ("bias", "int32_t *"),
    ("multipliers", "int32_t *"),
    ("shifts", "int8_t *"),
)
_CONV = (
    *_REQUANTIZE,
    *(
        (name, "uint16_t")
        for name in (
            *("batches", "in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_h", "kernel_w"),
            *("stride_h", "stride_w", "dilation_h", "dilation_w", "pad_top", "pad_left"),
        )
    ),
    *((name, "int8_t") for name in ("in_zero", "out_zero", "out_min", "out_max")),
)

_BROADCAST = tuple(
    (f"shape.{array}[{place}]", "uint32_t")
    for array in ("sizes", "first_steps", "second_steps")
    for place in range(4)
)
_POOL = (
    *(
        (name, "uint16_t")
        for name in (
            *("batches", "in_h", "in_w", "channels", "out_h", "out_w", "kernel_h", "kernel_w"),
            *("stride_h", "stride_w", "pad_top", "pad_left"),
        )
    ),
    *((name, "int8_t") for name in ("out_min", "out_max")),
)

_ALL = (
    Kernel("mltk_average_pool_s8", "average_pool_s8.c", _POOL, struct="mltk_pool_s8_params"),
    Kernel("mltk_max_pool_s8", "max_pool_s8.c", _POOL, struct="mltk_pool_s8_params"),
    Kernel(
        "mltk_mean_s8",
        "mean_s8.c",
        (
            *((name, "int32_t") for name in ("multiplier", "offset")),
            *(
                (f"{array}[{place}]", "uint32_t")
                for array in ("kept_sizes", "kept_steps", "mean_sizes", "mean_steps")
                for place in range(2)
            ),
            *((name, "int8_t") for name in ("shift", "out_zero")),
        ),
    ),
    Kernel(
        "mltk_add_s8",
        "add_s8.c",
        (
            *_BROADCAST,
            *(
                (name, "int32_t")
                for name in ("first_factor", "offset", "second_high", "second_low", "out_multiplier")
            ),
            *(
                (name, "int8_t")
                for name in (
                    *("second_zero", "second_right", "second_sign"),
                    *("out_right", "out_zero", "out_min", "out_max"),
                )
            ),
        ),
        forms={"mve": "add_s8_mve.c"},
    ),
    Kernel(
        "mltk_mul_s8",
        "mul_s8.c",
        (
            *_BROADCAST,
            ("multiplier", "int32_t"),
            *(
                (name, "int8_t")
                for name in ("shift", "first_zero", "second_zero", "out_zero", "out_min", "out_max")
            ),
        ),
    ),
    Kernel(
        "mltk_squared_difference_s8",
        "squared_difference_s8.c",
        (
            *_BROADCAST,
            *((name, "int32_t") for name in ("second_multiplier", "out_multiplier")),
            *(
                (name, "int8_t")
                for name in ("second_shift", "out_shift", "first_zero", "second_zero", "out_zero")
            ),
        ),
    ),
    Kernel("mltk_lookup_s8", "lookup_s8.c", (("table", "int8_t *"), ("count", "uint32_t"))),
    Kernel(
        "mltk_quantize_f32_s8",
        "quantize_f32_s8.c",
        (("scale", "float"), ("count", "uint32_t"), ("out_zero", "int8_t")),
    ),
    Kernel(
        "mltk_dequantize_s8_f32",
        "dequantize_s8_f32.c",
        (("scale", "float"), ("count", "uint32_t"), ("in_zero", "int8_t")),
    ),
    Kernel(
        "mltk_conv_s8",
        "conv_s8.c",
        _CONV,
        has_scratch=True,
        forms={
            "thumb2": "conv_s8_thumb2.c",
            "dsp": "conv_s8_dsp.c",
            "dsp16": "conv_s8_dsp16.c",
            "mve": "conv_s8_mve.c",
        },
    ),
    Kernel(
        "mltk_depthwise_conv_s8",
        "depthwise_conv_s8.c",
        _CONV,
        has_scratch=True,
        struct="mltk_conv_s8_params",
        forms={
            "thumb2": "depthwise_conv_s8_thumb2.c",
            "dsp": "depthwise_conv_s8_dsp.c",
            "mve": "depthwise_conv_s8_mve.c",
        },
    ),
    Kernel(
        "mltk_fully_connected_s8",
        "fully_connected_s8.c",
        (
            *_REQUANTIZE,
            *((name, "uint32_t") for name in ("rows", "in_c", "out_c")),
            *((name, "int8_t") for name in ("out_zero", "out_min", "out_max")),
        ),
        forms={
            "thumb2": "fully_connected_s8_thumb2.c",
            "dsp": "fully_connected_s8_dsp.c",
            "mve": "fully_connected_s8_mve.c",
        },
    ),
    Kernel(
        "mltk_softmax_s8",
        "softmax_s8.c",
        (
            ("multiplier", "int32_t"),
            ("shift", "int8_t"),
            ("difference_min", "int16_t"),
            ("rows", "uint32_t"),
            ("depth", "uint32_t"),
        ),
    ),
    Kernel(
        "mltk_lstm_s8",
        "lstm_s8.c",
        (
            *_REQUANTIZE,
            ("sigmoid_table", "uint16_t *"),
            *((name, "uint16_t") for name in ("batches", "steps", "in_c", "units")),
            ("hidden_multiplier", "int32_t"),
            ("tanh_multiplier", "int32_t"),
            *(
                (name, "int8_t")
                for name in ("tanh_right_shift", "hidden_shift", "hidden_zero", "candidate_shift")
            ),
            *((name, "int16_t") for name in ("cell_min", "cell_max")),
        ),
        has_scratch=True,
    ),
    Kernel(
        "mltk_copy",
        "copy.c",
        (
            ("extents", "uint32_t *"),
            ("input_strides", "int32_t *"),
            ("output_strides", "int32_t *"),
            ("dims", "uint32_t"),
            ("run_bytes", "uint32_t"),
            ("input_start", "int32_t"),
            ("output_start", "int32_t"),
        ),
    ),
    Kernel("mltk_fill", "copy.c", (("n_bytes", "uint32_t"), ("value", "uint8_t"))),
)
KERNELS: dict[str, Kernel] = {kernel.name: kernel for kernel in _ALL}


def element_type(c_type: str, value: Any) -> np.dtype[Any]:
    """Return numpy's type of the elements of a constant array: of "int32_t *", or the array's own for "void *"."""
    return np.asarray(value).dtype if c_type == "void *" else np.dtype(C_TYPES[c_type[:-2]])
