"""Programs are built once for all tests."""

from collections.abc import Callable
from importlib.util import find_spec

import firmware_models as models
import pytest

from mltk.firmware.boards import find_board
from mltk.firmware.firmware import Firmware, make_firmware


@pytest.fixture(scope="session")
def ziglang() -> None:
    """The compiler."""
    if find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed (extra 'device')")


@pytest.fixture(scope="session")
def unicorn() -> None:
    """The emulator."""
    if find_spec("unicorn") is None or find_spec("elftools") is None:
        pytest.skip("unicorn or pyelftools is not installed (extra 'device')")


@pytest.fixture(scope="session")
def built(ziglang: None) -> Callable[[str, str], tuple[Firmware, bytes]]:
    """Return a function: board, name of settings -> firmware and its ELF."""
    done: dict[tuple[str, str], tuple[Firmware, bytes]] = {}

    def build(board: str, settings: str = "plain") -> tuple[Firmware, bytes]:
        if (board, settings) not in done:
            firmware = make_firmware(models.keyword_model(**models.SETTINGS[settings]), find_board(board))
            done[board, settings] = firmware, firmware.build()
        return done[board, settings]

    return build
