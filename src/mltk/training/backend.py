"""TensorFlow and Keras as this package wants them."""

from typing import Any

import keras

DEFAULT_SEED = 42


def set_seed(seed: int) -> None:
    """Seed Python, numpy and Keras: initial weights and dropout repeat on one machine."""
    keras.utils.set_random_seed(seed)


def turn_off_automatic_xla(keras_model: Any) -> None:
    """Run the model without XLA unless the user's `compile(jit_compile=True)` asked for it.

    Keras turns XLA on wherever it can (`jit_compile="auto"`). On a CPU that made a training step of
    tflite_micro_speech ten times slower (70 ms against 7 ms, batch 32).
    """
    config = getattr(keras_model, "_compile_config", None)
    chosen = config.config.get("jit_compile", "auto") if config is not None else "auto"
    if chosen == "auto":
        keras_model.jit_compile = False
