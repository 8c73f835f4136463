"""What the steps of the MVP's and the CPU's work cost: a small table that `benchmarks/mvp_model.py` fits and writes."""

import functools
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

TABLE = "mvp_coefficients.json"


@dataclass(frozen=True)
class Coefficients:
    """The fitted table.

    Attributes:
        made: how it was made: the command, the tables' names and their hash.
        clock_hz: the nominal clock of CPU and accelerator.
        accelerator: the MVP's cycles for each kind of work, by family of kernels.
        cpu: the CPU's cycles for each kind of work, by kernel.
        launch_share: the share of the CPU's work on a program during which the MVP stands still.
        clock_ratio: measured over nominal clock.

    """

    made: dict[str, Any]
    clock_hz: float
    accelerator: dict[str, dict[str, float]]
    cpu: dict[str, dict[str, float]]
    launch_share: float
    clock_ratio: float

    def to_json(self) -> str:
        """Return the table as it stands in the package."""
        return json.dumps(asdict(self), indent=2) + "\n"


@functools.cache
def mvp_coefficients() -> Coefficients:
    """Return the package's table."""
    text = files("mltk.profiling").joinpath(TABLE).read_text("utf-8")
    return Coefficients(**json.loads(text))
