"""Stages reproduce the losses of version 0.1's phases, from the same weights, stories and noise.

`golden.json` was recorded with commit f346c4f, by tests/training/record_golden.py of commit f0d9ea6: six iterations of
each phase, one thread, new optimizers, no EMA, no R1. Metrics have the names of today.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training import golden
from tests.training.tiny import D_I, D_S, G, one_stage
from torch.nn import functional as F

from storygan import losses
from storygan.config import DiscriminatorConfig, ModelConfig, StageConfig
from storygan.data.clevr.render import parse_id
from storygan.data.clevr.scene import sample_scene
from storygan.data.dataset import StoryDataset
from storygan.models.attribute_classifier import SHIPPED
from storygan.models.noise import Noise
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.encoder import load_sentence_encoder
from storygan.training import batches
from storygan.training.loop import iteration

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
PAPER = {"D_I": D_I(loss={"L_image": 1}), "D_S": D_S(loss={"L_story": 1})}
PAPER_G = G(loss={"L_image": 1, "L_story": 1, "L_KL": 1})
LABELS = DiscriminatorConfig(label_head=True)
STAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reconstruction": (
        {
            "G": G(loss={"mse": 1, "L_KL": 0.01, "aux": 0.003}, lr=1e-3, lr_schedule="cosine", betas=(0.9, 0.999)),
            "frames": 2,
            "shuffle_sentences": True,
            "foreground_weight": 8.0,
            "freeze_batch_norm": True,
            "couple_nuisance": True,
        },
        {"model": ModelConfig(noise_dim=10, noise="circle"), "aux_classifier": str(SHIPPED)},
    ),
    "reconstruction of all frames": ({"G": G(loss={"mse": 1, "L_KL": 0.01}, lr=1e-3, betas=(0.9, 0.999))}, {}),
    "discriminators": (
        {
            "D_I": D_I(loss={"L_image": 1, "label": 1}, lr=1e-4),
            "D_S": D_S(loss={"L_story": 1}, lr=1e-4),
            "mismatched": True,
        },
        {"discriminator": LABELS},
    ),
    "adversarial": (
        {
            "D_I": D_I(loss={"L_image": 0.5, "label": 0.4}, lr=1e-4),
            "D_S": D_S(loss={"L_story": 2}, lr=1e-4),
            "G": G(loss={"L_image": 0.5, "L_story": 2, "L_KL": 3e-4, "mse": 100, "label": 0.4}, lr=1e-4),
            "mismatched": True,
            "disc_frames": 1,
        },
        {"discriminator": LABELS},
    ),
    "paper": ({**PAPER, "G": PAPER_G, "gan_loss": "saturating"}, {}),
    "paper, spectral norm": ({**PAPER, "G": PAPER_G}, {"discriminator": DiscriminatorConfig(spectral_norm=True)}),
    "imagegan": ({**PAPER, "G": PAPER_G}, {"model": ModelConfig(noise_dim=10, variant="imagegan")}),
}
"""By phase of version 0.1: fields of the stage that replaces it, and of the configuration."""


def summed_label_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Version 0.1 summed the cross-entropy over labels; today's mean rounds differently, which Adam magnifies."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(1).mean()


@pytest.fixture
def fixed_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace sampled stories, frames, orders and noise by those of `golden`."""

    def noise(
        B: int, config: ModelConfig, generator: torch.Generator, sample: Callable[..., Noise] = Noise.sample
    ) -> Noise:
        return sample(B, config, golden.noise_generator(current["k"]))

    current: dict[str, int] = {}

    def indices(stories: int, B: int, seed: int, stage: int, k: int) -> np.ndarray:
        current["k"] = k
        return golden.story_idx(k)

    monkeypatch.setattr(batches, "indices", indices)
    monkeypatch.setattr(batches, "sample_frames", lambda B, T, n, rng: golden.FRAME_IDX)
    monkeypatch.setattr(batches, "sample_disc_frames", lambda B, n, m, rng: golden.DISC_FRAME_IDX)
    monkeypatch.setattr(batches, "sample_orders", lambda frame_idx, T, rng: golden.sentence_order(current["k"]))
    monkeypatch.setattr(Noise, "sample", staticmethod(noise))
    monkeypatch.setattr(losses, "label_loss", summed_label_loss)
    targets = batches.LabelledFrames.targets
    monkeypatch.setattr(  # version 0.1 sampled empty locations from (seed, k)
        batches.LabelledFrames,
        "targets",
        lambda self, story_idx, frame_idx, rng: targets(
            self, story_idx, frame_idx, np.random.default_rng((0, current["k"]))
        ),
    )


FAST = ("reconstruction", "adversarial")


@pytest.mark.parametrize(
    ("name", "steps"),
    [*((n, 3) for n in FAST), *(pytest.param(n, golden.STEPS, marks=pytest.mark.slow) for n in STAGES)],
)
@pytest.mark.usefixtures("fixed_inputs")
def test_a_stage_reproduces_the_losses_of_its_phase_in_version_0_1(
    name: str, steps: int, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields, options = STAGES[name]

    def foreground(self: StoryDataset, story_idx: np.ndarray) -> np.ndarray:
        """Version 0.1 took the masks of the last frame, less what an object in front of another hides."""
        scenes = [sample_scene(*parse_id(self.story_ids[n]), 4) for n in story_idx]
        rows, columns = (((np.arange(64) + 0.5) * n / 64).astype(int) for n in (240, 320))
        masks = np.stack([scene.mask()[np.ix_(rows, columns)] for scene in scenes if scene])[:, None]
        return (masks >= 0) & (masks <= np.arange(4)[:, None, None])

    monkeypatch.setattr(StoryDataset, "foreground", foreground)
    encoder = load_sentence_encoder(SHIPPED.parent / "clevr-sv")  # version 0.1 had 17 features
    monkeypatch.setattr(ClevrEncoder, "fit", lambda *_: encoder)
    trainer = one_stage(sample, StageConfig(batch_size=golden.B, iterations=golden.STEPS, **fields), **options)
    for network in ("G", "D_I", "D_S"):
        if (module := getattr(trainer.nets, network)) is not None:
            golden.set_weights(module.module)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = [iteration(trainer) for _ in range(steps)]
    torch.set_num_threads(threads)
    for k, (expected, terms) in enumerate(zip(GOLDEN[name][:steps], found, strict=True)):
        # Adam's first step has the gradient's sign: it magnifies the rounding of another processor, as do later steps
        rel, absolute = (1e-3, 1e-4) if k == 0 else (0.1, 0.01 * 2**k)
        missing = set(expected) - set(terms)
        assert missing <= {"G/mse"}, f"iteration {k}"  # version 0.1 logged it without a weight too
        for term, value in terms.items():
            assert value.item() == pytest.approx(expected[term], rel=rel, abs=absolute), f"{term}, iteration {k}"
