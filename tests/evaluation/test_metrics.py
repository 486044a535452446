"""Metrics of hand-made predictions, frames and models."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torchmetrics.functional.classification import (
    multilabel_exact_match,
    multilabel_f1_score,
    multilabel_precision,
    multilabel_recall,
)
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from storygan.config import ModelConfig
from storygan.evaluation import metrics
from storygan.evaluation.bootstrap import PerStory
from storygan.evaluation.metrics import ObjectPredictions, diversity_metrics, label_metrics, pixel_metrics
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN


def value(metric: PerStory) -> list[float]:
    return (metric.total / metric.weight).tolist()


# ---- objects ----


def perfect(N: int = 2, T: int = 3) -> ObjectPredictions:
    """Every object present and correct in all frames, no false positives."""
    return ObjectPredictions(
        present=np.ones((N, T, T), bool),
        attributes=np.zeros((N, T, T, 4), np.int8),
        correct=np.ones((N, T, T, 4), bool),
        false_positives=np.zeros((N, T), int),
    )


def test_perfect_predictions_score_one() -> None:
    for metric in metrics.object_metrics(perfect()).values():
        assert value(metric) == [1, 1]


def test_object_accuracy_counts_the_new_object_of_each_frame() -> None:
    predictions = perfect()
    predictions.present[0, 2, 1] = False  # an earlier object, missing later
    assert value(metrics.object_accuracy(predictions)) == [1, 1]
    assert value(metrics.story_consistency(predictions)) == [2 / 3, 1]
    predictions.correct[1, 1, 1, 2] = False  # the new object of frame 2 has another material
    assert value(metrics.object_accuracy(predictions)) == [1, 2 / 3]
    assert value(metrics.object_recall(predictions)) == [1, 1]
    attributes = {name: value(metric) for name, metric in metrics.attribute_accuracy(predictions).items()}
    assert attributes.pop("material_accuracy") == [1, 2 / 3]
    assert set(map(tuple, attributes.values())) == {(1, 1)}


def test_an_earlier_object_that_changed_is_not_consistent() -> None:
    predictions = perfect()
    predictions.correct[0, 2, 0, 1] = False  # object 1 has another colour in frame 3
    assert value(metrics.story_consistency(predictions)) == [2 / 3, 1]
    assert value(metrics.object_accuracy(predictions)) == [1, 1]


def test_consistency_at_a_distance_is_of_the_object_so_many_sentences_before() -> None:
    predictions = perfect()
    predictions.present[0, 2, 0] = False  # object 1 is missing in frame 3
    predictions.present[1, 2, 1] = False  # object 2 is
    predictions.present[1, 0, 2] = False  # the object of a later sentence does not count
    found = metrics.consistency_at_distance(predictions)
    assert {name: value(metric) for name, metric in found.items()} == {
        "story_consistency_k1": [1, 1 / 2],
        "story_consistency_k2": [0, 1],
    }


def test_an_absent_object_is_neither_accurate_nor_of_the_correct_attributes() -> None:
    predictions = perfect()
    predictions.present[0, 1, 1] = False
    assert value(metrics.object_accuracy(predictions)) == [2 / 3, 1]
    assert value(metrics.attribute_accuracy(predictions)["colour_accuracy"]) == [2 / 3, 1]


def test_objects_of_later_sentences_do_not_count() -> None:
    predictions = perfect()
    predictions.present[:, 0, 1:] = False
    assert value(metrics.object_accuracy(predictions)) == [1, 1]
    assert value(metrics.story_consistency(predictions)) == [1, 1]


def test_no_false_positives_counts_frames() -> None:
    predictions = perfect()
    predictions.false_positives[1, :2] = 3
    assert value(metrics.no_false_positives(predictions)) == [1, 1 / 3]


# ---- labels ----


def test_label_metrics() -> None:
    labels = np.array([[[1, 0, 1], [0, 0, 1]]], bool)  # 1 story, 2 frames, 3 labels
    predicted = np.array([[[1, 0, 1], [1, 0, 0]]], bool)
    assert value(metrics.label_exact_match(predicted, labels)) == [0.5]
    assert value(metrics.label_micro_f1(predicted, labels)) == [2 * 2 / (3 + 3)]
    assert value(metrics.label_consistency(predicted, labels)) == [0]
    predicted[0, 1] = [1, 1, 0]
    assert value(metrics.label_micro_precision(predicted, labels)) == [2 / 4]
    assert value(metrics.label_micro_recall(predicted, labels)) == [2 / 3]


def test_label_metrics_equal_those_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = (rng.random((20, 4, 7)) < share for share in (0.3, 0.4))
    x, y = (torch.from_numpy(z.reshape(-1, 7)).int() for z in (predicted, labels))
    options = {"num_labels": 7, "average": "micro"}
    expected = {
        "label_micro_f1": multilabel_f1_score(x, y, **options),
        "label_micro_precision": multilabel_precision(x, y, **options),
        "label_micro_recall": multilabel_recall(x, y, **options),
        "label_exact_match": multilabel_exact_match(x, y, num_labels=7),
    }
    found = label_metrics(predicted, labels, [""] * 7)
    for name, value in expected.items():
        total, weight = found[name]
        assert total.sum() / weight.sum() == pytest.approx(value.item(), abs=1e-6), name


def test_label_groups_are_also_measured_alone() -> None:
    names = ("who: fox", "who: bear", "place: farm", "other")
    labels = np.array([[[1, 0, 1, 0], [0, 1, 1, 1]]], bool)  # 1 story, 2 frames
    predicted = np.array([[[1, 0, 1, 1], [0, 0, 1, 1]]], bool)
    values = {name: value(metric)[0] for name, metric in label_metrics(predicted, labels, names).items()}
    assert values == {
        "label_exact_match": 0,
        "label_micro_f1": 2 * 4 / (5 + 5),
        "label_micro_precision": 4 / 5,
        "label_micro_recall": 4 / 5,
        "label_consistency": 0,
        "label_exact_match_who": 0.5,
        "label_micro_f1_who": 2 * 1 / (1 + 2),
        "label_micro_precision_who": 1,
        "label_micro_recall_who": 1 / 2,
        "label_consistency_who": 0,
        "label_exact_match_place": 1,
        "label_micro_f1_place": 1,
        "label_micro_precision_place": 1,
        "label_micro_recall_place": 1,
        "label_consistency_place": 1,
    }


# ---- pixels ----


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """2 stories of 3 frames of noise."""
    return np.random.default_rng(0).integers(0, 256, (2, 3, 20, 16, 3), dtype=np.uint8)


def test_pixel_metrics_of_equal_frames(frames: np.ndarray) -> None:
    best = {"ssim_01_gauss11": 1, "ssim_pm1_range1_gauss11": 1, "psnr_01": 60}
    for name, metric in pixel_metrics(frames, frames).items():
        assert value(metric) == pytest.approx([best[name]] * 2, abs=1e-4)


def test_pixel_metrics_equal_those_of_torchmetrics(frames: np.ndarray) -> None:
    real = (frames * 0.6 + 40).astype(np.uint8)
    found = {name: value(metric) for name, metric in pixel_metrics(frames, real).items()}
    x, y = (torch.from_numpy(Z).flatten(0, 1).movedim(-1, 1).double() / 255 for Z in (frames, real))
    for name, (scale, shift) in {"ssim_01_gauss11": (1, 0), "ssim_pm1_range1_gauss11": (2, -1)}.items():
        pair = (x * scale + shift, y * scale + shift)
        ssim = structural_similarity_index_measure(*pair, sigma=1.5, data_range=1.0, reduction="none")
        assert isinstance(ssim, torch.Tensor)
        assert found[name] == pytest.approx(ssim.view(2, 3).mean(1).tolist(), abs=1e-4)
    psnr = peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert found["psnr_01"] == pytest.approx(psnr.view(2, 3).mean(1).tolist(), abs=1e-3)


def test_ssim_equals_that_of_scipys_filter(frames: np.ndarray) -> None:
    """Equation 13 of Wang et al. in numpy, with moments by scipy's Gaussian filter of 11 pixels."""
    real = (frames * 0.6 + 40).astype(np.uint8)
    x, y = (Z.astype(np.float64) / 255 for Z in (frames, real))

    def local(z: np.ndarray) -> np.ndarray:
        return gaussian_filter(z, (0, 0, 1.5, 1.5, 0), mode="mirror", radius=(0, 0, 5, 5, 0))

    m_x, m_y = local(x), local(y)
    cov, var_x, var_y = local(x * y) - m_x * m_y, local(x * x) - m_x**2, local(y * y) - m_y**2
    values = (2 * m_x * m_y + 1e-4) * (2 * cov + 9e-4) / ((m_x**2 + m_y**2 + 1e-4) * (var_x + var_y + 9e-4))
    found = value(pixel_metrics(frames, real)["ssim_01_gauss11"])
    assert found == pytest.approx(values.mean((1, 2, 3, 4)).tolist(), abs=1e-3)


