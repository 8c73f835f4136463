"""Write golden_frontend.npz: what TensorFlow's op gives, an oracle where there is no TensorFlow.

Run: PYTHONPATH=src python tests/frontend/make_frontend_golden.py
"""

import hashlib
import json
from pathlib import Path

import frontend_cases as cases
import frontend_oracle as oracle
import numpy as np

from mltk.frontend.settings import AudioFeatureGeneratorSettings

FILE = Path(__file__).with_name("golden_frontend.npz")


def known_settings() -> list[AudioFeatureGeneratorSettings]:
    """Return the settings of published models: 49x40 with PCAN, 98x40, 98x108."""
    result = []
    for step, channels, pcan, remaining in (
        (20, 40, True, 0.05),
        (10, 40, True, 0.05),
        (10, 108, False, 0.4),
    ):
        s = AudioFeatureGeneratorSettings()
        s.window_size_ms, s.window_step_ms, s.filterbank_n_channels = 30, step, channels
        s.noise_reduction_enable, s.pcan_enable = True, pcan
        s.noise_reduction_min_signal_remaining = remaining
        result.append(s)
    return result


def main() -> None:
    """Compute and write all cases."""
    import tensorflow as tf

    op = oracle.tensorflow_op()
    rng = np.random.default_rng(2026)
    settings = known_settings() + [cases.random_settings(rng, 150) for _ in range(33)]
    about, arrays = [], {}
    for number, s in enumerate(settings):
        kind, seed = (10, 1, 9)[number] if number < 3 else number % cases.N_CLIPS, 17 * number + 3
        clip = cases.make_clip(kind, s.sample_length, seed)
        digest = hashlib.sha256(clip.astype("<i2").tobytes()).hexdigest()
        about.append({"settings": dict(s), "kind": kind, "seed": seed, "clip_sha256": digest})
        arrays[f"features_{number}"] = oracle.run_op(op, clip, s)
    stamp = {"generator": Path(__file__).name, "tensorflow": tf.__version__, "cases": about}
    np.savez_compressed(FILE, about=np.array(json.dumps(stamp)), **arrays)
    print(FILE, FILE.stat().st_size, "bytes,", sum(a.size for a in arrays.values()), "values")


if __name__ == "__main__":
    main()
