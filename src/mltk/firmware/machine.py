"""Firmware on an emulated board: samples in, lines of the serial port out, and what it all took."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mltk.firmware.boards import Board
from mltk.firmware.devices import attach
from mltk.firmware.emulator import Emulator, Span
from mltk.firmware.firmware import Firmware
from mltk.utils.errors import DeviceError

CYCLES_PER_INSTRUCTION = 1.5
"""What a Cortex-M takes for an instruction of such code, on the whole; its manual gives 1 to 12 for each kind."""

_OPEN, _READ, _EXIT, _STOPPED_BY_PROGRAM = 0x01, 0x06, 0x18, 0x20026
_FRAME, _INFERENCE = "mltk_fe_process", "kws_model_invoke"
_FILE = 1  # the handle of the sound


@dataclass(frozen=True)
class Run:
    """What firmware did with some sound.

    Attributes:
        lines: what it sent through the serial port.
        led: what the LED was switched to, in order.
        audio_s: seconds of sound.
        stack_bytes: the most stack that it used.
        static_bytes: its static RAM.
        flash_bytes: its code and constants, the model's included.
        measured_s: the sound's first seconds, in which instructions were counted.
        instructions: counted in these seconds, start-up included.
        per_frame: instructions of the frontend for one row of features, None if there was none.
        per_inference: instructions of the model, None if it never ran.
        board: what it ran on.

    """

    lines: list[str]
    led: list[bool]
    audio_s: float
    stack_bytes: int
    static_bytes: int
    flash_bytes: int
    measured_s: float
    instructions: int
    per_frame: int | None
    per_inference: int | None
    board: Board

    @property
    def load(self) -> float | None:
        """The processor's load while it listens: 1 is all of its time. None if nothing was measured."""
        if not self.measured_s:
            return None
        return self.instructions * CYCLES_PER_INSTRUCTION / self.measured_s / self.board.clock_hz

    def to_string(self) -> str:
        """Return a report."""
        ram = self.static_bytes + self.stack_bytes
        rows = [
            ("Board", f"{self.board.name} ({self.board.title})"),
            ("Flash", f"{self.flash_bytes:,} of {self.board.flash.size:,} bytes"),
            ("RAM", f"{ram:,} of {self.board.ram.size:,} bytes, {self.stack_bytes:,} of them stack"),
        ]
        for name, value in (
            ("Instructions per frame (frontend)", self.per_frame),
            ("Instructions per inference (model)", self.per_inference),
        ):
            rows.append((name, "none in this recording" if value is None else f"{value:,}"))
        if self.load is not None:
            clock = f"{self.board.clock_hz / 1e6:g} MHz and {CYCLES_PER_INSTRUCTION} cycles an instruction"
            rows.append(
                ("Processor load", f"{self.load:.1%} at {clock} (first {self.measured_s:.1f} s of sound)")
            )
        return "\n".join(f"{name}: {value}" for name, value in rows)


