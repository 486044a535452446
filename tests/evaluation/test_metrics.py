"""The metrics on readings made by hand."""

from __future__ import annotations

import numpy as np

from storygan.evaluation import metrics
from storygan.evaluation.bootstrap import PerStory
from storygan.evaluation.measure import label_metrics
from storygan.evaluation.metrics import ObjectPredictions


def perfect(N: int = 2, T: int = 3) -> ObjectPredictions:
    """Every object there and right, in all frames; nothing extra."""
    told = np.zeros((N, T, T, 4), np.int8)
    return ObjectPredictions(np.ones((N, T, T), bool), told, np.ones((N, T, T, 4), bool), np.zeros((N, T), int))


def value(metric: PerStory) -> list[float]:
    return (metric.total / metric.weight).tolist()


def test_perfect_readings_score_one() -> None:
    seen = perfect()
    for metric in (
        metrics.object_accuracy,
        metrics.story_consistency,
        metrics.no_false_positives,
        metrics.object_recall,
    ):
        assert value(metric(seen)) == [1, 1]


def test_object_accuracy_is_of_each_frames_own_object() -> None:
    seen = perfect()
    seen.there[0, 2, 1] = False  # an earlier object, missing later
    assert value(metrics.object_accuracy(seen)) == [1, 1]
    assert value(metrics.story_consistency(seen)) == [2 / 3, 1]
    seen.right[1, 1, 1, 2] = False  # the new object of frame 2 has another material
    assert value(metrics.object_accuracy(seen)) == [1, 2 / 3]
    assert value(metrics.object_recall(seen)) == [1, 1]
    attributes = {name: value(metric) for name, metric in metrics.attribute_accuracy(seen).items()}
    assert attributes.pop("material_accuracy") == [1, 2 / 3]
    assert set(map(tuple, attributes.values())) == {(1, 1)}


def test_an_earlier_object_that_changed_is_not_consistent() -> None:
    seen = perfect()
    seen.right[0, 2, 0, 1] = False  # object 1 has another colour in frame 3
    assert value(metrics.story_consistency(seen)) == [2 / 3, 1]
    assert value(metrics.object_accuracy(seen)) == [1, 1]


def test_an_object_that_is_not_there_is_not_accurate() -> None:
    seen = perfect()
    seen.there[0, 1, 1] = False  # whatever is read at its place
    assert value(metrics.object_accuracy(seen)) == [2 / 3, 1]


def test_later_objects_do_not_count_before_they_are_told() -> None:
    seen = perfect()
    seen.there[:, 0, 1:] = False
    assert value(metrics.object_accuracy(seen)) == [1, 1]
    assert value(metrics.story_consistency(seen)) == [1, 1]


def test_an_object_that_is_not_there_has_no_right_attribute() -> None:
    seen = perfect()
    seen.there[0, 0, 0] = False
    assert value(metrics.attribute_accuracy(seen)["colour_accuracy"]) == [2 / 3, 1]


def test_nothing_extra_counts_frames() -> None:
    seen = perfect()
    seen.extra[1, :2] = 1
    assert value(metrics.no_false_positives(seen)) == [1, 1 / 3]


def test_labels() -> None:
    labels = np.array([[[1, 0, 1], [0, 0, 1]]], bool)  # 1 story, 2 frames, 3 labels
    found = np.array([[[1, 0, 1], [1, 0, 0]]], bool)
    assert value(metrics.label_exact_match(found, labels)) == [0.5]
    assert value(metrics.label_micro_f1(found, labels)) == [2 * 2 / (3 + 3)]
    assert value(metrics.label_consistency(found, labels)) == [0]


def test_groups_of_labels_are_measured_on_their_own() -> None:
    names = ("who: fox", "who: bear", "place: farm", "lucky")
    labels = np.array([[[1, 0, 1, 0], [0, 1, 1, 1]]], bool)  # 1 story, 2 frames
    found = np.array([[[1, 0, 1, 1], [0, 0, 1, 1]]], bool)
    values = {name: value(metric)[0] for name, metric in label_metrics(found, labels, names).items()}
    assert values == {
        "label_exact_match": 0,
        "label_micro_f1": 2 * 4 / (5 + 5),
        "label_consistency": 0,
        "label_exact_match_who": 0.5,
        "label_micro_f1_who": 2 * 1 / (1 + 2),
        "label_consistency_who": 0,
        "label_exact_match_place": 1,
        "label_micro_f1_place": 1,
        "label_consistency_place": 1,
    }
