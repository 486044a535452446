"""Generated stories that can be edited.

Frame `t` depends on its sentence `s_t`, its noise `eps_t` and the states before it: `g_{t-1}` of the lower GRU and
`h_{t-1}` of Text2Gist. So frames can be regenerated from the states where they begin, without touching those before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from storygan.errors import require_whole
from storygan.models.baselines import ImageGANContext
from storygan.models.context_encoder import ContextEncoder
from storygan.models.noise import Noise, noise_of_length
from storygan.models.storygan import MAX_SAMPLES, Story, StoryGAN, batches, evaluation_mode, progress_bar, to_uint8


@dataclass(frozen=True)
class StoryOutput:
    """N samples of one story of n sentences, immutable.

    `output[k]` is sample k, from 0, as a `StoryOutput` of one sample.
    """

    frames: np.ndarray
    """uint8 (N, n, 64, 64, 3)."""
    sentences: tuple[str, ...]
    """The n sentences, as the model reads them (`StoryGAN.understand`)."""
    S: Tensor
    """(N, n, 128): the sentence vectors `s_t`."""
    S_0: Tensor
    """(N, T, 128): the story that `h_0` was computed from; an older one after an edit that kept the context."""
    noise: Noise
    """`eps_0` (N, 128), `eps` (N, n, noise_dim) and `g_0` (N, 128)."""
    g: Tensor
    """(N, n + 1, 128): `g_0 .. g_n`, the lower GRU's outputs (`i_t` in the paper). `imagegan` has no GRU: `g_0`."""
    h: Tensor
    """(N, n + 1, 128): `h_0 .. h_n`. In variants without Text2Gist's memory each is `h_0`."""
    aspect_ratio: float = 1.0
    """Display width over height of a frame."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, k: int) -> StoryOutput:
        row = slice(range(len(self))[k], range(len(self))[k] + 1)
        return replace(self, **{name: getattr(self, name)[row] for name in ("frames", "S", "S_0", "noise", "g", "h")})


def generate(model: StoryGAN, story: Story, seed: int = 0, samples: int = 1) -> StoryOutput:
    """Generate a story for editing. The frames are those of `model.generate(story, samples, seed)`.

    Raises:
        UsageError: A sentence is not understood, or a number is out of range.
    """
    model.require_story(story)
    story = model.understand(story)
    require_whole("samples", samples, 1, MAX_SAMPLES)
    S = torch.from_numpy(model.encode([story])).to(model.device, model.dtype).repeat_interleave(samples, dim=0)
    noise = noise_of_length(samples, len(story), model.config, seed).to(model.device, model.dtype)
    return generate_from_noise(model, tuple(story), S, model.context_sentences(S), noise)


def generate_from_noise(
    model: StoryGAN, sentences: tuple[str, ...], S: Tensor, S_0: Tensor, noise: Noise
) -> StoryOutput:
    """Generate all frames from sentence vectors and noise, with `h_0 = mu(S_0) + sigma(S_0) * eps_0`."""
    with evaluation_mode(model):
        h_0 = torch.cat(
            [model.story_encoder(S_0[rows], noise.eps_0[rows])[0] for rows in batches(len(S), len(sentences))]
        )
    size = model.config.image_size
    frames = np.empty((len(S), 0, size, size, 3), np.uint8)
    g, h = noise.g_0[:, None], h_0[:, None]
    output = StoryOutput(frames, sentences, S, S_0, noise, g, h, model.aspect_ratio)
    return regenerate(model, output, 1, len(sentences))


def regenerate(model: StoryGAN, output: StoryOutput, first: int, last: int) -> StoryOutput:
    """Generate frames `first` to `last` (from 1) from `s_t`, `eps_t` and the states before `first`.

    The other frames and their states do not change.
    """
    a, b = first - 1, last  # as slices from 0
    pixels, g_after, h_after = [], [], []
    with evaluation_mode(model):
        for rows in progress_bar(batches(len(output.S), b - a), "batch"):
            inputs = output.S[rows, a:b], output.noise.eps[rows, a:b]
            g, h = output.g[rows, a], output.h[rows, a]
            o = model.context_encoder(*inputs, h, g)  # (N, last - first + 1, 128, 4, 4)
            pixels.append(to_uint8(model.frames(o)))
            g, h = recurrent_states(model.context_encoder, *inputs, g, h)
            g_after.append(g)
            h_after.append(h)
    return replace(
        output,
        frames=np.concatenate([output.frames[:, :a], np.concatenate(pixels), output.frames[:, b:]], axis=1),
        g=torch.cat([output.g[:, : a + 1], torch.cat(g_after), output.g[:, b + 1 :]], dim=1),
        h=torch.cat([output.h[:, : a + 1], torch.cat(h_after), output.h[:, b + 1 :]], dim=1),
    )


def replace_sentence_vector(model: StoryGAN, output: StoryOutput, t: int, s_t: Tensor) -> StoryOutput:
    """Replace the vector (128,) of sentence `t`, keep `h_0`, and regenerate the frames that depend on it.

    These are frame `t` and, in variants with recurrent states, the ones after it. `sentences` does not change.
    """
    S = output.S.clone()
    S[:, t - 1] = s_t
    last = t if isinstance(model.context_encoder, ImageGANContext) else len(output.sentences)
    return regenerate(model, replace(output, S=S), t, last)


def recurrent_states(context: nn.Module, S: Tensor, eps: Tensor, g: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the states after each of n frames from the states (N, 128) before: `g` and `h`, each (N, n, 128)."""
    n = S.shape[1]
    unchanged = g.unsqueeze(1).expand(-1, n, -1)
    i = unchanged if isinstance(context, ImageGANContext) else context.lower(S, eps, g)  # type: ignore[operator]
    memory = []
    for t in range(n):
        if isinstance(context, ContextEncoder):
            h = context.text2gist.cell(i[:, t], h)
        memory.append(h)
    return i, torch.stack(memory, dim=1)
