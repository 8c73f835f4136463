"""The reference toolkit's side of benchmarks/feed.py; runs in an environment of its own, which has silabs-mltk 0.20.0.

python feed_peer.py FOLDER EPOCHS '{"speed_range": [0.6, 1.9], ...}'
"""

import json
import sys
import time


def main() -> None:
    """Print a JSON line for each epoch: samples, seconds."""
    folder, epochs, settings = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    import numpy as np

    from mltk.core.preprocess.audio.audio_feature_generator import AudioFeatureGeneratorSettings
    from mltk.core.preprocess.audio.parallel_generator import ParallelAudioDataGenerator

    frontend = AudioFeatureGeneratorSettings()
    for name, value in settings.pop("frontend").items():
        setattr(frontend, name, value)
    classes = settings.pop("classes")
    ranges = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    generator = ParallelAudioDataGenerator(dtype=np.int8, frontend_settings=frontend, **ranges)
    flow = generator.flow_from_directory(folder, classes=classes, batch_size=32, seed=42, shuffle=True)
    for _ in range(epochs):
        n, started = 0, time.perf_counter()
        for x, _labels in flow:
            n += len(x)
        print("EPOCH " + json.dumps([n, time.perf_counter() - started]), flush=True)
    flow.shutdown()


if __name__ == "__main__":
    main()
