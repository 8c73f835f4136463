"""What firmware did with some sound: a record that prints as a report and turns into JSON."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mltk.firmware.boards import Board

CYCLES_PER_INSTRUCTION = 1.5
"""What a Cortex-M takes for an instruction of such code, on the whole; its manual gives 1 to 12 for each kind."""

_HEARD = re.compile(r"Heard (?P<label>.*) \((?P<score>\d+)\) @(?P<time_ms>\d+)ms")


@dataclass(frozen=True)
class Run:
    """What firmware did with some sound.

    Attributes:
        lines: what it sent through the serial port.
        led: what the LED was switched to, in order; empty where the emulator does not tell.
        audio_s: seconds of sound.
        stack_bytes: the most stack that it used; None where the emulator does not tell.
        static_bytes: its static RAM.
        flash_bytes: its code and constants, the model's included.
        measured_s: seconds of sound, after the first inference, in which instructions were counted.
        instructions: all that were counted in these seconds.
        per_frame: instructions of the frontend for one row of features, None if there was none.
        per_inference: instructions of the model, None if it never ran.
        board: what it ran on.
        emulator: what ran it.

    """

    lines: list[str]
    led: list[bool]
    audio_s: float
    stack_bytes: int | None
    static_bytes: int
    flash_bytes: int
    measured_s: float
    instructions: int
    per_frame: int | None
    per_inference: int | None
    board: Board
    emulator: str = "unicorn"

    @property
    def load(self) -> float | None:
        """The processor's load while it listens: 1 is all of its time. None if nothing was measured."""
        if not self.measured_s:
            return None
        return self.instructions * CYCLES_PER_INSTRUCTION / self.measured_s / self.board.clock_hz

    @property
    def ram_bytes(self) -> int | None:
        """Static RAM and the most stack."""
        return None if self.stack_bytes is None else self.static_bytes + self.stack_bytes

    @property
    def detections(self) -> list[dict[str, Any]]:
        """The lines that tell of words, taken apart: time_ms, label, score."""
        found = (_HEARD.fullmatch(line) for line in self.lines)
        return [
            {"time_ms": int(line["time_ms"]), "label": line["label"], "score": int(line["score"])}
            for line in found
            if line is not None
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists, strings and numbers."""
        return {
            "board": self.board.name,
            "target": self.board.target_name,
            "emulator": self.emulator,
            "lines": self.lines,
            "detections": self.detections,
            "audio_s": self.audio_s,
            "flash_bytes": self.flash_bytes,
            "static_bytes": self.static_bytes,
            "stack_bytes": self.stack_bytes,
            "ram_bytes": self.ram_bytes,
            "measured_s": self.measured_s,
            "instructions": self.instructions if self.measured_s else None,
            "instructions_per_frame": self.per_frame,
            "instructions_per_inference": self.per_inference,
            "clock_hz": self.board.clock_hz,
            "cycles_per_instruction": CYCLES_PER_INSTRUCTION,
            "load": self.load,
        }

    def to_json(self) -> str:
        """Return everything as one JSON object."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_string(self) -> str:
        """Return a report."""
        board = self.board
        ram = f"{self.static_bytes:,} of {board.ram.size:,} bytes without the stack"
        if self.ram_bytes is not None:
            ram = f"{self.ram_bytes:,} of {board.ram.size:,} bytes, {self.stack_bytes:,} of them stack"
        rows = [
            ("Board", f"{board.name} ({board.title}) in {self.emulator}"),
            ("Sound", f"{self.audio_s:.1f} s"),
            ("Flash", f"{self.flash_bytes:,} of {board.flash.size:,} bytes"),
            ("RAM", ram),
        ]
        missing = "none in the measured seconds" if self.measured_s else "not measured"
        for name, value in (
            ("Instructions per frame (frontend)", self.per_frame),
            ("Instructions per inference (model)", self.per_inference),
        ):
            rows.append((name, missing if value is None else f"{value:,}"))
        if self.load is not None:
            clock = f"{board.clock_hz / 1e6:g} MHz and {CYCLES_PER_INSTRUCTION} cycles an instruction"
            rows.append(
                ("Processor load", f"{self.load:.1%} at {clock} (in {self.measured_s:.1f} s of sound)")
            )
        return "\n".join(f"{name}: {value}" for name, value in rows)


class Serial:
    """The serial port's other end: characters become lines.

    Args:
        on_line: called with each line when it is complete.

    """

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._lines: list[str] = []
        self._unfinished = bytearray()

    def take(self, character: int) -> None:
        """Take one byte."""
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
