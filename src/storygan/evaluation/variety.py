"""What a model's noise and h_0 do to its pictures: distances between drawings of one story, per story.

The package's own measures; the mean over pairs is that of diversity in BicycleGAN (Zhu et al., NeurIPS 2017),
there in LPIPS.

A distance is the root mean square difference of two sequences of frames with values in [0, 1]. None of these is better
when larger: drawings may differ because they are varied or because they are wrong.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from storygan.evaluation.bootstrap import PerStory, per_story
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN

SAMPLES = 4
"""Drawings of a story that are compared."""


@torch.no_grad()
def variety(model: StoryGAN, S: Tensor, seed: int) -> dict[str, PerStory]:
    """Draw N stories, of sentence vectors S (N, T, 128), in several ways and compare.

    Returns:
        `diversity_rms_01`: mean over the pairs of SAMPLES drawings, each from its own noise.
        `change_with_eps_rms_01`: between two drawings with one h_0 and other noise for the sentences (eps_t, g_0).
        `change_with_eps_0_rms_01`: between two drawings that differ in the noise of h_0 alone.
        `change_with_h_0_rms_01`: the same, but the second drawing's h_0 is another story's (the previous one's).
    """
    generator = seeded(seed)
    noises = [Noise.draw(len(S), model.config, generator) for _ in range(SAMPLES)]
    one, other = noises[0], noises[1]
    h_0, other_h_0 = (model.story_encoder(S, noise.eps_0)[0] for noise in (one, other))
    drawings = [draw(model, S, model.story_encoder(S, noise.eps_0)[0], noise) for noise in noises]
    pairs = [rms(a, b) for a, b in combinations(drawings, 2)]
    return {
        "diversity_rms_01": per_story(np.mean(pairs, 0)),
        "change_with_eps_rms_01": per_story(rms(drawings[0], draw(model, S, h_0, other))),
        "change_with_eps_0_rms_01": per_story(rms(drawings[0], draw(model, S, other_h_0, one))),
        "change_with_h_0_rms_01": per_story(rms(drawings[0], draw(model, S, h_0.roll(1, 0), one))),
    }


def draw(model: StoryGAN, S: Tensor, h_0: Tensor, noise: Noise) -> Tensor:
    """Frames (N, T, 3, 64, 64) in [0, 1] from a given h_0 (N, 128); `noise.eps_0` is not used."""
    o = model.context_encoder(S, noise.eps, h_0, noise.g_0)
    return (model.frames(o) + 1) / 2


def rms(a: Tensor, b: Tensor) -> np.ndarray:
    """Root mean square differences of stories (N, ...): (N,)."""
    return (a - b).square().flatten(1).mean(1).sqrt().numpy()
