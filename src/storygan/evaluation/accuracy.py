"""How well a recognizer does on real frames: what the other metrics rest on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storygan.data.clevr.places import floor_grid, safe_places
from storygan.data.dataset import open_split
from storygan.evaluation.lessons import Lessons, find_judge, lessons
from storygan.evaluation.lines import label_metrics
from storygan.evaluation.metrics import Seen
from storygan.evaluation.rows import Pool
from storygan.evaluation.seeing import look
from storygan.models.recognizer import Recognizer
from storygan.text.clevr import ATTRIBUTES
from storygan.types import UsageError

REAL = "real_frames"


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
    dataset = open_split(data, split)
    known = lessons(dataset)
    recognizer = recognizer or find_judge(known)
    places, named = known.read_by(recognizer)
    if not places and not named:
        raise UsageError(f"{data} has neither the labels nor the kind of sentences that this recognizer knows")
    N, T = known.labels.shape[:2]
    frames = np.array(known.frames).reshape(-1, *known.frames.shape[2:])
    pool = Pool(frames, {REAL: np.arange(N * T).reshape(N, T)})
    looked = look(recognizer, pool, dataset.sentences if places else None)
    values, confusion = _of_places(known, looked.seen[REAL]) if places else ({}, {})
    if named:
        found = looked.labels.reshape(N, T, -1)
        for name, (total, count) in label_metrics(found, known.labels.astype(bool), known.label_names).items():
            if count.any():
                values[name] = float(total.sum() / count.sum())
    return Accuracy(f"{Path(data).name}, split {split}", N, values, confusion)


def _of_places(known: Lessons, seen: Seen) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The values and the confusion of what was read at places."""
    assert known.words is not None
    assert known.floor is not None
    N, T = seen.there.shape[:2]
    shown = np.broadcast_to(np.tril(np.ones((T, T), bool)), (N, T, T))  # in frame t, object j <= t
    told, words = np.broadcast_to(known.words[:, None], (N, T, T, 4))[shown], seen.words[shown]
    there, right = seen.there[shown], seen.right[shown]
    shares = {"there": there, "all_right": there & right.all(1)}
    shares |= {name: right[:, k] for k, name in enumerate(ATTRIBUTES)}
    values = {name: float(share.mean()) for name, share in shares.items()}
    values["empty_place"] = float(1 - seen.extra.sum() / safe_places(floor_grid(), known.floor).sum())
    values["empty_frame"] = float((seen.extra == 0).mean())
    confusion = {name: np.zeros((len(options), len(options)), int) for name, options in ATTRIBUTES.items()}
    for k, counts in enumerate(confusion.values()):
        np.add.at(counts, (told[:, k], words[:, k]), 1)
    return values, confusion
