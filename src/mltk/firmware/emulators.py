"""What firmware can be run in."""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mltk.firmware.firmware import Firmware
from mltk.firmware.machine import Machine
from mltk.firmware.qemu import QemuMachine
from mltk.firmware.run import Run
from mltk.utils.errors import DeviceError
from mltk.utils.text import suggestion


class AnyMachine(Protocol):
    """A board with firmware in its flash, emulated by anything."""

    def run(
        self,
        blocks: Iterable[npt.NDArray[np.int16]],
        on_line: Callable[[str], None] | None = None,
        measure_s: float = 1.0,
    ) -> Run:
        """Let the firmware hear; see `mltk.firmware.machine.Machine.run`."""


EMULATORS: dict[str, Callable[[Firmware], AnyMachine]] = {"unicorn": Machine, "qemu": QemuMachine}


def find_emulator(name: str) -> Callable[[Firmware], AnyMachine]:
    """Return what makes a machine of firmware.

    Raises:
        DeviceError: there is no such emulator.

    """
    if name not in EMULATORS:
        raise DeviceError(
            f"There is no emulator '{name}'{suggestion(name, EMULATORS)}: there are {', '.join(EMULATORS)}"
        )
    return EMULATORS[name]