class Machine:
    """An emulated board with firmware in its flash.

    Args:
        firmware: the program.
        elf: what `firmware.build` gave, if that was done already.

    Raises:
        DeviceError: the board's processor can not be emulated, or the program can not be built.
        MissingExtraError: the extra "device" is not installed.

    """

    def __init__(self, firmware: Firmware, elf: bytes | None = None) -> None:
        self._board = firmware.board
        self._frontend = firmware.detector.frontend_settings
        self._rate = firmware.detector.sample_rate_hz
        self.elf = firmware.build() if elf is None else elf

    def run(
        self,
        blocks: Iterable[npt.NDArray[np.int16]],
        on_line: Callable[[str], None] | None = None,
        measure_s: float = 3.0,
        prepare: Callable[[Emulator], None] | None = None,
    ) -> Run:
        """Let the firmware hear.

        Args:
            blocks: the sound, int16 at the model's rate, in pieces.
            on_line: called with each line of the serial port as it is sent.
            measure_s: count instructions in the first seconds of the sound; it goes on far faster without.
            prepare: called with the emulator before it starts, to look at what happens in it (`Emulator.on_entry`).

        Raises:
            DeviceError: the firmware fails.

        """
        emulator = Emulator(self.elf, self._board.target)
        ram = self._board.ram
        emulator.map_memory(ram.origin, ram.size)
        bottom, top = emulator.symbols["bss_end"], emulator.symbols["stack_top"]
        emulator.fill_stack(bottom, top)
        serial = _Serial(on_line)
        led: list[bool] = []
        attach(emulator, self._board, serial.take, led.append)
        sound = _Sound(blocks, emulator, int(measure_s * self._rate))
        emulator.on_breakpoint(sound.handle)
        if prepare is not None:
            prepare(emulator)
        emulator.start_counting((_FRAME, _INFERENCE))
        emulator.reset(self._board.flash.origin)
        emulator.resume()
        measured = sound.n_read
        count, spans = emulator.stop_counting()
        if not sound.is_done:
            emulator.resume()
        if not sound.is_done:
            raise DeviceError("The firmware stopped in the middle of the sound")
        if sound.has_failed:
            raise DeviceError(f"The firmware gave up: {' '.join(serial.finish()) or 'it did not say why'}")
        rows = max((measured - self._frontend.window_size) // self._frontend.window_step + 1, 0)
        frontend, model = spans.get(_FRAME, Span(0, 0)), spans.get(_INFERENCE, Span(0, 0))
        sizes = emulator.section_sizes
        return Run(
            lines=serial.finish(),
            led=led,
            audio_s=sound.n_read / self._rate,
            stack_bytes=emulator.stack_used(bottom, top),
            static_bytes=sizes.get(".data", 0) + sizes.get(".bss", 0),
            flash_bytes=sum(sizes.get(name, 0) for name in (".text", ".ARM.exidx", ".data")),
            measured_s=measured / self._rate,
            instructions=count,
            per_frame=round(frontend.instructions / rows) if rows else None,
            per_inference=round(model.instructions / model.calls) if model.calls else None,
            board=self._board,
        )


class _Sound:
    """The file that the firmware reads: blocks of samples, as far as it asks for them."""

    def __init__(self, blocks: Iterable[npt.NDArray[np.int16]], emulator: Emulator, pause_at: int) -> None:
        self._blocks: Iterator[npt.NDArray[np.int16]] = iter(blocks)
        self._emulator = emulator
        self._pause_at = pause_at
        self._waiting = b""
        self.n_read = 0
        self.is_done = False
        self.has_failed = False

    def handle(self, operation: int, parameter: int) -> int | None:
        """Answer a call of the firmware (semihosting)."""
        if operation == _OPEN:
            return _FILE
        if operation == _READ:
            block = self._emulator.read_at(parameter, 12)
            target, n_bytes = (int.from_bytes(block[at : at + 4], "little") for at in (4, 8))
            return n_bytes - self._read(target, n_bytes)
        self.is_done = True
        self.has_failed = operation != _EXIT or parameter != _STOPPED_BY_PROGRAM
        return None

    def _read(self, target: int, n_bytes: int) -> int:
        while not self._waiting:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._waiting = block.astype("<i2", copy=False).tobytes()
        data, self._waiting = self._waiting[:n_bytes], self._waiting[n_bytes:]
        self._emulator.write_at(target, data)
        before, self.n_read = self.n_read, self.n_read + len(data) // 2
        if before < self._pause_at <= self.n_read:
            self._emulator.stop()
        return len(data)


class _Serial:
    """The serial port's other end."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._lines: list[str] = []
        self._unfinished = bytearray()

    def take(self, character: int) -> None:
        if character != ord("\n"):
            self._unfinished.append(character)
            return
        line = self._unfinished.decode("utf-8", "replace")
        self._unfinished.clear()
        self._lines.append(line)
        if self._on_line is not None:
            self._on_line(line)

    def finish(self) -> list[str]:
        """Return all lines, one that was not ended too."""
        if self._unfinished:
            self.take(ord("\n"))
        return self._lines
