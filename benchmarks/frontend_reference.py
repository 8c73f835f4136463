"""Run the reference toolkit's frontend for benchmarks/frontend.py, in the toolkit's own virtual environment.

Reads one settings line of JSON, a .npy of clips and then commands from standard input: `time` answers with the
CPU milliseconds a clip takes, `features PATH` writes the features of all clips.
"""

import json
import os
import sys
import time

os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # its TensorFlow needs this on newer processors
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

from mltk.core.preprocess.audio.audio_feature_generator import (
    AudioFeatureGenerator,
    AudioFeatureGeneratorSettings,
)


def main() -> None:
    """Answer commands until the end of the input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the toolkit prints is no answer
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "settings":
            settings = AudioFeatureGeneratorSettings()
            values = json.loads(rest)
            clips = np.load(values.pop("clips"))
            for name, value in values.items():
                setattr(settings, name, value)
            generator = AudioFeatureGenerator(settings)
            generator.process_sample(clips[0], dtype=np.uint16)
            answers.write("ready\n")
        elif command == "time":
            started = time.process_time()
            for clip in clips:
                generator.process_sample(clip, dtype=np.uint16)
            answers.write(f"{(time.process_time() - started) * 1000 / len(clips)}\n")
        elif command == "features":
            np.save(rest, np.stack([generator.process_sample(clip, dtype=np.uint16) for clip in clips]))
            answers.write("written\n")
        answers.flush()


if __name__ == "__main__":
    main()
