"""Size and cost of every architecture at 49x40x1 and 12 classes, as the table of docs/architectures.md.

    python benchmarks/architectures.py [NAME ...]

Needs the extra 'train', and tflite-micro for the arena. The weights are random: they change no column.
"""

import argparse

import numpy as np

from mltk.models.shared.architectures import ARCHITECTURES, build
from mltk.tflite.convert import ConverterOptions, convert
from mltk.tflite.micro import TfliteMicro
from mltk.tflite.model import TfliteModel

SHAPE, CLASSES = (49, 40, 1), 12
OPTIONS = ConverterOptions(("DEFAULT",), ("TFLITE_BUILTINS_INT8",), "int8", "int8", True)
PAPERS = {
    "single_fc": "baseline of arXiv:1804.03209",
    "conv": "Sainath and Parada 2015",
    "low_latency_conv": "Sainath and Parada 2015",
    "low_latency_svdf": "Nakkiran and others 2015",
    "tiny_conv": "TensorFlow Lite Micro",
    "tiny_embedding_conv": "TensorFlow Lite Micro",
    "ds_cnn": "arXiv:1711.07128",
    "bc_resnet": "arXiv:2106.04140",
    "mobilenet_v2": "arXiv:1801.04381",
}
TENET = "arXiv:2010.09960"


def row(name: str) -> str:
    """Build, convert and measure one architecture."""
    model = build(name, SHAPE, CLASSES)
    features = np.random.default_rng(0).integers(-128, 128, (2, *SHAPE)).astype(np.int8)
    data = convert(model, [features], OPTIONS)
    tflite = TfliteModel(data)
    arena = TfliteMicro.load_flatbuffer(data).details.runtime_memory_size
    cells = [f"`{name}`", PAPERS.get(name, TENET), f"{model.count_params():,}", f"{tflite.macs:,}"]
    cells += [str(len(tflite.layers)), f"{len(data):,}", f"{arena:,}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(ARCHITECTURES))
    print("| name | paper | parameters | MACs | operators | int8 .tflite, bytes | TFLM arena, bytes |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in parser.parse_args().names:
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
