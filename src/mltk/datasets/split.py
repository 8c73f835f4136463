"""Splits into training and validation that keep a speaker on one side.

A net that was tuned on a speaker's voice scores well on that speaker's other clips: a validation set with the
same voices tells nothing about strangers. So speakers are split, not clips, and each speaker once for all
words.
"""

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TypeVar

from mltk.utils.errors import DatasetError

_Item = TypeVar("_Item")

# Speech Commands' README: the hex digits before "_nohash_" are the speaker, the number after it counts clips.
_SPEECH_COMMANDS_NAME = re.compile(r"([0-9a-fA-F]+)_nohash_\d+")


def speaker_of(path: str | os.PathLike[str]) -> str:
    """Tell the speaker of a clip from its file name by the rule of Speech Commands, `<hex>_nohash_<n>`.

    A name of another form tells nothing: such a clip counts as a speaker of its own, and the path is
    returned.
    """
    name = os.path.basename(path)  # noqa: PTH119 - a tenth of a Path's time, of 100,000 clips
    match = _SPEECH_COMMANDS_NAME.fullmatch(name.rpartition(".")[0] or name)
    return match.group(1).lower() if match else PurePath(path).as_posix()


def split_file_list(paths: Sequence[_Item], split: tuple[float, float] | None = None) -> list[_Item]:
    """Return a part of a list (historical MLTK function).

    Args:
        paths: the list, shuffled by group.
        split: where the part starts and ends, as fractions: (0, 0.15) gives the first 15 %, (0.15, 1) the
            others. All if None.

    Raises:
        DatasetError: the fractions are not in order within 0..1.

    """
    if split is None:
        return list(paths)
    start, stop = split
    if not 0.0 <= start <= stop <= 1.0:
        raise DatasetError(
            f"The split {split} is not a pair of fractions in order: use values such as (0, 0.15)"
        )
    return list(paths[math.ceil(start * len(paths)) : math.ceil(stop * len(paths))])


def shuffle_file_list_by_group(
    paths: Iterable[_Item], get_group: Callable[[_Item], str], seed: int = 42
) -> list[_Item]:
    """Shuffle a list by groups, such as speakers, whose items stay together (historical MLTK function).

    The order depends on the items and the seed alone, not on the order in which they come or on the machine.

    Args:
        paths: file paths, or other items that can be sorted.
        get_group: tells an item's group.
        seed: another seed, another order.

    """
    groups: dict[str, list[_Item]] = {}
    for item in sorted(paths):  # type: ignore[type-var]
        groups.setdefault(get_group(item), []).append(item)
    return [item for group in stable_shuffle(groups, str, seed) for item in groups[group]]


def stable_shuffle(items: Iterable[_Item], key: Callable[[_Item], str], seed: int) -> list[_Item]:
    """Return the items in an order that a hash of their keys gives.

    Unlike a generator's shuffle it is the same in every version of every library, and an item that is added
    later does not change the order of the others.
    """

    def rank(item: _Item) -> bytes:
        return hashlib.sha256(f"{seed}\0{key(item)}".encode("utf-8", "surrogateescape")).digest()

    return sorted(items, key=rank)


def validation_speakers(
    clips_of: Mapping[str, Mapping[str, int]], fraction: float, seed: int = 42
) -> set[str]:
    """Choose the speakers for the validation side.

    Speakers are taken in a shuffled order, each if that brings the classes' numbers of validation clips
    nearer to the wanted fraction (sum over the classes of the squared relative distance). Then a class that
    got nothing on one side gets its cheapest speaker there, unless that would leave some class without
    training clips.

    Args:
        clips_of: speaker -> class -> number of clips.
        fraction: of each class's clips that the validation side should get, 0 <= fraction < 1. 0 gives an
            empty set.
        seed: another seed, other speakers.

    Returns:
        The speakers of the validation side.

    Raises:
        DatasetError: the fraction is out of its range.

    """
    if not 0.0 <= fraction < 1.0:
        raise DatasetError(f"The validation split is {fraction}: use a value from 0 to below 1, such as 0.15")
    if fraction == 0.0:
        return set()
    balance = _Balance(clips_of, fraction)
    for speaker in stable_shuffle(clips_of, str, seed):
        if balance.cost_of_moving(speaker) < 0.0:
            balance.move(speaker)
    balance.fill_empty_sides()
    return balance.validation


class _Balance:
    """How far the sides are from the wanted split; moves speakers between them."""

    def __init__(self, clips_of: Mapping[str, Mapping[str, int]], fraction: float) -> None:
        self.clips_of = clips_of
        self.validation: set[str] = set()
        self.totals: dict[str, int] = {}
        self.speakers_of: dict[str, list[str]] = {}
        for speaker in sorted(clips_of):
            for name, count in clips_of[speaker].items():
                if count > 0:
                    self.totals[name] = self.totals.get(name, 0) + count
                    self.speakers_of.setdefault(name, []).append(speaker)
        self.wanted = {name: fraction * total for name, total in self.totals.items()}
        self.taken = dict.fromkeys(self.totals, 0)

    def _change(self, speaker: str) -> dict[str, int]:
        sign = -1 if speaker in self.validation else 1
        return {name: sign * count for name, count in self.clips_of[speaker].items() if count > 0}

    def cost_of_moving(self, speaker: str) -> float:
        """Return by how much the squared relative distance grows if the speaker changes sides."""
        cost = 0.0
        for name, change in self._change(speaker).items():
            distance = self.taken[name] - self.wanted[name]
            cost += (change * change + 2 * change * distance) / self.totals[name] ** 2
        return cost

    def move(self, speaker: str) -> None:
        for name, change in self._change(speaker).items():
            self.taken[name] += change
        self.validation ^= {speaker}

    def _empties_training(self, speaker: str) -> bool:
        """Tell whether some class would lose its last training clip with this speaker."""
        return any(
            self.totals[name] - self.taken[name] == change for name, change in self._change(speaker).items()
        )

    def fill_empty_sides(self) -> None:
        """Give every class clips on both sides where its speakers allow it; training comes first."""
        for name, speakers in self.speakers_of.items():
            if self.taken[name] == self.totals[name]:
                self.move(min(speakers, key=self.cost_of_moving))
        for name, speakers in self.speakers_of.items():
            if self.taken[name] == 0:
                movable = [speaker for speaker in speakers if not self._empties_training(speaker)]
                if movable:
                    self.move(min(movable, key=self.cost_of_moving))
