"""Score a stream whose words are known: which were heard, which missed, what was heard for no reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mltk.detection.events import Detection
from mltk.utils.errors import DetectionError

_MS_AN_HOUR = 3_600_000


@dataclass(frozen=True)
class SpokenWord:
    """A word whose place in the stream is known.

    Attributes:
        label: the class that should be heard.
        start_ms: where it begins.
        end_ms: where it ends.

    """

    label: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class StreamScore:
    """What came of a stream.

    Attributes:
        heard: each word that was heard, with its detection.
        missed: words without a detection in their time.
        false: detections that belong to no word; a second one of the same word is false too.
        duration_ms: how long the stream was.

    """

    heard: tuple[tuple[SpokenWord, Detection], ...]
    missed: tuple[SpokenWord, ...]
    false: tuple[Detection, ...]
    duration_ms: int

    @property
    def heard_rate(self) -> float:
        """Return the part of the words that was heard, 0 to 1; 1 where no word was spoken."""
        words = len(self.heard) + len(self.missed)
        return len(self.heard) / words if words else 1.0

    @property
    def false_per_hour(self) -> float:
        """Return false detections per hour of the stream."""
        return len(self.false) * _MS_AN_HOUR / self.duration_ms

    def __str__(self) -> str:
        """Return one line with the counts."""
        words = len(self.heard) + len(self.missed)
        minutes = self.duration_ms / 60_000
        return (
            f"{len(self.heard)} of {words} words heard ({self.heard_rate:.3f}), {len(self.missed)} missed, "
            f"{len(self.false)} false in {minutes:.1f} min ({self.false_per_hour:.2f} an hour)"
        )


def score_stream(
    detections: Iterable[Detection],
    words: Iterable[SpokenWord],
    duration_ms: int,
    *,
    before_ms: int = 0,
    after_ms: int = 500,
) -> StreamScore:
    """Match detections to words.

    A detection belongs to a word if its label is the word's and its time lies in
    [start - before_ms, end + after_ms]. Detections are taken in the order of time and each takes the earliest
    such word that has none yet.

    Args:
        detections: what a detector reported, in any order.
        words: what was said, in any order.
        duration_ms: length of the stream, for the false ones per hour.
        before_ms: how much before a word's start a detection may come.
        after_ms: how much after a word's end it may come.

    Raises:
        DetectionError: the duration is not positive.

    """
    if duration_ms <= 0:
        raise DetectionError(f"The stream's duration must be positive, got {duration_ms} ms")
    open_words = sorted(words, key=lambda word: (word.end_ms, word.start_ms))
    heard: list[tuple[SpokenWord, Detection]] = []
    false: list[Detection] = []
    for detection in sorted(detections, key=lambda detection: detection.time_ms):
        word = _first_match(detection, open_words, before_ms, after_ms)
        if word is None:
            false.append(detection)
        else:
            open_words.remove(word)
            heard.append((word, detection))
    return StreamScore(tuple(heard), tuple(open_words), tuple(false), duration_ms)


def _first_match(
    detection: Detection, words: Sequence[SpokenWord], before_ms: int, after_ms: int
) -> SpokenWord | None:
    for word in words:
        in_time = word.start_ms - before_ms <= detection.time_ms <= word.end_ms + after_ms
        if in_time and word.label == detection.label:
            return word
    return None
