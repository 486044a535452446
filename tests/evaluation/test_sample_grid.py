"""The stories of a sample grid."""

import numpy as np

from storygan.evaluation.bootstrap import PerStory
from storygan.evaluation.sample_grid import RANKS, build_sample_grid, rank_stories


def metrics(accuracy: list[float], consistency: list[float]) -> dict[str, PerStory]:
    weight = np.ones(len(accuracy))
    values = {
        "story_consistency": consistency,
        "object_accuracy": accuracy,
        "no_false_positives": [9.0] * len(accuracy),
    }
    return {name: PerStory(np.array(value), weight) for name, value in values.items()}


def test_stories_are_ranked_by_accuracy_then_consistency_then_order() -> None:
    assert rank_stories(metrics([0.5, 1.0, 0.5, 0.5, 0.0], [0.2, 0.0, 0.9, 0.2, 1.0])).tolist() == [1, 2, 0, 3, 4]


def test_a_story_of_weight_0_is_last() -> None:
    measured = {"object_accuracy": PerStory(np.array([0.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0]))}
    assert rank_stories(measured).tolist() == [1, 2, 0]


def test_each_rank_has_real_and_generated_frames_with_sentences() -> None:
    N, T = 9, 2
    real = np.arange(N, dtype=np.uint8)[:, None, None, None, None] * np.ones((N, T, 64, 64, 3), np.uint8)
    X_hat, sentences = real + 100, [[f"story {n}", "goes on"] for n in range(N)]
    accuracy = [n / N for n in range(N)]
    rows = build_sample_grid(metrics(accuracy, accuracy), real, X_hat, sentences)
    assert [int(row.frames[0, 0, 0, 0]) for row in rows] == [8, 108, 6, 106, 4, 104, 2, 102, 0, 100]
    assert [row.captions[0] for row in rows[1::2]] == ["story 8", "story 6", "story 4", "story 2", "story 0"]
    assert len(rows) == 2 * len(RANKS)
