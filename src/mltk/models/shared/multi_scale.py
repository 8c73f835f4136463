"""Depthwise convolutions of several lengths along time that are trained apart and exported as one.

Source: arXiv:2010.09960, section 2.3 (multi-scale temporal convolution and kernel fusion).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mltk.utils.errors import ModelError


@keras.saving.register_keras_serializable(package="mltk")
class MultiScaleTemporalConvolution(keras.layers.Layer):  # type: ignore[misc]
    """Sum of depthwise convolutions over several numbers of frames.

    [batch, time, 1, channels] float32 -> [batch, ceil(time / stride), 1, channels], padding "same". With several
    scales each branch has its batch normalization, and the layer is equal to one depthwise convolution of the
    longest kernel with a bias once it is trained (`fused_kernel`). With one scale it is one without bias, as
    in the published models: one weight, depthwise_kernel [frames, 1, channels, 1].

    Args:
        stride: step along time.
        scales: odd kernel sizes in frames, each at least 3 and at least the stride.

    Raises:
        ModelError: a kernel size is even or too small, none is given, or the input is not of the shape above.

    """

    def __init__(self, stride: int = 1, scales: Sequence[int] = (9,), **options: Any) -> None:
        super().__init__(**options)
        self.stride = int(stride)
        self.scales = tuple(int(scale) for scale in scales)
        if not self.scales or any(scale % 2 == 0 or scale < max(3, self.stride) for scale in self.scales):
            # Then "same" padding of all branches is centred alike, also where the stride skips frames.
            raise ModelError(
                "The kernel sizes (scales) of a multi-scale temporal convolution have to be odd numbers of frames, 3 "
                f"or more and not below the stride {self.stride}, not {list(scales)}"
            )
        self.convolutions = [
            keras.layers.DepthwiseConv2D(
                (scale, 1),
                strides=self.stride,
                padding="same",
                use_bias=False,
                dtype=self.dtype_policy,
                name=f"scale_{scale}",
            )
            for scale in self.scales
        ]
        self.normalizations = (
            [
                keras.layers.BatchNormalization(dtype=self.dtype_policy, name=f"norm_{scale}")
                for scale in self.scales
            ]
            if len(self.scales) > 1
            else []
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the branches' weights."""
        if len(input_shape) != 4 or input_shape[2] != 1:
            raise ModelError(
                f"A multi-scale temporal convolution takes [batch, time, 1, channels], not {tuple(input_shape)}"
            )
        for layer in self.convolutions:
            layer.build(input_shape)
        for layer in self.normalizations:
            layer.build(self.compute_output_shape(input_shape))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the sum of the branches."""
        branches = [convolution(inputs) for convolution in self.convolutions]
        if not self.normalizations:
            return branches[0]
        normalized = [
            norm(branch, training=training)
            for norm, branch in zip(self.normalizations, branches, strict=True)
        ]
        return keras.ops.sum(keras.ops.stack(normalized), axis=0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the output's shape."""
        time = input_shape[1]
        return (input_shape[0], None if time is None else -(-time // self.stride), *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "stride": self.stride, "scales": list(self.scales)}

    def fused_kernel(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return (depthwise_kernel [frames, 1, channels, 1], bias [channels] or None with one scale), float32.

        The batch normalizations are folded with their moving statistics, the kernels padded to the longest one
        and summed, in float64.
        """
        kernels = [np.asarray(layer.kernel, np.float64) for layer in self.convolutions]
        if not self.normalizations:
            return kernels[0].astype(np.float32), None
        longest, channels = max(self.scales), kernels[0].shape[2]
        kernel, bias = np.zeros((longest, 1, channels, 1)), np.zeros(channels)
        for scale, branch, norm in zip(self.scales, kernels, self.normalizations, strict=True):
            gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in norm.get_weights())
            gain = gamma / np.sqrt(variance + norm.epsilon)
            first = (longest - scale) // 2
            kernel[first : first + scale] += branch * gain[:, np.newaxis]
            bias += beta - mean * gain
        return kernel.astype(np.float32), bias.astype(np.float32)

    def export_layer(self) -> Any:
        """Return the one stock depthwise convolution that computes the same once training is over.

        It has this layer's name and weights of its own. `mltk.tflite.convert` calls it.
        """
        kernel, bias = self.fused_kernel()
        layer = keras.layers.DepthwiseConv2D(
            kernel.shape[:2],
            strides=self.stride,
            padding="same",
            use_bias=bias is not None,
            name=self.name,
        )
        layer.build((None, None, 1, kernel.shape[2]))
        layer.set_weights([kernel] if bias is None else [kernel, bias])
        return layer


def fuse(model: keras.Model) -> keras.Model:
    """Return a copy of a trained model with each multi-scale layer replaced by one depthwise convolution.

    The other layers are shared with `model`. Converting to .tflite does this by itself.

    Args:
        model: a built functional or sequential model.

    """

    def swap(layer: Any) -> Any:
        return layer.export_layer() if isinstance(layer, MultiScaleTemporalConvolution) else layer

    return keras.models.clone_model(model, clone_function=swap)
