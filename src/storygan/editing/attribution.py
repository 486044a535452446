"""What each frame owes to its sentence, to the story, to the noise, and to the two factors of its gist.

One of them is exchanged, all else is kept, and the frames are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from storygan.editing.edits import noise_of
from storygan.editing.effects import frame_table
from storygan.editing.output import Drawing, draw_anew, say, tell
from storygan.models.baselines import SVFNContext
from storygan.models.context_encoder import ContextEncoder, FilterNetwork, gist
from storygan.models.story_encoder import D
from storygan.models.storygan import StoryGAN, evaluation_mode, to_uint8

DRAWS = 8
"""Other draws of the noise that a change is averaged over."""
UNUSED_SEEDS = 2**32
"""From here on: a drawing's own seed would change nothing."""
NO_STORY, OTHER_CONTEXT = "story: h_0 = 0", "story: h_0 redrawn"
OTHER_NOISE = "noise: eps_t, g_0 redrawn"
OTHER_FILTERS, OTHER_MEMORY = "said now: Filter(i_t) of other frames", "remembered: h_t of other frames"


@dataclass(frozen=True)
class Influence:
    """How much n frames change when one of K sources is exchanged, in levels of 0 to 255."""

    sources: tuple[str, ...]
    """Their names, in the order of `influence`."""
    maps: np.ndarray
    """float32 (K, n, 64, 64): mean absolute change, where it is."""

    @property
    def amounts(self) -> np.ndarray:
        """(K, n): the mean of each map."""
        return self.maps.mean((2, 3))

    @property
    def filters_share(self) -> np.ndarray | None:
        """(n,) in [0, 1]: what is said now, `Filter(i_t)`, against what is remembered, `h_t`.

        None for a model without filters; NaN in a frame that neither changes.
        """
        if OTHER_FILTERS not in self.sources:
            return None
        filters, memory = (self.amounts[self.sources.index(name)] for name in (OTHER_FILTERS, OTHER_MEMORY))
        with np.errstate(invalid="ignore"):
            return filters / (filters + memory)

    def __str__(self) -> str:
        """A table."""
        return frame_table(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """By source, n numbers; and the filters' share where there are filters."""
        numbers: dict[str, Any] = dict(zip(self.sources, self.amounts.astype(float).round(3).tolist(), strict=True))
        share = self.filters_share
        if share is not None:
            numbers["share of the filters"] = [None if np.isnan(x) else round(float(x), 3) for x in share]
        return numbers


def influence(model: StoryGAN, drawing: Drawing, seed: int = 0) -> Influence:
    """Exchange the sources of a drawing one by one; of one that holds several, the mean.

    The sources, and what each is exchanged for:
        sentence k: `s_k` for 0, the mean of the sentences that the encoder was fitted on. `h_0` is kept, so that the
            sentence is missed through `g_t` and `h_t` alone.
        story: `h_0` for 0, the mean of N(0, I), to which training draws it; it then knows no story.
        story: `h_0` for others of the same story, from other `eps_0`.
        noise: `eps_t` and `g_0` for others, `eps_0` kept.
        said now, remembered: `Filter(i_t)` and `h_t`, the factors of the gist, for those of the story's other frames,
            see `gist_grid`. Only `storygan` and `svfn` have them; in `svfn` `h_t` is `h_0` in each frame, and makes no
            difference.

    What is compared with is the story drawn in one pass, as by `draw`: a frame that `redraw` kept behind a redrawn one
    has lost its peculiar past.

    Args:
        model: what the drawing was drawn with.
        drawing: of a story of n sentences.
        seed: of the DRAWS other draws.
    """
    n = len(drawing.story)
    plain = tell(model, drawing.story, drawing.S, drawing.S_0, drawing.noise)
    changes: dict[str, list[np.ndarray]] = {}  # by source, float32 (n, 64, 64) for each exchange

    def exchange(source: str, other: Drawing) -> None:
        changes.setdefault(source, []).append(change(other.frames, plain.frames))

    for k in range(1, n + 1):
        exchange(f"sentence {k}: s_{k} = 0", say(model, plain, k, torch.zeros(D)))
    h = plain.h.clone()
    h[:, 0] = 0
    exchange(NO_STORY, draw_anew(model, replace(plain, h=h), 1, n))
    for draw in range(DRAWS):
        other = noise_of(model, plain, n, UNUSED_SEEDS + seed * DRAWS + draw)
        context, frames = replace(plain.noise, eps_0=other.eps_0), replace(other, eps_0=plain.noise.eps_0)
        exchange(OTHER_CONTEXT, tell(model, plain.story, plain.S, plain.S_0, context))
        exchange(OTHER_NOISE, tell(model, plain.story, plain.S, plain.S_0, frames))
    grid = gist_grid(model, plain)
    if grid is not None:
        now = grid[:, range(n), range(n)]
        for step in range(1, n):
            others = [(t + step) % n for t in range(n)]
            changes.setdefault(OTHER_FILTERS, []).append(change(grid[:, others, range(n)], now))
            changes.setdefault(OTHER_MEMORY, []).append(change(grid[:, range(n), others], now))
    return Influence(tuple(changes), np.stack([np.mean(maps, axis=0) for maps in changes.values()]))


def gist_grid(model: StoryGAN, drawing: Drawing) -> np.ndarray | None:
    """What would be drawn of the gist `Filter(i_j) * h_t`, for all frames j and t.

    Along j changes what is said now, along t what is remembered; at j = t stand the frames of the drawing.

    Returns:
        uint8 (N, n, n, 64, 64, 3), the second axis j and the third t; None for `imagegan` and `svc`, without filters.
    """
    network = filter_network(model.context_encoder)
    if network is None:
        return None
    i, h = drawing.g[:, 1:], drawing.h[:, 1:]  # (N, n, 128)
    N, n, _ = i.shape
    with evaluation_mode(model):
        filters = network(i.flatten(0, 1)).unflatten(0, (N, n))  # (N, n, 16, 64)
        rows = []
        for j in range(n):
            o = gist(filters[:, [j] * n].flatten(0, 1), h.flatten(0, 1))  # (N*n, 128, 4, 4)
            rows.append(to_uint8(model.image_generator(o).unflatten(0, (N, n))))
    return np.stack(rows, axis=1)


def filter_network(context: nn.Module) -> FilterNetwork | None:
    """The variant's filter network, where it has one."""
    if isinstance(context, ContextEncoder):
        return context.text2gist.filter_network
    return context.filter_network if isinstance(context, SVFNContext) else None


def change(frames: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean absolute difference of uint8 (N, n, H, W, 3), over drawings and colours: float32 (n, H, W)."""
    return np.abs(frames.astype(np.int16) - others).mean((0, 4), dtype=np.float32)
