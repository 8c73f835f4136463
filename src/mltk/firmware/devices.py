"""The registers of the boards' peripherals, as far as the drivers in `native/firmware` touch them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from mltk.firmware.boards import Board
from mltk.firmware.emulator import PAGE, Emulator

Load = Callable[[int], int]


@dataclass(frozen=True)
class Peripherals:
    """A board's peripherals: registers that keep what is stored, but for a few.

    Attributes:
        pages: first addresses of the pages that they are in.
        data: the register that sends a character.
        loads: register -> what a load gives, of what is stored there.
        led: (register, value) -> whether the LED was switched on or off with that store, None for neither.

    """

    pages: tuple[int, ...]
    data: int
    led: Callable[[int, int], bool | None]
    loads: dict[int, Load] = field(default_factory=dict)


def _mps2(board: Board) -> Peripherals:
    uart, led = board.registers["BOARD_UART"], board.registers["BOARD_LED"]

    def switched(register: int, value: int) -> bool | None:
        return value != 0 if register == led else None

    return Peripherals((uart, led), uart, switched, {uart + 4: lambda _: 0})


def _lm3s(board: Board) -> Peripherals:
    uart = board.registers["BOARD_UART"]
    pages = (0x4000_4000, uart, 0x4002_5000, 0x400F_E000)

    def switched(register: int, value: int) -> bool | None:
        return value != 0 if register == 0x4002_5004 else None

    return Peripherals(pages, uart, switched, {0x400F_E050: lambda _: 0x40, uart + 0x18: lambda _: 0})


def _nrf51(board: Board) -> Peripherals:
    uart = board.registers["BOARD_UART"]
    row = 1 << 13

    def switched(register: int, value: int) -> bool | None:
        return {0x5000_0508: True, 0x5000_050C: False}.get(register) if value == row else None

    return Peripherals((uart, 0x5000_0000), uart + 0x51C, switched, {uart + 0x11C: lambda _: 1})


def _stm32f1(board: Board) -> Peripherals:
    uart = board.registers["BOARD_UART"]
    pages = (0x4001_0000, 0x4001_1000, uart & -PAGE, 0x4002_1000, 0x4002_2000)

    def switched(register: int, value: int) -> bool | None:
        return {1 << 29: True, 1 << 13: False}.get(value) if register == 0x4001_1010 else None

    loads: dict[int, Load] = {
        # What is switched on is ready; the clock that is chosen is in use; all is sent.
        0x4002_1000: lambda stored: stored | (stored & (1 << 16 | 1 << 24)) << 1,
        0x4002_1004: lambda stored: stored & ~0xC | (stored & 3) << 2,
        uart: lambda _: 1 << 7,
    }
    return Peripherals(pages, uart + 4, switched, loads)


_OF_DRIVER: dict[str, Callable[[Board], Peripherals]] = {
    "board_mps2.c": _mps2,
    "board_lm3s.c": _lm3s,
    "board_nrf51.c": _nrf51,
    "board_stm32f1.c": _stm32f1,
}
_SYSTEM_CONTROL = 0xE000_E000  # the processor's own registers: plain memory will do


def attach(
    emulator: Emulator,
    board: Board,
    on_character: Callable[[int], None],
    on_led: Callable[[bool], None],
) -> None:
    """Give an emulator a board's peripherals.

    Args:
        emulator: with the processor of the board.
        board: the board.
        on_character: called with each byte that the serial port sends.
        on_led: called when the LED is switched.

    """
    peripherals = _OF_DRIVER[board.driver](board)
    stored: dict[int, int] = {}

    def load(register: int) -> int:
        value = stored.get(register, 0)
        return peripherals.loads[register](value) if register in peripherals.loads else value

    def store(register: int, value: int) -> None:
        stored[register] = value
        if register == peripherals.data:
            on_character(value & 0xFF)
        is_on = peripherals.led(register, value)
        if is_on is not None:
            on_led(is_on)

    for page in peripherals.pages:
        base = page & -PAGE
        emulator.map_device(
            base,
            PAGE,
            lambda offset, base=base: load(base + offset),  # type: ignore[misc]
            lambda offset, value, base=base: store(base + offset, value),  # type: ignore[misc]
        )
    emulator.map_memory(_SYSTEM_CONTROL, PAGE)
