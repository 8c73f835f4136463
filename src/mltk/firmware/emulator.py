"""A Cortex-M in this process: runs C functions of an ELF and counts instructions exactly (unicorn)."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from mltk.firmware.targets import Target
from mltk.utils.errors import DeviceError, MissingExtraError

PAGE = 4096
_RETURN_ADDRESS = 0x1FFF_F000  # where no code is: a function that returns here has ended
_STACK_FILL = 0xA5
_MOST_SECONDS = 600


@dataclass(frozen=True)
class Call:
    """One function that ran.

    Attributes:
        result: what it returned (r0).
        instructions: how many were executed.
        stack_bytes: the most stack that it used.
        entries: (symbol, instructions executed until it was entered), for the symbols that were watched.

    """

    result: int
    instructions: int
    stack_bytes: int
    entries: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Span:
    """What a function took, with all that it called.

    Attributes:
        calls: how often it ran to its end.
        instructions: of all these calls.

    """

    calls: int
    instructions: int


class Emulator:
    """A processor with an ELF in its memory.

    Args:
        elf: the program; its segments are put where they belong, nothing of it is executed yet.
        target: the processor.
        stack_top: address above the stack; the symbol `stack_top` of the ELF without it.
        stack_bytes: memory below it that is the stack's.

    Raises:
        DeviceError: the ELF is damaged, or the processor can not be emulated.
        MissingExtraError: unicorn or pyelftools is not installed.

    """

    def __init__(
        self, elf: bytes, target: Target, stack_top: int | None = None, stack_bytes: int = 16384
    ) -> None:
        if find_spec("unicorn") is None or find_spec("elftools") is None:
            raise MissingExtraError("device", "Running firmware here")
        if not target.unicorn_model:
            raise DeviceError(f"{target.name} can not be emulated here: choose another target")
        import unicorn
        from unicorn import arm_const

        self._arm = arm_const
        self._engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._engine.ctl_set_cpu_model(getattr(arm_const, target.unicorn_model))
        self._error = unicorn.UcError
        self.symbols, self.sizes = {}, {}
        self._mapped: set[int] = set()
        self._load(elf)
        top = self.symbols["stack_top"] if stack_top is None else stack_top
        self._stack = (top - stack_bytes, top)
        self._map(top - stack_bytes, stack_bytes)
        self._map(_RETURN_ADDRESS & ~(PAGE - 1), PAGE)
        self._lengths: dict[tuple[int, int], int] = {}
        self._count = 0
        self._watched: dict[int, str] = {}
        self._entries: list[tuple[str, int]] = []
        self._open: list[
            tuple[str, int, int]
        ] = []  # running watched functions: name, return address, count at entry
        self._spans: dict[str, Span] = {}
        self._hook_block, self._hook_interrupt = unicorn.UC_HOOK_BLOCK, unicorn.UC_HOOK_INTR
        self._hook_code = unicorn.UC_HOOK_CODE
        self._counting: Any = None
        self.start_counting(())

    symbols: dict[str, int]
    sizes: dict[str, int]
    section_sizes: dict[str, int]

    def _load(self, elf: bytes) -> None:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            image: Any = ELFFile(io.BytesIO(elf))
            for segment in image.iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_memsz"]:
                    # Data is put where it is used and, for start-up code that copies it, where it is stored.
                    for address in {segment["p_vaddr"], segment["p_paddr"]}:
                        self._map(address, segment["p_memsz"])
                        self._engine.mem_write(address, segment.data())
            for symbol in image.get_section_by_name(".symtab").iter_symbols():
                if symbol.name:
                    self.symbols[symbol.name] = symbol["st_value"]
                    self.sizes[symbol.name] = symbol["st_size"]
            self.section_sizes = {section.name: section["sh_size"] for section in image.iter_sections()}
        except (ELFError, AttributeError, self._error) as error:
            raise DeviceError(f"The firmware is no usable ELF file: {error}") from error

    def _map(self, address: int, size: int) -> None:
        # Whole ranges at once: unicorn mixes regions up, silently, where there are about a thousand of them.
        start = None
        end = (address + size - 1) // PAGE + 1 if size else address // PAGE
        for page in range(address // PAGE, end + 1):
            is_new = page < end and page not in self._mapped
            if is_new and start is None:
                start = page
            if not is_new and start is not None:
                self._engine.mem_map(start * PAGE, (page - start) * PAGE)
                self._mapped.update(range(start, page))
                start = None

    def _on_block(self, engine: Any, address: int, size: int, _: Any) -> None:
        key = (address, size)
        if key not in self._lengths:
            self._lengths[key] = count_instructions(bytes(engine.mem_read(address, size)))
        while self._open and self._open[-1][1] == address:
            name, _return, start = self._open.pop()
            span = self._spans.get(name, Span(0, 0))
            self._spans[name] = Span(span.calls + 1, span.instructions + self._count - start)
        if address in self._watched:
            name = self._watched[address]
            self._entries.append((name, self._count))
            self._open.append((name, engine.reg_read(self._arm.UC_ARM_REG_LR) & ~1, self._count))
        self._count += self._lengths[key]

    def start_counting(self, watch: Sequence[str]) -> None:
        """Count instructions from now on, from 0, those of the watched functions apart; far slower than without."""
        self._count, self._entries, self._open, self._spans = 0, [], [], {}
        self._watched = {self.symbols[name] & ~1: name for name in watch}
        if self._counting is None:
            self._counting = self._engine.hook_add(self._hook_block, self._on_block)
            self._engine.ctl_flush_tb()  # what is translated already would not call the hook

    def stop_counting(self) -> tuple[int, dict[str, "Span"]]:
        """Count no more; return the instructions since `start_counting`, and those of each watched function."""
        self._engine.hook_del(self._counting)
        self._engine.ctl_flush_tb()  # what is translated already would still call the hook
        self._counting = None
        return self._count, self._spans

    def write(self, symbol: str, data: bytes, offset: int = 0) -> None:
        """Write into the memory of a symbol."""
        self._engine.mem_write(self.symbols[symbol] + offset, data)

    def read(self, symbol: str, size: int | None = None, offset: int = 0) -> bytes:
        """Read a symbol's memory, all of it without a size."""
        return bytes(
            self._engine.mem_read(self.symbols[symbol] + offset, self.sizes[symbol] if size is None else size)
        )

    def read_at(self, address: int, size: int) -> bytes:
        """Read memory."""
        return bytes(self._engine.mem_read(address, size))

    def map_memory(self, address: int, size: int) -> None:
        """Give memory where none is yet."""
        self._map(address, size)

    def map_device(
        self,
        address: int,
        size: int,
        load: Callable[[int], int],
        store: Callable[[int, int], None],
    ) -> None:
        """Give a peripheral's registers: `load(offset)` and `store(offset, value)`; whole pages."""
        self._engine.mmio_map(
            address,
            size,
            lambda _e, offset, _s, _u: load(offset),
            None,
            lambda _e, offset, _s, value, _u: store(offset, value),
            None,
        )

    def on_breakpoint(self, handle: Callable[[int, int], int | None]) -> None:
        """Let BKPT call `handle(r0, r1)`: it goes on with the answer in r0, or stops at None."""

        def interrupted(engine: Any, _number: int, _: Any) -> None:
            arm = self._arm
            answer = handle(engine.reg_read(arm.UC_ARM_REG_R0), engine.reg_read(arm.UC_ARM_REG_R1))
            if answer is None:
                engine.emu_stop()
                return
            engine.reg_write(arm.UC_ARM_REG_R0, answer & 0xFFFF_FFFF)
            engine.reg_write(arm.UC_ARM_REG_PC, (engine.reg_read(arm.UC_ARM_REG_PC) + 2) | 1)

        self._engine.hook_add(self._hook_interrupt, interrupted)

    def write_at(self, address: int, data: bytes) -> None:
        """Write memory."""
        self._engine.mem_write(address, data)

    def fill_stack(self, bottom: int, top: int) -> None:
        """Mark memory so that `stack_used` can tell what was written."""
        self._engine.mem_write(bottom, bytes([_STACK_FILL]) * (top - bottom))

    def stack_used(self, bottom: int, top: int) -> int:
        """Return how many bytes below `top` were written since `fill_stack`."""
        memory = bytes(self._engine.mem_read(bottom, top - bottom))
        return len(memory.lstrip(bytes([_STACK_FILL])))

    def reset(self, vectors: int) -> None:
        """Set stack and program counter as a reset does."""
        stack, start = (int.from_bytes(self.read_at(vectors + offset, 4), "little") for offset in (0, 4))
        self._engine.reg_write(self._arm.UC_ARM_REG_SP, stack)
        self._engine.reg_write(self._arm.UC_ARM_REG_PC, start)

    def resume(self) -> None:
        """Run until something stops it.

        Raises:
            DeviceError: it touched memory that is not there, or ran an instruction that the processor lacks.

        """
        where = self._engine.reg_read(self._arm.UC_ARM_REG_PC)
        try:
            self._engine.emu_start(where | 1, _RETURN_ADDRESS)
        except self._error as error:
            where = self._engine.reg_read(self._arm.UC_ARM_REG_PC)
            raise DeviceError(f"The firmware failed at 0x{where:08x}: {error}") from error

    def stop(self) -> None:
        """End `resume`, from within a device or a breakpoint."""
        self._engine.emu_stop()

    def on_entry(self, symbol: str, handle: Callable[[], None]) -> None:
        """Call `handle` from now on whenever a function begins; to be set before anything runs."""
        place = self.symbols[symbol] & ~1
        self._engine.hook_add(self._hook_code, lambda *_: handle(), begin=place, end=place)
        self._engine.ctl_flush_tb()  # what is translated already would not call the hook

    def register(self, number: int) -> int:
        """Return r0 to r12, or sp (13) or lr (14)."""
        arm = self._arm
        special = {13: arm.UC_ARM_REG_SP, 14: arm.UC_ARM_REG_LR}
        value: int = self._engine.reg_read(special.get(number, arm.UC_ARM_REG_R0 + number))
        return value

    def call(self, function: str, *arguments: int, watch: Sequence[str] = (), count: bool = True) -> Call:
        """Run a function until it returns.

        Args:
            function: its symbol.
            arguments: up to four 32-bit numbers.
            watch: symbols whose entries are to be told.
            count: count instructions; without, it runs far faster, and `instructions` is 0.

        Raises:
            DeviceError: it touched memory that is not there, or ran an instruction that the processor lacks.

        """
        registers = (
            self._arm.UC_ARM_REG_R0,
            self._arm.UC_ARM_REG_R1,
            self._arm.UC_ARM_REG_R2,
            self._arm.UC_ARM_REG_R3,
        )
        for register, value in zip(registers, arguments, strict=False):
            self._engine.reg_write(register, value & 0xFFFF_FFFF)
        bottom, top = self._stack
        self.fill_stack(bottom, top)
        self._engine.reg_write(self._arm.UC_ARM_REG_SP, top)
        self._engine.reg_write(self._arm.UC_ARM_REG_LR, _RETURN_ADDRESS | 1)
        if count:
            self.start_counting(watch)
        elif self._counting is not None:
            self.stop_counting()
        try:
            self._engine.emu_start(
                self.symbols[function] | 1, _RETURN_ADDRESS, timeout=_MOST_SECONDS * 1_000_000
            )
        except self._error as error:
            where = self._engine.reg_read(self._arm.UC_ARM_REG_PC)
            raise DeviceError(f"The firmware failed at 0x{where:08x} in {function}: {error}") from error
        if self._engine.reg_read(self._arm.UC_ARM_REG_PC) & ~1 != _RETURN_ADDRESS:
            raise DeviceError(f"{function} did not end within {_MOST_SECONDS} s")
        return Call(
            result=self._engine.reg_read(self._arm.UC_ARM_REG_R0),
            instructions=self._count if count else 0,
            stack_bytes=self.stack_used(bottom, top),
            entries=tuple(self._entries) if count else (),
        )


def count_instructions(code: bytes) -> int:
    """Return the number of Thumb instructions in a block of code."""
    position = count = 0
    while position < len(code):
        half_word = int.from_bytes(code[position : position + 2], "little")
        position += 4 if half_word >> 11 in {0b11101, 0b11110, 0b11111} else 2
        count += 1
    return count
