"""Samples of a story as the page keeps them: generated, edited, with undo and redo."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from storygan.editing import StoryOutput
from storygan.errors import UnknownWordWarning, UsageError
from storygan.models.storygan import StoryGAN

MAX_UNDO = 8
"""States that undo can restore. Each has up to 8 samples of 60 kB."""
BEFORE = "Before"
"""Name of the frame before the last change, among those to compare with."""


@dataclass(frozen=True)
class Samples:
    """The samples of one story by one model, with what is selected. Immutable."""

    model: str
    seed: int
    outputs: tuple[StoryOutput, ...]
    """Each has one sample; some may be edited."""
    titles: tuple[str, ...] = ()
    """One per sample; if empty, the samples are numbered."""
    number: int = 1
    """The selected sample, from 1."""
    frame: int = 0
    """The selected frame, from 1; that after the last is a new one; 0: none."""
    other: str = ""
    """What the selected frame is compared with, a key of `others`, or ""."""
    undo_stack: tuple[Samples, ...] = ()
    """The states before this one, the oldest first, without stacks of their own."""
    redo_stack: tuple[Samples, ...] = ()
    """The states that were undone, the last one first."""

    @property
    def output(self) -> StoryOutput:
        """The selected sample."""
        return self.outputs[self.number - 1]

    def title(self, number: int) -> str:
        """Return the title of a sample."""
        return self.titles[number - 1] if self.titles else f"Sample {number}"

    def select(self, number: object, frame: object) -> Samples:
        """Return these samples with another selection. Raises UsageError if there is no such sample or frame."""
        if number not in range(1, len(self.outputs) + 1):
            raise UsageError(f"there is no sample {str(number)[:20]}")
        selected = replace(self, number=int(number), other="")  # type: ignore[call-overload]
        if frame not in range(len(selected.output.sentences) + 2):
            raise UsageError(f"there is no frame {str(frame)[:20]}")
        return replace(selected, frame=int(frame))  # type: ignore[call-overload]

    def with_edit(self, output: StoryOutput) -> Samples:
        """Return these samples with the selected one replaced."""
        outputs = (*self.outputs[: self.number - 1], output, *self.outputs[self.number :])
        return replace(self, outputs=outputs).after(self)

    def with_interpolation(self, path: StoryOutput) -> Samples:
        """Return the steps of an interpolation as samples."""
        n = len(path)
        titles = tuple(f"{k / (n - 1):.0%}" for k in range(n))
        return Samples(self.model, self.seed, tuple(path[k] for k in range(n)), titles).after(self)

    def after(self, old: Samples | None) -> Samples:
        """Return these samples with `old` on top of the undo stack."""
        undo_stack = () if old is None else (*old.undo_stack, old.alone())
        return replace(self, other=BEFORE, undo_stack=undo_stack[-MAX_UNDO:], redo_stack=())

    def shows(self, other: Samples) -> bool:
        """Return whether these samples have the model, the seed and the frames of others."""
        if (self.model, self.seed, len(self.outputs)) != (other.model, other.seed, len(other.outputs)):
            return False
        pairs = zip(self.outputs, other.outputs, strict=True)
        return all(a.sentences == b.sentences and np.array_equal(a.frames, b.frames) for a, b in pairs)

    def undo(self) -> Samples:
        """Return the state before this one. Raises UsageError if there is none."""
        if not self.undo_stack:
            raise UsageError("There is nothing to undo.")
        *before, last = self.undo_stack
        return replace(last, undo_stack=tuple(before), redo_stack=(self.alone(), *self.redo_stack))

    def redo(self) -> Samples:
        """Return the state that was undone last. Raises UsageError if there is none."""
        if not self.redo_stack:
            raise UsageError("There is nothing to redo.")
        first, *others = self.redo_stack
        return replace(first, undo_stack=(*self.undo_stack, self.alone()), redo_stack=tuple(others))

    def alone(self) -> Samples:
        """Return this state without its stacks."""
        return replace(self, undo_stack=(), redo_stack=())

    def others(self) -> dict[str, np.ndarray]:
        """Return the selected frame, uint8 (64, 64, 3), of the state before, if it differs, and of other samples."""
        found = {self.title(k): self.outputs[k - 1] for k in range(1, len(self.outputs) + 1) if k != self.number}
        if self.undo_stack and self.undo_stack[-1].model == self.model:
            found = {BEFORE: self.undo_stack[-1].output, **found}
        t = self.frame - 1
        frames = {name: other.frames[0, t] for name, other in found.items() if 0 <= t < len(other.sentences)}
        if BEFORE in frames and np.array_equal(frames[BEFORE], self.output.frames[0, t]):
            del frames[BEFORE]
        return frames


def generate_samples(name: str, model: StoryGAN, sentences: Sequence[str], total: int, seed: int) -> Samples:
    """Generate `total` samples of a story, those of `model.generate` with the same seed.

    Raises:
        StoryganError: The model cannot encode the story.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownWordWarning)  # the check of the story names them
        output = model.generate(sentences, total, seed)
    return Samples(name, seed, tuple(output[k] for k in range(total)))
