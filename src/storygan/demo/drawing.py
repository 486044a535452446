"""Drawings of a story as a visitor sees them: one after another while they are drawn, and edited afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from storygan.editing import Drawing
from storygan.editing.drawing import tell
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN
from storygan.types import UsageError


@dataclass(frozen=True)
class Sheet:
    """The drawings of one story by one model, of which there are to be `samples`."""

    model: str
    samples: int
    drawings: tuple[Drawing, ...]
    """Each holds one drawing; edits have come to some."""

    def pick(self, number: object) -> Drawing:
        """The drawing of that number, from 1; UsageError where there is none."""
        if number not in range(1, len(self.drawings) + 1):
            raise UsageError(f"there is no drawing {str(number)[:20]}")
        return self.drawings[int(number) - 1]  # type: ignore[call-overload]

    def with_edit(self, number: int, drawing: Drawing) -> Sheet:
        """The sheet with another drawing in the place of that number."""
        return replace(self, drawings=(*self.drawings[: number - 1], drawing, *self.drawings[number:]))


def draw(name: str, model: StoryGAN, sentences: Sequence[str], samples: int, seed: int) -> Iterator[Sheet]:
    """The story drawn 1, 2, ... `samples` times: the pictures of `model.generate` with the same seed.

    Raises:
        StoryganError: where the model cannot read the story.
    """
    noise = Noise.draw(samples, model.config, torch.Generator().manual_seed(seed))
    S = torch.from_numpy(model.encode([sentences]))
    sheet = Sheet(name, samples, ())
    for n in range(samples):
        drawing = tell(model, tuple(sentences), S, S, noise[n : n + 1])
        sheet = replace(sheet, drawings=(*sheet.drawings, drawing))
        yield sheet
