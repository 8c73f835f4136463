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
        self._engine.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)

    symbols: dict[str, int]
    sizes: dict[str, int]

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
        for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
            if page not in self._mapped:
                self._mapped.add(page)
                self._engine.mem_map(page * PAGE, PAGE)

    def _on_block(self, engine: Any, address: int, size: int, _: Any) -> None:
        key = (address, size)
        if key not in self._lengths:
            self._lengths[key] = count_instructions(bytes(engine.mem_read(address, size)))
        if address in self._watched:
            self._entries.append((self._watched[address], self._count))
        self._count += self._lengths[key]

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

    def on_store(self, address: int, size: int, receive: Callable[[int, int], None]) -> None:
        """Give a peripheral's registers: `receive(offset, value)` for each store."""
        self._engine.mmio_map(
            address, size, lambda *_: 0, None, lambda _e, offset, _s, value, _u: receive(offset, value), None
        )

    def call(self, function: str, *arguments: int, watch: Sequence[str] = ()) -> Call:
        """Run a function until it returns.

        Args:
            function: its symbol.
            arguments: up to four 32-bit numbers.
            watch: symbols whose entries are to be told.

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
        self._engine.mem_write(bottom, bytes([_STACK_FILL]) * (top - bottom))
        self._engine.reg_write(self._arm.UC_ARM_REG_SP, top)
        self._engine.reg_write(self._arm.UC_ARM_REG_LR, _RETURN_ADDRESS | 1)
        self._count, self._entries = 0, []
        self._watched = {self.symbols[name] & ~1: name for name in watch}
        try:
            self._engine.emu_start(
                self.symbols[function] | 1, _RETURN_ADDRESS, timeout=_MOST_SECONDS * 1_000_000
            )
        except self._error as error:
            where = self._engine.reg_read(self._arm.UC_ARM_REG_PC)
            raise DeviceError(f"The firmware failed at 0x{where:08x} in {function}: {error}") from error
        if self._engine.reg_read(self._arm.UC_ARM_REG_PC) & ~1 != _RETURN_ADDRESS:
            raise DeviceError(f"{function} did not end within {_MOST_SECONDS} s")
        used = bytes(self._engine.mem_read(bottom, top - bottom))
        untouched = len(used) - len(used.lstrip(bytes([_STACK_FILL])))
        return Call(
            result=self._engine.reg_read(self._arm.UC_ARM_REG_R0),
            instructions=self._count,
            stack_bytes=top - bottom - untouched,
            entries=tuple(self._entries),
        )


def count_instructions(code: bytes) -> int:
    """Return the number of Thumb instructions in a block of code."""
    position = count = 0
    while position < len(code):
        half_word = int.from_bytes(code[position : position + 2], "little")
        position += 4 if half_word >> 11 in {0b11101, 0b11110, 0b11111} else 2
        count += 1
    return count
