"""The output of `StoryGAN.generate`: frames, pictures of them, and the states from which they can be edited.

Frame `t` depends on its sentence `s_t`, its noise `eps_t` and the states before it: `g_{t-1}` of the lower GRU and
`h_{t-1}` of Text2Gist. So frames can be regenerated from the states where they begin, without touching those before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from storygan import viz
from storygan.errors import UsageError
from storygan.models.baselines import ImageGANContext
from storygan.models.context_encoder import ContextEncoder
from storygan.models.inference import batches, evaluation_mode, progress_bar, to_uint8
from storygan.models.noise import Noise

if TYPE_CHECKING:
    from storygan.models.storygan import StoryGAN

OutputType = Literal["pil", "np", "pt"]


@dataclass(frozen=True, eq=False, repr=False)
class StoryOutput:
    """N samples of stories of n sentences, the samples of a story one after the other. Immutable.

    `output[k]` is sample k, from 0, and `output[a:b]` are some of them, as a `StoryOutput`. A notebook shows them as
    strips of frames. `storygan.editing` edits the samples of one story.
    """

    frames: np.ndarray
    """uint8 (N, n, 64, 64, 3): the pixels as generated."""
    stories: tuple[tuple[str, ...], ...]
    """For each sample its n sentences, as the model reads them (`StoryGAN.understand`)."""
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
    seeds: tuple[int, ...] = ()
    """For each sample the seed that `generate` gave its story; () if the noise is of no seed. Edits keep it."""
    output_type: OutputType = "pil"
    """What `images` holds."""

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, k: int | slice) -> StoryOutput:
        row = k if isinstance(k, slice) else slice(range(len(self))[k], range(len(self))[k] + 1)
        return replace(self, **{name: getattr(self, name)[row] for name in ROWS})

    def __repr__(self) -> str:
        return f"StoryOutput({len(self)} samples of {self.frames.shape[1]} frames)"

    @cached_property
    def images(self) -> Any:
        """The frames, as `output_type` says.

        `pil`: for each sample a list of n PIL images, enlarged to display size and aspect, as `save` draws them.
        `np`: float32 (N, n, 64, 64, 3) in [0, 1]. `pt`: a float32 tensor (N, n, 3, 64, 64) in [0, 1], on the CPU.
        """
        if self.output_type == "pil":
            large = viz.enlarge(self.frames, aspect_ratio=self.aspect_ratio)
            return [[Image.fromarray(frame) for frame in sample] for sample in large]
        values = self.frames.astype(np.float32) / 255
        return values if self.output_type == "np" else torch.from_numpy(values).movedim(-1, -3).contiguous()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The n sentences of the story. Raises UsageError where the samples are of several stories."""
        if len(set(self.stories)) != 1:
            raise UsageError(f"these are samples of {len(set(self.stories))} stories: take those of one, output[a:b]")
        return self.stories[0]

    def rows(self) -> list[viz.Row]:
        """Return a row for each sample, with the sentences under the last of a story, for `viz.sheet`."""
        last = [k + 1 == len(self) or self.stories[k + 1] != story for k, story in enumerate(self.stories)]
        return [viz.Row("", self.frames[k], story if last[k] else ()) for k, story in enumerate(self.stories)]

    def save(self, out: str | Path, scale: int = viz.SCALE, captions: bool = True) -> None:
        """Save the samples. The suffix of `out` selects the format.

        - `.png`, `.jpg`, `.webp`: a strip for each sample, with the sentences below.
        - `.gif`: an animation of the frames.
        - None: a folder of the 64x64 pixels, `story-1-frame-1.png` and so on.

        Args:
            out: the file or folder.
            scale: display pixels per frame pixel, vertically; not for a folder.
            captions: whether to draw the sentences.

        Raises:
            UsageError: The suffix is unknown, or the picture is too large.
            StoryganError: `out` cannot be written.
        """
        if len(set(self.stories)) == 1:
            viz.save_story(self.frames, Path(out), self.sentences, scale, self.aspect_ratio, captions)
        else:
            viz.save_sheet(self.rows(), Path(out), scale, self.aspect_ratio, captions)

    def _repr_png_(self) -> bytes:
        return viz.encode(viz.sheet(self.rows(), aspect_ratio=self.aspect_ratio), ".png")


ROWS = ("frames", "stories", "S", "S_0", "noise", "g", "h", "seeds")
"""Fields that have a row for each sample."""


def generate_from_noise(
    model: StoryGAN, stories: tuple[tuple[str, ...], ...], S: Tensor, S_0: Tensor, noise: Noise
) -> StoryOutput:
    """Generate all frames of N samples from vectors and noise, with `h_0 = mu(S_0) + sigma(S_0) * eps_0`."""
    with evaluation_mode(model):
        h_0 = torch.cat([model.story_encoder(S_0[rows], noise.eps_0[rows])[0] for rows in batches(*S.shape[:2])])
    size = model.config.image_size
    frames = np.empty((len(S), 0, size, size, 3), np.uint8)
    g, h = noise.g_0[:, None], h_0[:, None]
    output = StoryOutput(frames, stories, S, S_0, noise, g, h, model.aspect_ratio)
    return regenerate(model, output, 1, S.shape[1])


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
    last = t if isinstance(model.context_encoder, ImageGANContext) else S.shape[1]
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
