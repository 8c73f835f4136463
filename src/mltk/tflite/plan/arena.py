"""Where tensors live: one block of memory, shared by tensors that are not needed at the same time."""

from dataclasses import dataclass

ALIGNMENT = 4


@dataclass(frozen=True)
class Block:
    """Memory that is needed for some time.

    Attributes:
        size: bytes.
        first, last: the first and last step that needs it, both included.

    """

    size: int
    first: int
    last: int


def align(size: int) -> int:
    """Round up to what the kernels want."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(blocks: dict[int, Block]) -> tuple[dict[int, int], int]:
    """Give every block an offset so that no two overlap in memory and time.

    Greedy: large blocks first, each at the lowest place that is free during its life. Deterministic.

    Returns:
        Block -> offset, and the bytes that are needed in all.

    """
    offsets: dict[int, int] = {}
    order = sorted(blocks, key=lambda key: (-blocks[key].size, blocks[key].first, key))
    for key in order:
        block = blocks[key]
        neighbours = sorted(
            (offset, offset + align(blocks[other].size))
            for other, offset in offsets.items()
            if blocks[other].first <= block.last and block.first <= blocks[other].last
        )
        start = 0
        for begin, end in neighbours:
            if begin - start >= block.size:
                break
            start = max(start, end)
        offsets[key] = start
    total = max((offsets[key] + align(block.size) for key, block in blocks.items()), default=0)
    return offsets, total
