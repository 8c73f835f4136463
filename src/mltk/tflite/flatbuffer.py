"""A bounds-checked reader of flatbuffers, for files that come from anywhere.

The generated Python classes and LiteRT's C++ trust every offset in a file. What is read here first, is
checked: each position is compared with the file's size before anything is taken from it. The format:
    https://flatbuffers.dev/internals
"""

import struct
from dataclasses import dataclass


class DamagedBufferError(ValueError):
    """An offset or a length of a flatbuffer leads out of it; the text says which."""


@dataclass(frozen=True)
class Table:
    """A table's position and the in-table offsets of its fields (0: absent)."""

    position: int
    size: int
    offsets: tuple[int, ...]

    def field(self, slot: int) -> int:
        """Return the absolute position of a field, or 0 where it is absent."""
        offset = self.offsets[slot] if slot < len(self.offsets) else 0
        return self.position + offset if offset else 0


class FlatReader:
    """Reads one buffer; raises DamagedBufferError instead of reading outside."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # A hostile file can point at the same bytes from many places, so that it unfolds into far more than
        # its size.
        self._budget = 8 * len(data) + 4096

    def scalar(self, position: int, code: str) -> int | float:
        """Return a little-endian number; `code` is a format character of `struct`."""
        size = struct.calcsize("<" + code)
        if position < 0 or position + size > len(self.data):
            raise DamagedBufferError(f"offset {position} lies outside its {len(self.data)} bytes")
        value: int | float = struct.unpack_from("<" + code, self.data, position)[0]
        return value

    def unsigned(self, position: int, code: str = "I") -> int:
        """Return an integer (default: 32 bits, unsigned)."""
        return int(self.scalar(position, code))

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise DamagedBufferError("its parts overlap so much that it unfolds to many times its size")

    def target(self, position: int) -> int:
        """Follow a 32-bit relative offset."""
        distance = self.unsigned(position)
        if distance == 0:
            raise DamagedBufferError(f"the offset at {position} leads nowhere")
        return position + distance

    def table(self, position: int) -> Table:
        """Check a table with its vtable and return it."""
        vtable = position - self.unsigned(position, "i")
        vtable_size, size = self.unsigned(vtable, "H"), self.unsigned(vtable + 2, "H")
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > len(self.data):
            raise DamagedBufferError(f"the table at {position} has no valid vtable")
        if size < 4 or position + size > len(self.data):
            raise DamagedBufferError(f"the table at {position} is longer than the file")
        offsets = struct.unpack_from(f"<{vtable_size // 2 - 2}H", self.data, vtable + 4)
        self._spend(size + vtable_size)
        return Table(position, size, offsets)

    def vector(self, position: int, item_size: int) -> tuple[int, int]:
        """Check a vector and return the position of its first item and the number of items."""
        count = self.unsigned(position)
        if position + 4 + count * item_size > len(self.data):
            raise DamagedBufferError(f"the list at {position} has {count} items, more than the file can hold")
        self._spend(4 + count * item_size)
        return position + 4, count

    def string(self, position: int) -> bytes:
        """Return a string's bytes."""
        start, count = self.vector(position, 1)
        return self.data[start : start + count]

    def check_field(self, table: Table, slot: int, size: int) -> int:
        """Return the position of a field of `size` bytes that lies inside its table; 0 where it is absent."""
        position = table.field(slot)
        if position and position + size > table.position + table.size:
            raise DamagedBufferError(f"field {slot} of the table at {table.position} lies outside the table")
        return position
