"""How well a recognizer does on real frames: what the other metrics rest on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storygan.data.clevr.places import floor_grid, in_picture, safe_places
from storygan.data.dataset import open_split
from storygan.evaluation.lessons import find_judge, lessons
from storygan.evaluation.lines import label_metrics
from storygan.models.recognizer import THERE, Recognizer, read
from storygan.text.clevr import ATTRIBUTES
from storygan.types import UsageError

BATCH = 16
"""Stories at a time."""


@dataclass(frozen=True)
class Accuracy:
    """What a recognizer makes of the real frames of a split."""

    data: str
    stories: int
    values: dict[str, float]
    """By name: shares in [0, 1]."""
    confusion: dict[str, np.ndarray]
    """By attribute, (told, read) counts over all objects that the frames show."""

    def to_dict(self) -> dict[str, Any]:
        tables = {name: counts.tolist() for name, counts in self.confusion.items()}
        return {"data": self.data, "stories": self.stories, "values": self.values, "confusion": tables}

    def __str__(self) -> str:
        lines = [f"{self.stories} stories of {self.data}, real frames"]
        lines += [f"{name:<29}{value:.4f}" for name, value in self.values.items()]
        for name, counts in self.confusion.items():
            options = ATTRIBUTES[name]
            lines += ["", f"{name}: told in rows, read in columns", " " * 10 + "".join(f"{o:>9}" for o in options)]
            lines += [f"{o:<10}" + "".join(f"{n:>9}" for n in line) for o, line in zip(options, counts, strict=True)]
        return "\n".join(lines)


def check_recognizer(recognizer: Recognizer | None, data: str | Path, split: str = "test") -> Accuracy:
    """Compare what a recognizer (None: a shipped one that knows the data) reads in real frames with what is true.

    Values: `there`: objects that are found at their place; `size`, `colour`, `material`, `shape`: objects for which it
    reads the right one; `all_right`: objects found with all four right; `empty_place`: places of the floor's grid, far
    from all objects, where it finds none; `empty_frame`: frames in which it finds none at any of them; those of labels:
    see `label_metrics`.

    Raises:
        UsageError: where the data set has nothing that this recognizer recognizes.
    """
    known = lessons(open_split(data, split))
    recognizer = recognizer or find_judge(known)
    places, named = known.read_by(recognizer)
    if not places and not named:
        raise UsageError(f"{data} has neither the labels nor the kind of sentences that this recognizer knows")
    N, T = known.labels.shape[:2]
    found = np.empty(known.labels.shape, bool)
    shares: dict[str, list[np.ndarray]] = {}
    confusion = {name: np.zeros((len(options), len(options)), int) for name, options in ATTRIBUTES.items()}
    for start in range(0, N, BATCH):
        n = slice(start, start + BATCH)
        frames = np.array(known.frames[n]).reshape(-1, *known.frames.shape[2:])
        maps, probabilities, _ = recognizer.look(frames)
        if named:
            found[n] = probabilities.reshape(-1, T, probabilities.shape[1]) > 0.5
        if not places or known.words is None or known.floor is None:
            continue
        floor, grid = known.floor[n], floor_grid()
        asked = np.concatenate([floor, np.broadcast_to(grid, (len(floor), *grid.shape))], 1)
        reading = read(maps, in_picture(asked).repeat(T, 0))
        there = (reading.there >= THERE).reshape(len(floor), T, -1)
        shown = np.broadcast_to(np.tril(np.ones((T, T), bool)), there[..., :T].shape)  # frame t, object j <= t
        words = reading.words.reshape(len(floor), T, -1, 4)[:, :, :T][shown]
        told = np.broadcast_to(known.words[n, None], (len(floor), T, T, 4))[shown]
        safe, extra = safe_places(grid, floor), there[..., T:]
        line = {"there": there[..., :T][shown], "all_right": there[..., :T][shown] & (words == told).all(1)}
        line |= {name: words[:, k] == told[:, k] for k, name in enumerate(ATTRIBUTES)}
        line |= {"empty_place": ~extra[safe], "empty_frame": ~(extra & safe).any(2)}
        for k, name in enumerate(ATTRIBUTES):
            np.add.at(confusion[name], (told[:, k], words[:, k]), 1)
        for name, right in line.items():
            shares.setdefault(name, []).append(right.ravel())
    values = {name: float(np.concatenate(parts).mean()) for name, parts in shares.items()}
    if named:
        for name, (total, count) in label_metrics(found, known.labels.astype(bool), known.label_names).items():
            if count.any():
                values[name] = float(total.sum() / count.sum())
    return Accuracy(f"{Path(data).name}, split {split}", N, values, confusion if places else {})
