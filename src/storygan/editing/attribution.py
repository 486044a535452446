"""Attribution: how much each frame depends on its sentence, the story, the noise and the two factors of its gist.

One source is replaced, all else is kept, and the frames are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from storygan.editing.changes import frame_table
from storygan.editing.edits import sample_noise
from storygan.models.baselines import SVFNContext
from storygan.models.context_encoder import ContextEncoder, FilterNetwork, gist
from storygan.models.inference import evaluation_mode, to_uint8
from storygan.models.output import StoryOutput, generate_from_noise, regenerate, replace_sentence_vector
from storygan.models.storygan import StoryGAN
from storygan.text.encoder import DIM

NOISE_SAMPLES = 8
"""Noise samples that a change is averaged over."""
SEED_OFFSET = 2**32
"""Offset of the seeds of this noise, so that none is the story's own seed."""
ZERO_CONTEXT, OTHER_CONTEXT = "story: h_0 = 0", "story: h_0 resampled"
OTHER_NOISE = "noise: eps_t, g_0 resampled"
OTHER_FILTERS, OTHER_MEMORY = "gist filter: Filter(i_t) of other frames", "memory: h_t of other frames"


@dataclass(frozen=True)
class Attribution:
    """How much n frames change when one of K sources is replaced, in levels of 0 to 255."""

    sources: tuple[str, ...]
    """K names, in the order of `attribute`."""
    maps: np.ndarray
    """float32 (K, n, 64, 64): mean absolute change of each pixel."""

    @property
    def amounts(self) -> np.ndarray:
        """(K, n): the mean of each map."""
        return self.maps.mean((2, 3))

    @property
    def filter_share(self) -> np.ndarray | None:
        """(n,) in [0, 1]: the change through `Filter(i_t)` over that through `Filter(i_t)` and `h_t`.

        None for a model without filters; NaN in a frame that neither changes.
        """
        if OTHER_FILTERS not in self.sources:
            return None
        filters, memory = (self.amounts[self.sources.index(name)] for name in (OTHER_FILTERS, OTHER_MEMORY))
        with np.errstate(invalid="ignore"):
            return filters / (filters + memory)

    def __str__(self) -> str:
        return frame_table(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return n numbers for each source, and `filter_share` if the model has filters."""
        numbers: dict[str, Any] = dict(zip(self.sources, self.amounts.astype(float).round(3).tolist(), strict=True))
        share = self.filter_share
        if share is not None:
            numbers["filter_share"] = [None if np.isnan(x) else round(float(x), 3) for x in share]
        return numbers


def attribute(model: StoryGAN, output: StoryOutput, seed: int = 0) -> Attribution:
    """Replace each source of a story and measure the change of its frames, averaged over the samples.

    The sources and their replacements:
        sentence k: `s_k` by 0, the mean of the sentences that the encoder was fitted on; `h_0` is kept.
        story: `h_0` by 0, the mean of N(0, I), which carries no story.
        story: `h_0` by others of the same story, from other `eps_0`.
        noise: `eps_t` and `g_0` by others; `eps_0` is kept.
        gist filter, memory: `Filter(i_t)` and `h_t`, the factors of the gist, by those of the story's other frames, see
            `gist_grid`. Only `storygan` and `svfn` have them; in `svfn` `h_t` is `h_0` in every frame.

    The frames are compared with the story generated in one pass from the same noise. After `resample` these can differ
    from `output.frames`.

    Args:
        model: the model that generated `output`.
        output: a story of n sentences.
        seed: of the NOISE_SAMPLES noise samples.
    """
    n = len(output.sentences)
    original = generate_from_noise(model, output.stories, output.S, output.S_0, output.noise)
    changes: dict[str, list[np.ndarray]] = {}  # by source, float32 (n, 64, 64) for each replacement

    def add(source: str, other: StoryOutput) -> None:
        changes.setdefault(source, []).append(mean_change(other.frames, original.frames))

    for k in range(1, n + 1):
        add(f"sentence {k}: s_{k} = 0", replace_sentence_vector(model, original, k, torch.zeros(DIM)))
    h = original.h.clone()
    h[:, 0] = 0
    add(ZERO_CONTEXT, regenerate(model, replace(original, h=h), 1, n))
    for k in range(NOISE_SAMPLES):
        other = sample_noise(model, original, n, SEED_OFFSET + seed * NOISE_SAMPLES + k)
        for source, noise in (
            (OTHER_CONTEXT, replace(original.noise, eps_0=other.eps_0)),
            (OTHER_NOISE, replace(other, eps_0=original.noise.eps_0)),
        ):
            add(source, generate_from_noise(model, original.stories, original.S, original.S_0, noise))
    grid = gist_grid(model, original)
    if grid is not None:
        diagonal = grid[:, range(n), range(n)]
        for step in range(1, n):
            others = [(t + step) % n for t in range(n)]
            changes.setdefault(OTHER_FILTERS, []).append(mean_change(grid[:, others, range(n)], diagonal))
            changes.setdefault(OTHER_MEMORY, []).append(mean_change(grid[:, range(n), others], diagonal))
    return Attribution(tuple(changes), np.stack([np.mean(maps, axis=0) for maps in changes.values()]))


def gist_grid(model: StoryGAN, output: StoryOutput) -> np.ndarray | None:
    """Generate the frames of the gists `Filter(i_j) * h_t`, for all pairs of frames j and t.

    Returns:
        uint8 (N, n, n, 64, 64, 3), the second axis j and the third t; the story's frames are where j = t. None for
        `imagegan` and `svc`, which have no filters.
    """
    network = filter_network(model.context_encoder)
    if network is None:
        return None
    i, h = output.g[:, 1:], output.h[:, 1:]  # (N, n, 128)
    N, n, _ = i.shape
    with evaluation_mode(model):
        filters = network(i.flatten(0, 1)).unflatten(0, (N, n))  # (N, n, 16, 64)
        rows = []
        for j in range(n):
            o = gist(filters[:, [j] * n].flatten(0, 1), h.flatten(0, 1))  # (N*n, 128, 4, 4)
            rows.append(to_uint8(model.image_generator(o).unflatten(0, (N, n))))
    return np.stack(rows, axis=1)


def filter_network(context: nn.Module) -> FilterNetwork | None:
    """Return the variant's filter network, or None."""
    if isinstance(context, ContextEncoder):
        return context.text2gist.filter_network
    return context.filter_network if isinstance(context, SVFNContext) else None


def mean_change(frames: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the mean absolute difference of uint8 (N, n, H, W, 3) over samples and channels: float32 (n, H, W)."""
    return np.abs(frames.astype(np.int16) - others).mean((0, 4), dtype=np.float32)
