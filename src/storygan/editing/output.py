"""A drawing that can be edited: the frames, and all that each of them was drawn from.

Frame `t` is a function of its sentence `s_t`, its noise `eps_t` and the two states before it, `g_{t-1}` of the lower
GRU and `h_{t-1}` of Text2Gist. So a run of frames can be drawn anew from the states where it begins, and nothing before
it is touched. The baselines have fewer states: without Text2Gist's memory `h_t` is `h_0` throughout, and `imagegan` has
no GRU, so its `g_t` stays `g_0`, which it does not use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from storygan.errors import require_whole
from storygan.models.baselines import ImageGANContext
from storygan.models.context_encoder import ContextEncoder
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import MAX_SAMPLES, Story, StoryGAN, batches, evaluation_mode, progress_bar, to_uint8


@dataclass(frozen=True)
class Drawing:
    """N drawings of one story of n sentences; n is the model's T until the story is continued. Never changed in place.

    `drawing[k]` is the k-th of them (from 0) alone, itself a drawing.
    """

    frames: np.ndarray
    """uint8 (N, n, 64, 64, 3)."""
    story: tuple[str, ...]
    """The n sentences."""
    S: Tensor
    """(N, n, 128): their vectors `s_t`."""
    S_0: Tensor
    """(N, T, 128): the story that `h_0` was drawn from. It is an older one where an edit kept the context."""
    noise: Noise
    """`eps_0` (N, 128), `eps` (N, n, noise_dim) and `g_0` (N, 128)."""
    g: Tensor
    """(N, n + 1, 128): `g_0 .. g_n`; `i_t` of the paper is `g_t`, the lower GRU's output."""
    h: Tensor
    """(N, n + 1, 128): `h_0 .. h_n`."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, k: int) -> Drawing:
        """One of the N drawings."""
        row = slice(range(len(self))[k], range(len(self))[k] + 1)
        tensors = {name: getattr(self, name)[row] for name in ("frames", "S", "S_0", "noise", "g", "h")}
        return Drawing(story=self.story, **tensors)


def draw(model: StoryGAN, story: Story, seed: int = 0, samples: int = 1) -> Drawing:
    """Draw a story so that it can be edited. The frames are those of `model.generate(story, samples, seed)`.

    Raises:
        UsageError: where the story has not T sentences, the sentence encoder does not know a word, or a number is out
            of its range.
    """
    model.require_story(story)
    require_whole("samples", samples, 1, MAX_SAMPLES)
    device = next(model.parameters()).device
    S = torch.from_numpy(model.encode([story])).to(device).repeat_interleave(samples, dim=0)
    noise = Noise.sample(samples, model.config, seeded(seed)).to(device)
    return tell(model, tuple(story), S, S, noise)


def tell(model: StoryGAN, story: tuple[str, ...], S: Tensor, S_0: Tensor, noise: Noise) -> Drawing:
    """Draw the whole story with this noise: `h_0 = mu(S_0) + sigma(S_0) * eps_0`, then frame after frame."""
    with evaluation_mode(model):
        h_0 = torch.cat([model.story_encoder(S_0[rows], noise.eps_0[rows])[0] for rows in batches(len(S), len(story))])
    frames = np.empty((len(S), 0, 64, 64, 3), np.uint8)
    return draw_anew(model, Drawing(frames, story, S, S_0, noise, noise.g_0[:, None], h_0[:, None]), 1, len(story))


def draw_anew(model: StoryGAN, drawing: Drawing, first: int, last: int) -> Drawing:
    """Draw frames `first` to `last` (from 1) from their `s_t` and `eps_t` and the states before `first`.

    The frames before and after stay, with their states.
    """
    a, b = first - 1, last  # as slices from 0
    pixels, g_after, h_after = [], [], []
    with evaluation_mode(model):
        for rows in progress_bar(batches(len(drawing.S), b - a), "batch"):
            inputs = drawing.S[rows, a:b], drawing.noise.eps[rows, a:b]
            g, h = drawing.g[rows, a], drawing.h[rows, a]
            o = model.context_encoder(*inputs, h, g)  # (N, last - first + 1, 128, 4, 4)
            pixels.append(to_uint8(model.frames(o)))
            g, h = states(model.context_encoder, *inputs, g, h)
            g_after.append(g)
            h_after.append(h)
    frames = np.concatenate([drawing.frames[:, :a], np.concatenate(pixels), drawing.frames[:, b:]], axis=1)
    return replace(
        drawing,
        frames=frames,
        g=torch.cat([drawing.g[:, : a + 1], torch.cat(g_after), drawing.g[:, b + 1 :]], dim=1),
        h=torch.cat([drawing.h[:, : a + 1], torch.cat(h_after), drawing.h[:, b + 1 :]], dim=1),
    )


def say(model: StoryGAN, drawing: Drawing, t: int, s_t: Tensor) -> Drawing:
    """Put the vector `s_t` (128,) in the place of sentence `t`, with `h_0` kept, and draw what follows from it anew.

    That is frame `t` and, in the variants with states, those after it. The words of `story` are left to the caller.
    """
    S = drawing.S.clone()
    S[:, t - 1] = s_t
    last = t if isinstance(model.context_encoder, ImageGANContext) else len(drawing.story)
    return draw_anew(model, replace(drawing, S=S), t, last)


def states(context: nn.Module, S: Tensor, eps: Tensor, g: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The states after each of n frames, `g` and `h` (N, 128) being those before: two of (N, n, 128)."""
    n = S.shape[1]
    stay = g.unsqueeze(1).expand(-1, n, -1)
    i = stay if isinstance(context, ImageGANContext) else context.lower(S, eps, g)  # type: ignore[operator]
    memory = []
    for t in range(n):
        if isinstance(context, ContextEncoder):
            h = context.text2gist.cell(i[:, t], h)
        memory.append(h)
    return i, torch.stack(memory, dim=1)