def test_ssim_of_constant_frames() -> None:
    """Without variance, SSIM is (2 a b + c) / (a^2 + b^2 + c), c = 0.01^2 for a range of 1."""
    x, y = np.full((1, 1, 16, 16, 3), 51, np.uint8), np.full((1, 1, 16, 16, 3), 102, np.uint8)
    found = pixel_metrics(x, y)
    for name, a, b in (("ssim_01_gauss11", 0.2, 0.4), ("ssim_pm1_range1_gauss11", -0.6, -0.2)):
        expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
        assert found[name].total == pytest.approx([expected], rel=1e-2)
    assert found["psnr_01"].total == pytest.approx([-10 * np.log10(0.2**2)], rel=1e-5)


# ---- diversity and sensitivity ----

S = torch.randn(2, 4, 128, generator=torch.Generator().manual_seed(1))


class StandInContext(nn.Module):
    """Gists that depend on the named inputs alone."""

    def __init__(self, *inputs: str) -> None:
        super().__init__()
        self.inputs = inputs

    def forward(self, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
        sources = {"eps": eps[..., :1] + g_0[:, None, :1], "h_0": h_0[:, None, :1].expand(-1, 4, -1)}
        gist = sum((sources[name] for name in self.inputs), torch.zeros(len(S), 4, 1))
        return gist[..., None, None].expand(-1, -1, 128, 4, 4)


@pytest.mark.parametrize(
    ("inputs", "sigma", "positive"),
    [
        ((), True, set()),
        (("eps",), True, {"diversity", "sensitivity_eps"}),
        (("h_0",), True, {"diversity", "sensitivity_eps_0", "sensitivity_h_0"}),
        (("h_0",), False, {"sensitivity_h_0"}),
        (("eps", "h_0"), True, {"diversity", "sensitivity_eps", "sensitivity_eps_0", "sensitivity_h_0"}),
    ],
)
def test_sensitivity_is_positive_for_inputs_that_the_gist_depends_on(
    inputs: tuple[str, ...], sigma: bool, positive: set[str]
) -> None:
    torch.manual_seed(0)
    model = StoryGAN(ModelConfig(noise_dim=5)).eval()
    model.context_encoder = StandInContext(*inputs)  # type: ignore[assignment]
    if not sigma:
        nn.init.zeros_(model.story_encoder.log_sigma2.weight)
        nn.init.constant_(model.story_encoder.log_sigma2.bias, -50.0)
    for name, metric in diversity_metrics(model, S, seed=0).items():
        if name.removesuffix("_rms_01") in positive:
            assert min(value(metric)) > 1e-5, name
        else:
            assert max(value(metric)) < 1e-6, name


def test_diversity_is_the_mean_over_all_pairs() -> None:
    torch.manual_seed(0)
    model = StoryGAN(ModelConfig(noise_dim=5)).eval()
    generator = seeded(3)
    with torch.no_grad():
        X_hats = [(model(S, Noise.sample(2, model.config, generator))[0] + 1) / 2 for _ in range(4)]
    expected = [
        np.mean([float((a[n] - b[n]).square().mean().sqrt()) for a, b in combinations(X_hats, 2)]) for n in range(2)
    ]
    assert diversity_metrics(model, S, seed=3)["diversity_rms_01"].total == pytest.approx(expected, rel=1e-4)


def test_rms_of_black_and_white_is_one() -> None:
    black, white = torch.zeros(2, 4, 3, 8, 8), torch.ones(2, 4, 3, 8, 8)
    assert metrics.rms(black, white) == pytest.approx([1, 1])
