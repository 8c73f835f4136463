"""The boards that firmware is made for: memories, clock, registers, and where they can be emulated."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mltk.firmware.targets import TARGETS, Target
from mltk.utils.errors import DeviceError
from mltk.utils.text import suggestion

_KB = 1024


@dataclass(frozen=True)
class Memory:
    """A range of addresses, in bytes."""

    origin: int
    size: int


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        name: as users write it.
        title: what it is.
        target_name: its processor in `mltk.firmware.targets`.
        driver: the C file of its serial port and LED.
        flash, ram: what the linker may use.
        clock_hz: the processor's clock.
        registers: macros of the driver -> addresses; BOARD_UART is the serial port's first register.
        qemu_machine: QEMU's name of it; "" where QEMU has no such board.

    """

    name: str
    title: str
    target_name: str
    driver: str
    flash: Memory
    ram: Memory
    clock_hz: int
    registers: Mapping[str, int] = field(default_factory=dict)
    qemu_machine: str = ""

    @property
    def target(self) -> Target:
        """Its processor."""
        return TARGETS[self.target_name]


def _mps(
    name: str,
    title: str,
    target: str,
    clock_hz: int = 25_000_000,
    *,
    uart: int = 0x4000_4000,
    led: int = 0x4002_8000,
    flash: Memory = Memory(0x0000_0000, 4096 * _KB),
    ram: Memory = Memory(0x2000_0000, 4096 * _KB),
) -> Board:
    registers = {"BOARD_UART": uart, "BOARD_LED": led}
    return Board(name, title, target, "board_mps2.c", flash, ram, clock_hz, registers, name)


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board(
            "lm3s6965",
            "TI LM3S6965 evaluation board, Cortex-M3",
            "cortex-m3",
            "board_lm3s.c",
            Memory(0, 256 * _KB),
            Memory(0x2000_0000, 64 * _KB),
            50_000_000,
            {"BOARD_UART": 0x4000_C000},
            "lm3s6965evb",
        ),
        _mps("mps2-an385", "Arm MPS2, Cortex-M3", "cortex-m3"),
        _mps("mps2-an386", "Arm MPS2, Cortex-M4", "cortex-m4"),
        _mps("mps2-an500", "Arm MPS2, Cortex-M7", "cortex-m7"),
        # The processors with TrustZone begin in the secure state: the secure addresses.
        _mps(
            "mps2-an505",
            "Arm MPS2, Cortex-M33",
            "cortex-m33",
            20_000_000,
            uart=0x5020_0000,
            led=0x5030_2000,
            flash=Memory(0x1000_0000, 4096 * _KB),
            ram=Memory(0x3800_0000, 4096 * _KB),
        ),
        _mps(
            "mps3-an547",
            "Arm MPS3, Cortex-M55 with vector instructions",
            "cortex-m55",
            32_000_000,
            uart=0x5930_3000,
            led=0x5930_2000,
            flash=Memory(0x0000_0000, 512 * _KB),
            ram=Memory(0x2000_0000, 512 * _KB),
        ),
        Board(
            "microbit",
            "BBC micro:bit (first version), Cortex-M0",
            "cortex-m0",
            "board_nrf51.c",
            Memory(0, 256 * _KB),
            Memory(0x2000_0000, 16 * _KB),
            16_000_000,
            {"BOARD_UART": 0x4000_2000},
            "microbit",
        ),
        Board(
            "bluepill",
            "STM32F103C8, Cortex-M3 with 64 KB of flash and 20 KB of RAM",
            "cortex-m3",
            "board_stm32f1.c",
            Memory(0x0800_0000, 64 * _KB),
            Memory(0x2000_0000, 20 * _KB),
            72_000_000,
            {"BOARD_UART": 0x4001_3800},
        ),
    )
}


def find_board(name: str) -> Board:
    """Return the board of a name.

    Raises:
        DeviceError: there is none.

    """
    plain = name.lower().replace("_", "-")
    if plain not in BOARDS:
        raise DeviceError(
            f"There is no board '{name}'{suggestion(plain, BOARDS)}: the boards are {', '.join(BOARDS)}"
        )
    return BOARDS[plain]


def board_of(target: Target) -> Board:
    """Return a board with a processor, the roomiest one.

    Raises:
        DeviceError: no board has it.

    """
    boards = [board for board in BOARDS.values() if _runs_on(board, target)]
    if not boards:
        raise DeviceError(f"No board here has a {target.name}: the boards are {', '.join(BOARDS)}")
    return max(boards, key=lambda board: board.flash.size)


def _runs_on(board: Board, target: Target) -> bool:
    # A Cortex-M0 and a Cortex-M0+ have the same instructions.
    return board.target_name == target.name.removesuffix("plus")
