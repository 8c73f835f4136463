"""Firmware in QEMU, where that is installed: the same ELF, an emulator by others. It counts no instructions."""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mltk.firmware.elf import flash_bytes, section_sizes, static_bytes
from mltk.firmware.firmware import Firmware
from mltk.firmware.run import Run, Serial
from mltk.utils.errors import DeviceError

_PROGRAM = "qemu-system-arm"
_AUDIO = "audio.raw"  # the file that the firmware's audio provider reads through semihosting
_MOST_SECONDS = 600.0


def has_qemu() -> bool:
    """Tell whether QEMU is installed."""
    return shutil.which(_PROGRAM) is not None


class QemuMachine:
    """A board in QEMU with firmware in its flash.

    Args:
        firmware: the program.
        elf: what `firmware.build` gave, if that was done already.

    Raises:
        DeviceError: QEMU is not installed, has no such board, or the program can not be built.
        MissingExtraError: the extra "device" is not installed.

    """

    def __init__(self, firmware: Firmware, elf: bytes | None = None) -> None:
        self._board = firmware.board
        self._rate = firmware.detector.sample_rate_hz
        if not self._board.qemu_machine:
            raise DeviceError(f"QEMU has no {self._board.name}: use the emulator unicorn, or another board")
        if not has_qemu():
            raise DeviceError(
                f"{_PROGRAM} is not installed: install QEMU for Arm, or use the emulator unicorn"
            )
        self.elf = firmware.build() if elf is None else elf

    def run(
        self,
        blocks: Iterable[npt.NDArray[np.int16]],
        on_line: Callable[[str], None] | None = None,
        measure_s: float = 0.0,
    ) -> Run:
        """Let the firmware hear.

        Args:
            blocks: the sound, int16 at the model's rate, in pieces.
            on_line: called with each line of the serial port as it is sent.
            measure_s: has no effect here: QEMU counts nothing.

        Raises:
            DeviceError: the firmware fails, or does not end.

        """
        del measure_s
        serial = Serial(on_line)
        with tempfile.TemporaryDirectory(prefix="mltk-qemu-") as scratch:
            folder = Path(scratch)
            n_samples = _write_raw(folder / _AUDIO, blocks)
            (folder / "firmware.elf").write_bytes(self.elf)
            self._emulate(folder, serial)
        sizes = section_sizes(self.elf)
        return Run(
            lines=serial.finish(),
            led=[],
            audio_s=n_samples / self._rate,
            stack_bytes=None,
            static_bytes=static_bytes(sizes),
            flash_bytes=flash_bytes(sizes),
            measured_s=0.0,
            instructions=0,
            per_frame=None,
            per_inference=None,
            board=self._board,
            emulator="qemu",
        )

    def _emulate(self, folder: Path, serial: Serial) -> None:
        command = [_PROGRAM, "-M", self._board.qemu_machine, "-display", "none", "-monitor", "none"]
        command += [
            "-serial",
            "stdio",
            "-semihosting-config",
            "enable=on,target=native",
            "-kernel",
            "firmware.elf",
        ]
        with (folder / "errors").open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        timer = threading.Timer(_MOST_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            with process.stdout as output:
                for line in output:
                    for character in line:
                        serial.take(character)
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
        if code != 0:
            said = (folder / "errors").read_text("utf-8", "replace").strip().splitlines() or serial.finish()
            raise DeviceError(f"The firmware failed in QEMU: {said[-1] if said else f'exit code {code}'}")


def _write_raw(path: Path, blocks: Iterable[npt.NDArray[np.int16]]) -> int:
    """Write samples as the firmware reads them; return how many."""
    n_samples = 0
    with path.open("wb") as file:
        for block in blocks:
            file.write(block.astype("<i2", copy=False).tobytes())
            n_samples += len(block)
    return n_samples
