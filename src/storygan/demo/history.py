"""Drawings of a story as a visitor sees them: one after another while they are drawn, edited, and come back to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from storygan.editing import Drawing
from storygan.editing.output import tell
from storygan.errors import UsageError
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN

UNDOS = 8
"""Sheets that one can go back; each may hold 8 drawings of 60 kB."""


@dataclass(frozen=True)
class Sheet:
    """The drawings of one story by one model, of which there are to be `samples`. Never changed in place."""

    model: str
    samples: int
    drawings: tuple[Drawing, ...]
    """Each holds one drawing; edits have come to some."""
    titles: tuple[str, ...] = ()
    """One for each drawing; none: they are numbered."""
    earlier: tuple[Sheet, ...] = ()
    """The sheets before this one, the oldest first; they hold none themselves."""

    def pick(self, number: object) -> Drawing:
        """The drawing of that number, from 1; UsageError where there is none."""
        if number not in range(1, len(self.drawings) + 1):
            raise UsageError(f"there is no drawing {str(number)[:20]}")
        return self.drawings[int(number) - 1]  # type: ignore[call-overload]

    def with_edit(self, number: int, drawing: Drawing) -> Sheet:
        """The sheet with another drawing in the place of that number."""
        drawings = (*self.drawings[: number - 1], drawing, *self.drawings[number:])
        return replace(self, drawings=drawings).after(self)

    def with_way(self, way: Drawing) -> Sheet:
        """A sheet of the steps of an interpolation, each a drawing, in the place of this one."""
        n = len(way)
        titles = tuple(f"Drawing {k + 1}: {k / (n - 1):.0%} of the way" for k in range(n))
        return Sheet(self.model, n, tuple(way[k] for k in range(n)), titles).after(self)

    def after(self, old: Sheet | None) -> Sheet:
        """This sheet, from which one can go back to the old one, and on to those before it."""
        earlier = () if old is None else (*old.earlier, replace(old, earlier=()))
        return replace(self, earlier=earlier[-UNDOS:])

    def undo(self) -> Sheet:
        """The sheet before this one; UsageError where there is none."""
        if not self.earlier:
            raise UsageError("There is nothing to undo.")
        return replace(self.earlier[-1], earlier=self.earlier[:-1])


def draw(name: str, model: StoryGAN, sentences: Sequence[str], samples: int, seed: int) -> Iterator[Sheet]:
    """The story drawn 1, 2, ... `samples` times: the pictures of `model.generate` with the same seed.

    Raises:
        StoryganError: where the model cannot read the story.
    """
    noise = Noise.sample(samples, model.config, torch.Generator().manual_seed(seed))
    S = torch.from_numpy(model.encode([sentences]))
    sheet = Sheet(name, samples, ())
    for n in range(samples):
        drawing = tell(model, tuple(sentences), S, S, noise[n : n + 1])
        sheet = replace(sheet, drawings=(*sheet.drawings, drawing))
        yield sheet
