"""Samples of a story as the page keeps them: generated one after another, edited, with undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from storygan.editing import StoryOutput
from storygan.errors import UsageError
from storygan.models.noise import Noise
from storygan.models.output import generate_from_noise
from storygan.models.storygan import StoryGAN

MAX_UNDO = 8
"""States that undo can restore. Each has up to 8 samples of 60 kB."""


@dataclass(frozen=True)
class Samples:
    """The samples of one story by one model, `total` when all are generated. Immutable."""

    model: str
    total: int
    outputs: tuple[StoryOutput, ...]
    """Each has one sample; some may be edited."""
    titles: tuple[str, ...] = ()
    """One per sample; if empty, the samples are numbered."""
    undo_stack: tuple[Samples, ...] = ()
    """The states before this one, the oldest first, without undo stacks of their own."""

    def select(self, number: object) -> StoryOutput:
        """Return the sample of a number from 1. Raises UsageError if there is none."""
        if number not in range(1, len(self.outputs) + 1):
            raise UsageError(f"there is no sample {str(number)[:20]}")
        return self.outputs[int(number) - 1]  # type: ignore[call-overload]

    def with_edit(self, number: int, output: StoryOutput) -> Samples:
        """Return these samples with one of them replaced."""
        outputs = (*self.outputs[: number - 1], output, *self.outputs[number:])
        return replace(self, outputs=outputs).after(self)

    def with_interpolation(self, path: StoryOutput) -> Samples:
        """Return the steps of an interpolation as samples."""
        n = len(path)
        titles = tuple(f"Sample {k + 1}: {k / (n - 1):.0%} of the interpolation" for k in range(n))
        return Samples(self.model, n, tuple(path[k] for k in range(n)), titles).after(self)

    def after(self, old: Samples | None) -> Samples:
        """Return these samples with `old` on top of the undo stack."""
        undo_stack = () if old is None else (*old.undo_stack, replace(old, undo_stack=()))
        return replace(self, undo_stack=undo_stack[-MAX_UNDO:])

    def undo(self) -> Samples:
        """Return the state before this one. Raises UsageError if there is none."""
        if not self.undo_stack:
            raise UsageError("There is nothing to undo.")
        return replace(self.undo_stack[-1], undo_stack=self.undo_stack[:-1])


def generate_samples(name: str, model: StoryGAN, sentences: Sequence[str], total: int, seed: int) -> Iterator[Samples]:
    """Generate a story and yield 1, 2, ... `total` samples, those of `model.generate` with the same seed.

    Raises:
        StoryganError: The model cannot encode the story.
    """
    sentences = model.understand(sentences)
    noise = Noise.sample(total, model.config, torch.Generator().manual_seed(seed))
    S = torch.from_numpy(model.encode([sentences]))
    samples = Samples(name, total, ())
    for n in range(total):
        output = generate_from_noise(model, (tuple(sentences),), S, S, noise[n : n + 1])
        samples = replace(samples, outputs=(*samples.outputs, output))
        yield samples
