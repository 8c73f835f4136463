"""The binary form of the parameters against a walk of the bytes that follows formats.md, not our code."""

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltk.tflite.dictionary import decode, encode, value_type
from mltk.utils.errors import TfliteError

# Union id -> struct code, from formats.md.
SCALARS = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}


def walk(data: bytes) -> tuple[int, list[tuple[str, int, Any]]]:
    """Return schema version and (key, value type, value) of every entry."""

    def u32(at: int) -> int:
        return int(struct.unpack_from("<I", data, at)[0])

    def field(table: int, slot: int) -> int:
        vtable = table - struct.unpack_from("<i", data, table)[0]
        if 4 + 2 * slot >= struct.unpack_from("<H", data, vtable)[0]:
            return 0
        offset = struct.unpack_from("<H", data, vtable + 4 + 2 * slot)[0]
        return table + offset if offset else 0

    def follow(at: int) -> int:
        return at + u32(at)

    def text(at: int) -> str:
        return data[at + 4 : at + 4 + u32(at)].decode()

    def value(kind: int, table: int) -> Any:
        at = field(table, 0)
        if kind in SCALARS:
            return struct.unpack_from("<" + SCALARS[kind], data, at)[0] if at else 0
        at = follow(at)
        if kind == 12:
            return text(at)
        count = u32(at)
        if kind == 13:
            return [text(follow(at + 4 + 4 * i)) for i in range(count)]
        if kind == 16:
            return data[at + 4 : at + 4 + count]
        return list(struct.unpack_from(f"<{count}{'i' if kind == 14 else 'f'}", data, at + 4))

    root = follow(0)
    entries = follow(field(root, 1))
    found = []
    for index in range(u32(entries)):
        entry = follow(entries + 4 + 4 * index)
        kind = data[field(entry, 1)]
        found.append((text(follow(field(entry, 0))), kind, value(kind, follow(field(entry, 2)))))
    return data[field(root, 0)], found


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, 1),
        (False, 1),
        (0, 3),
        (255, 3),
        (256, 5),
        (65535, 5),
        (65536, 7),
        (2**32 - 1, 7),
        (2**32, 9),
        (2**64 - 1, 9),
        (-1, 2),
        (-128, 2),
        (-129, 4),
        (-(2**15), 4),
        (-(2**15) - 1, 6),
        (-(2**31), 6),
        (-(2**31) - 1, 8),
        (-(2**63), 8),
        (1.0, 10),
        (1.175494351e-38, 10),
        (3.402823466e38, 10),
        (1.0e-38, 11),
        (3.5e38, 11),
        (0.0, 11),
        (-1.5, 11),
        (math.inf, 11),
        ("", 12),
        ("yes", 12),
        ([], 13),
        (["yes", "näh"], 13),
        ([1, -2], 14),
        ([1.5, 2], 15),
        (b"\x00\xff", 16),
    ],
)
def test_types_follow_the_page(value: Any, kind: int) -> None:
    assert value_type("key", value) == kind
    stored = struct.unpack("f", struct.pack("f", value))[0] if kind == 10 else value
    version, entries = walk(encode({"key": value}))
    assert version == 1
    assert entries == [("key", kind, stored)]
    assert decode(encode({"key": value})) == {"key": stored}


def test_numpy_values_count_as_python_values() -> None:
    stored = {
        "a": np.int64(300),
        "b": np.float32(0.5),
        "c": np.bool_(True),
        "d": np.array([1, 2]),
        "e": (np.float64(0.25),),
    }
    assert walk(encode(stored))[1] == [
        ("a", 5, 300),
        ("b", 10, 0.5),
        ("c", 1, True),
        ("d", 14, [1, 2]),
        ("e", 15, [0.25]),
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": 1},
        2**64,
        -(2**63) - 1,
        [2**31],
        [1e39],
        [1, "a"],
        [True],
        [[1]],
        object(),
        np.zeros((2, 2)),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(value: Any) -> None:
    with pytest.raises(TfliteError, match="gain"):
        encode({"gain": value})


_SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(width=32, allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.lists(st.text(max_size=5), max_size=5)
    | st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5)
    | st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5)
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=12), _SCALARS, max_size=8))
def test_what_is_written_is_read(parameters: dict[str, Any]) -> None:
    data = encode(parameters)
    assert decode(data) == parameters
    assert list(decode(data)) == list(parameters)
    assert {key: value for key, _, value in walk(data)[1]} == parameters


def test_damage_is_an_error_and_never_a_crash() -> None:
    data = encode(
        {"name": "x", "classes": ["yes", "no"], "gain": 0.5, "raw": b"123", "n": [1, 2], "f": [0.5]}
    )
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(data[: rng.integers(len(data) + 1)] if rng.random() < 0.2 else data)
        for _ in range(rng.integers(1, 4)):
            if damaged:
                damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            decode(bytes(damaged))
        except TfliteError:
            refused += 1
    assert refused > 500


def test_many_entries_over_the_same_bytes_do_not_unfold() -> None:
    # 20,000 entries that are all the same one with a long key: a few kB on disk, 200 MB unfolded.
    one = encode({"k" * 10_000: 1})
    root = struct.unpack_from("<I", one, 0)[0]
    field = root + struct.unpack_from("<H", one, root - struct.unpack_from("<i", one, root)[0] + 6)[0]
    vector = field + struct.unpack_from("<I", one, field)[0]
    entry = vector + 4 + struct.unpack_from("<I", one, vector + 4)[0]
    forged = bytearray(one)
    count = 20_000
    base = len(forged)
    forged += struct.pack("<I", count)
    for index in range(count):
        # A relative offset is unsigned: entries have to lie behind the list.
        forged += struct.pack("<I", base + 4 + 4 * count - (base + 4 + 4 * index))
    copied = one[entry:]
    vtable = entry - struct.unpack_from("<i", one, entry)[0]
    forged += struct.pack("<i", len(forged) - vtable) + copied[4:]
    struct.pack_into("<I", forged, field, base - field)
    with pytest.raises(TfliteError, match="damaged"):
        decode(bytes(forged))
