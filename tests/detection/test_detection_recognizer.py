"""The C recognizer against the rules of detection.md, written down a second time in plain Python."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltk.detection.events import Detection
from mltk.detection.recognizer import Decision, Recognizer
from mltk.detection.settings import DEFAULTS, DetectionSettings, make_settings
from mltk.native import _detector
from mltk.utils.errors import DetectionError

LABELS = ("yes", "no", "_unknown_", "_silence_")


def make(labels=LABELS, threshold=200, window=1000, count=3, suppression=1500, mode="toolkit"):
    thresholds = threshold if isinstance(threshold, tuple) else (threshold,) * len(labels)
    return DetectionSettings(labels, thresholds, window, count, suppression, 100, 1.0, mode=mode)


class Oracle:
    """Rules 1 to 4 with lists; shares no code with the package."""

    def __init__(self, s):
        self.s, self.results, self.previous = s, [], None

    def update(self, scores, now):
        assert not self.results or now > self.results[-1][0]
        self.results.append((now, list(map(int, scores))))
        if self.s.minimum_count == 0:
            self.results = self.results[-1:]
        else:
            self.results = [r for r in self.results if not r[0] < now - self.s.average_window_duration_ms]
        if len(self.results) < self.s.minimum_count:
            return (False, False, 0, 0)
        averages = [
            sum(column) // len(self.results) for column in zip(*(r[1] for r in self.results), strict=True)
        ]
        best = max(averages)
        top = averages.index(best)
        report = best > self.s.thresholds[top]
        if self.s.mode == "toolkit" and self.s.labels[top].startswith("_"):
            report = False
        if report and self.previous is not None:
            label, time = self.previous
            report = label != top or now - time > self.s.suppression_ms
        if report:
            self.previous = (top, now)
        return (True, report, top, best)


def feed(recognizer, rows):
    """rows: (time, scores) -> the decisions."""
    return [recognizer.update(np.array(scores, np.uint8), time) for time, scores in rows]


sequences = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from(["yes", "no", "_x", "unknown", "_", ""]), min_size=n, max_size=n),
        st.lists(st.integers(0, 255), min_size=n, max_size=n),
        st.lists(
            st.tuples(
                st.integers(1, 700),
                st.lists(
                    st.one_of(st.integers(0, 255), st.sampled_from([0, 199, 200, 201, 255])),
                    min_size=n,
                    max_size=n,
                ),
            ),
            max_size=60,
        ),
    )
)


@settings(max_examples=400, deadline=None)
@given(
    sequences,
    st.integers(0, 2000),
    st.integers(0, 5),
    st.integers(0, 2000),
    st.sampled_from(["toolkit", "micro_speech"]),
    st.integers(0, 2**40),
)
def test_c_does_what_the_rules_say(sequence, window, count, suppression, mode, start):
    labels, thresholds, steps = sequence
    s = DetectionSettings(tuple(labels), tuple(thresholds), window, count, suppression, 0, 1.0, mode=mode)
    recognizer, oracle, now = Recognizer(s), Oracle(s), start
    rows = []
    for step, scores in steps:
        now += step
        rows.append((now, scores))
    expected = [oracle.update(scores, time) for time, scores in rows]
    first = feed(recognizer, rows)
    assert [tuple(d) for d in first] == expected
    recognizer.reset()
    assert feed(recognizer, rows) == first, "reset == fresh"


def test_a_worked_example():
    # micro_speech's settings; results every 500 ms. Averages of "yes": -, -, (255+150+200)//3 = 201, ...
    r = Recognizer(make())
    rows = [
        (500, [255, 0, 0, 0]),
        (1000, [150, 0, 105, 0]),
        (1500, [200, 0, 55, 0]),  # 605 // 3 = 201 > 200: heard
        (
            2000,
            [255, 0, 0, 0],
        ),  # the result at 500 is dropped, the one at 1000 (now - 1000) stays: 605 // 3 = 201
        (2500, [255, 0, 0, 0]),  # 236, but 1000 ms after the detection
        (3000, [255, 0, 0, 0]),  # 255, but 1500 ms after: not more than suppression
        (3001, [255, 0, 0, 0]),  # 1501 ms after: heard again
    ]
    assert [tuple(d) for d in feed(r, rows)] == [
        (False, False, 0, 0),
        (False, False, 0, 0),
        (True, True, 0, 201),
        (True, False, 0, 201),
        (True, False, 0, 236),
        (True, False, 0, 255),
        (True, True, 0, 255),
    ]


def test_the_threshold_must_be_exceeded_and_each_class_has_its_own():
    r = Recognizer(make(count=0, threshold=(200, 100, 255, 255)))
    assert not r.update(np.array([200, 0, 0, 0], np.uint8), 1).is_detection
    assert r.update(np.array([201, 0, 0, 0], np.uint8), 2).is_detection
    assert not r.update(np.array([0, 100, 0, 0], np.uint8), 3).is_detection
    assert r.update(np.array([0, 101, 0, 0], np.uint8), 4).is_detection


def test_equal_averages_go_to_the_first_class():
    r = Recognizer(make(count=0, threshold=0))
    assert r.update(np.array([9, 9, 9, 9], np.uint8), 1).class_id == 0
    assert r.update(np.array([8, 9, 9, 9], np.uint8), 2).class_id == 1


def test_another_word_is_heard_at_once_and_so_is_the_first_again():
    r = Recognizer(make(count=0))
    yes, no = [255, 0, 0, 0], [0, 255, 0, 0]
    assert [d.is_detection for d in feed(r, [(1, yes), (2, yes), (3, no), (4, no), (5, yes)])] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_unknown_in_between_does_not_lift_the_suppression():
    r = Recognizer(make(count=0))
    yes, unknown = [255, 0, 0, 0], [0, 0, 255, 0]
    assert [d.is_detection for d in feed(r, [(1, yes), (2, unknown), (3, yes)])] == [True, False, False]


def test_micro_speech_reports_unknown_and_silence():
    r = Recognizer(make(labels=("silence", "unknown", "yes", "_x"), count=0, mode="micro_speech"))
    rows = [(i + 1, np.eye(4, dtype=np.uint8)[i] * 255) for i in range(4)]
    assert [d.is_detection for d in feed(r, rows)] == [True] * 4


def test_the_latest_of_a_long_run_is_not_confused_by_the_49_day_counter():
    r = Recognizer(make(count=0))
    yes = [255, 0, 0, 0]
    # 2^32 ms later is not 0 ms later.
    assert [d.is_detection for d in feed(r, [(5, yes), (2**32 + 5, yes), (2**62, yes)])] == [True] * 3


@pytest.mark.parametrize("time", [100, 99, 0, -1, -(2**62)])
def test_times_must_rise_and_a_refused_result_changes_nothing(time):
    r = Recognizer(make(count=2))
    assert not r.update(np.array([255, 0, 0, 0], np.uint8), 100).is_decided
    with pytest.raises(DetectionError, match="rise"):
        r.update(np.array([0, 255, 0, 0], np.uint8), time)
    assert r.update(np.array([255, 0, 0, 0], np.uint8), 101) == Decision(True, True, 0, 255)


def test_more_results_than_slots_are_refused():
    core = _detector.Recognizer(["a"], np.array([1], np.uint8), 1000, 2, 0, 2, False)
    one = np.array([5], np.uint8)
    core.update(one, 1)
    core.update(one, 2)
    with pytest.raises(ValueError, match="slots"):
        core.update(one, 3)
    assert core.update(one, 1002) == (True, True, 0, 5), "room again once the first is too old"


def test_slots_needed():
    # Both ends of the window and one to spare.
    assert _detector.results_needed(1000, 100, 3) == 12
    assert _detector.results_needed(1000, 0, 3) == 1002
    assert _detector.results_needed(0, 100, 3) == 3
    assert _detector.results_needed(1000, 100, 0) == 1
    assert _detector.results_needed(2**32 - 1, 1, 3) == 0


@pytest.mark.parametrize(
    "scores",
    [np.zeros(4, np.int8), np.zeros(4), np.zeros((1, 4), np.uint8), np.zeros(8, np.uint8)[::2], [1, 2, 3, 4]],
)
def test_wrong_arrays_are_refused(scores):
    with pytest.raises(TypeError):
        Recognizer(make()).update(scores, 1)


def test_wrong_number_of_classes():
    with pytest.raises(DetectionError, match="expected 4 scores, got 3"):
        Recognizer(make()).update(np.zeros(3, np.uint8), 1)


@pytest.mark.parametrize(
    ("labels", "thresholds", "count", "slots"),
    [([], [], 1, 5), (["a"], [1, 2], 1, 5), (["a"], [1], 3, 2), (["a"], [1], 0, 0)],
)
def test_the_core_refuses_bad_set_ups(labels, thresholds, count, slots):
    with pytest.raises(ValueError, match=r"labels|slots"):
        _detector.Recognizer(labels, np.array(thresholds, np.uint8), 1000, count, 0, slots, False)


def test_absurd_memory_is_refused():
    with pytest.raises(DetectionError, match="too large"):
        Recognizer(make(window=600_000))


# The settings.

PARAMETERS = {
    "classes": ["yes", "no"],
    "average_window_duration_ms": 900,
    "minimum_count": 4,
    "detection_threshold": 185,
    "suppression_ms": 750,
    "latency_ms": 50,
    "volume_gain": 2,
    "verbose_model_output_logs": True,
}


def test_settings_come_from_the_model():
    s = make_settings(PARAMETERS)
    assert s == DetectionSettings(("yes", "no"), (185, 185), 900, 4, 750, 50, 2.0, True, "toolkit")


def test_options_replace_them():
    s = make_settings(
        {**PARAMETERS, "detection_threshold_list": [1, 2]},
        window_duration_ms=1,
        count=0,
        threshold=7,
        suppression_ms=3,
        latency_ms=4,
        volume=0,
    )
    assert s == DetectionSettings(("yes", "no"), (7, 7), 1, 0, 3, 4, 1.0, True, "toolkit")


def test_the_list_of_thresholds_goes_before_the_single_one():
    assert make_settings({**PARAMETERS, "detection_threshold_list": [10, 255]}).thresholds == (10, 255)
    assert make_settings(PARAMETERS, threshold=[3, 4]).thresholds == (3, 4)


def test_defaults_are_micro_speechs():
    s = make_settings({"classes": ["a"]})
    assert (s.average_window_duration_ms, s.thresholds, s.suppression_ms, s.minimum_count) == (
        1000,
        (200,),
        1500,
        3,
    )
    assert s.latency_ms == DEFAULTS["latency_ms"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": None}, "classes"),
        ({"classes": []}, "classes"),
        ({"classes": "yes"}, "classes"),
        ({"detection_threshold": 256}, "detection_threshold must be a whole number from 0 to 255, got 256"),
        ({"detection_threshold": "loud"}, "got 'loud'"),
        ({"detection_threshold_list": [1]}, "1 entries for 2 classes"),
        ({"detection_threshold_list": [1, -1]}, "got -1"),
        ({"minimum_count": True}, "minimum_count"),
        ({"minimum_count": 2.5}, "minimum_count"),
        ({"average_window_duration_ms": 10**9}, "600000"),
        ({"latency_ms": 1000}, "Nothing could ever be heard"),
        ({"suppression_ms": -1}, "suppression_ms"),
        ({"volume_gain": 0.5}, "volume_gain"),
        ({"volume_gain": float("nan")}, "volume_gain"),
    ],
)
def test_bad_parameters_are_named(change, says):
    with pytest.raises(DetectionError, match=says):
        make_settings({**PARAMETERS, **change})


@pytest.mark.parametrize(
    "option",
    [
        {"threshold": 256},
        {"threshold": -1},
        {"window_duration_ms": -5},
        {"volume": -1},
        {"count": 1.0},
        {"mode": "both"},
    ],
)
def test_bad_options_are_named(option):
    with pytest.raises(DetectionError):
        make_settings(PARAMETERS, **option)


def test_how_a_detection_prints():
    d = Detection("yes", 201, 4056, 0)
    assert str(d) == "Heard yes (201) @4056ms"
    assert json.loads(d.to_json()) == {"time_ms": 4056, "label": "yes", "score": 201, "class_id": 0}
    assert "\n" not in Detection("a\nb", 1, 1, 0).to_json()
