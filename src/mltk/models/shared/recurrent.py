"""The recurrent head of keyword_spotting_numbers: an LSTM between layer normalizations.

Source: seed 1's operator table (rows 70 to 117); an LSTM is S. Hochreiter, J. Schmidhuber, "Long Short-Term
Memory", 1997; layer normalization J. L. Ba and others, "Layer Normalization", 2016 (arXiv:1607.06450).
"""

from typing import Any

import keras


def lstm_head(features: Any, n_classes: int, units: int = 40, dropout: float = 0.0) -> Any:
    """Append the head that turns a backbone's features into posteriors.

    The layers, in this order: Reshape to [steps, channels], LayerNormalization, LSTM(units) over all steps,
    LayerNormalization, the last step, Dense(n_classes) without activation, LayerNormalization, Softmax. After
    training they export to rows 70 to 117 of seed 1's table (`mltk.tflite.convert`). For 40 channels, 40
    units and 11 classes these are 13,593 parameters and (for 7 steps) 90,040 MACs.

    Args:
        features: a Keras tensor [batch, steps, 1, channels] as `models/shared/tenet.py` gives it, or
            [batch, steps, channels], float32.
        n_classes: number of classes.
        units: cells of the LSTM.
        dropout: share of the LSTM's last output that is dropped in training; 0: the layer is left out.

    Returns:
        A Keras tensor [batch, n_classes], float32: posteriors.

    """
    steps, channels = int(features.shape[1]), int(features.shape[-1])
    x = keras.layers.Reshape((steps, channels), name="steps")(features)
    x = keras.layers.LayerNormalization(name="features_norm")(x)
    x = keras.layers.LSTM(units, return_sequences=True, name="lstm")(x)
    x = keras.layers.LayerNormalization(name="lstm_norm")(x)
    x = x[:, -1, :]
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(n_classes, name="logits")(x)
    x = keras.layers.LayerNormalization(name="logits_norm")(x)
    return keras.layers.Softmax(name="posteriors")(x)
