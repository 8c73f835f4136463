"""Firmware on an emulated board: samples in, lines of the serial port out, and what it all took."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from mltk.firmware.devices import attach
from mltk.firmware.elf import flash_bytes, static_bytes
from mltk.firmware.emulator import Emulator, Span
from mltk.firmware.firmware import Firmware
from mltk.firmware.run import Run, Serial
from mltk.utils.errors import DeviceError

_OPEN, _READ, _EXIT, _STOPPED_BY_PROGRAM = 0x01, 0x06, 0x18, 0x20026
_FRAME, _INFERENCE = "mltk_fe_process", "kws_model_invoke"
_FILE = 1  # the handle of the sound


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
        measure_s: float = 1.0,
        prepare: Callable[[Emulator], None] | None = None,
    ) -> Run:
        """Let the firmware hear.

        Args:
            blocks: the sound, int16 at the model's rate, in pieces.
            on_line: called with each line of the serial port as it is sent.
            measure_s: count instructions in so many seconds of the sound, after the model's first inference; it
                goes far faster without.
            prepare: called with the emulator before it starts, to look at what happens in it (`Emulator.on_entry`).

        Raises:
            DeviceError: the firmware fails.

        """
        emulator = Emulator(self.elf, self._board.target)
        ram = self._board.ram
        emulator.map_memory(ram.origin, ram.size)
        bottom, top = emulator.symbols["bss_end"], emulator.symbols["stack_top"]
        emulator.fill_stack(bottom, top)
        serial = Serial(on_line)
        led: list[bool] = []
        attach(emulator, self._board, serial.take, led.append)
        # The first inference has happened by then: what follows is what it takes all the time.
        start = (
            self._frontend.window_size
            + (self._frontend.spectrogram_shape[0] + 1) * self._frontend.window_step
        )
        pauses = [start, start + int(measure_s * self._rate)] if measure_s > 0 else []
        sound = _Sound(blocks, emulator, pauses)
        emulator.on_breakpoint(sound.handle)
        if prepare is not None:
            prepare(emulator)
        emulator.stop_counting()
        emulator.reset(self._board.flash.origin)
        emulator.resume()
        count, spans = 0, dict[str, Span]()
        if sound.marks and not sound.is_done:
            emulator.start_counting((_FRAME, _INFERENCE))
            emulator.resume()
            count, spans = emulator.stop_counting()
            sound.marks.append(sound.n_read)
            if not sound.is_done:
                emulator.resume()
        if not sound.is_done:
            raise DeviceError("The firmware stopped in the middle of the sound")
        if sound.has_failed:
            raise DeviceError(f"The firmware gave up: {' '.join(serial.finish()) or 'it did not say why'}")
        first, last = sound.marks[:2] if sound.marks else (0, 0)
        rows = self._rows(last) - self._rows(first)
        frontend, model = spans.get(_FRAME, Span(0, 0)), spans.get(_INFERENCE, Span(0, 0))
        sizes = emulator.section_sizes
        return Run(
            lines=serial.finish(),
            led=led,
            audio_s=sound.n_read / self._rate,
            stack_bytes=emulator.stack_used(bottom, top),
            static_bytes=static_bytes(sizes),
            flash_bytes=flash_bytes(sizes),
            measured_s=(last - first) / self._rate,
            instructions=count,
            per_frame=round(frontend.instructions / rows) if rows else None,
            per_inference=round(model.instructions / model.calls) if model.calls else None,
            board=self._board,
        )

    def _rows(self, n_samples: int) -> int:
        """Return how many rows of features so many samples give."""
        return max((n_samples - self._frontend.window_size) // self._frontend.window_step + 1, 0)


class _Sound:
    """The file that the firmware reads: blocks of samples, as far as it asks for them.

    Where `pauses` tell, in samples, the processor stops before it gets the next piece; `marks` are the samples that
    it had by then.
    """

    def __init__(
        self, blocks: Iterable[npt.NDArray[np.int16]], emulator: Emulator, pauses: Iterable[int]
    ) -> None:
        self._blocks: Iterator[npt.NDArray[np.int16]] = iter(blocks)
        self._emulator = emulator
        self._pauses = list(pauses)
        self._waiting = b""
        self.marks: list[int] = []
        self.n_read = 0
        self.is_done = False
        self.has_failed = False

    def handle(self, operation: int, parameter: int) -> int | None:
        """Answer a call of the firmware (semihosting)."""
        if operation == _OPEN:
            return _FILE
        if operation == _READ:
            if self._pauses and self.n_read >= self._pauses[0]:
                self.marks.append(self.n_read)
                del self._pauses[0]
                return None  # it asks again when it goes on
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
        self.n_read += len(data) // 2
        return len(data)
