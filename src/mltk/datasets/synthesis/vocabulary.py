"""Words that are not to be recognized, and sentences for babble. English."""

from collections.abc import Iterable

DISTRACTORS = (
    "zero", "two", "three", "four", "five", "six", "seven", "nine",
    "left", "up", "down", "forward", "backward",
    "bed", "bird", "cat", "dog", "happy", "house", "tree", "wow",
    "yet", "guess", "now", "note", "snow", "mess", "top", "step", "often", "going", "learn",
    "music", "water", "people", "follow", "visual", "marvin",
)  # fmt: skip
"""Common words: numbers, directions, things, and near misses of usual keywords (yes, no, stop, on, go)."""

SENTENCES = (
    "the train was late again this morning",
    "could you bring the papers over to the kitchen table",
    "we had rain all week and then a little sun",
    "she told them about the house near the river",
    "i think the meeting begins at a quarter past nine",
    "there are seven apples and a loaf of bread in the bag",
    "he walked along the street and bought a newspaper",
    "my sister plays the piano every evening after dinner",
    "they will call us when the doctor has some time",
    "put the heavy boxes under the window please",
    "the children were laughing at the small brown dog",
    "everyone remembers where the keys were put away",
)
"""Ordinary talk for babble; each holds at least eight words."""

# Words that sound alike: one of them is no distractor for the other.
_HOMOPHONES = (
    {"no", "know"}, {"to", "too", "two"}, {"for", "four", "fore"}, {"won", "one"}, {"ate", "eight"},
    {"right", "write"}, {"their", "there"}, {"by", "bye", "buy"}, {"hi", "high"}, {"sea", "see"},
    {"hear", "here"},
)  # fmt: skip


def distractors_for(words: Iterable[str]) -> list[str]:
    """Return the distractors that neither are nor sound like one of the wanted words or a phrase's parts."""
    taken = {part for word in words for part in word.casefold().replace("-", " ").split()}
    for group in _HOMOPHONES:
        if group & taken:
            taken |= group
    return [word for word in DISTRACTORS if word not in taken]
