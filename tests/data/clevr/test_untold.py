"""What ids tell of frames: which pixels show which object."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from storygan.data.clevr.untold import shown_objects
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.types import UsageError


def test_an_object_is_where_the_frames_change_when_it_comes(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample")
    dataset = open_split(tmp_path / "sample", "train")
    objects = shown_objects(dataset)
    assert objects.shape == (len(dataset), 64, 64)
    frames = dataset.batch(np.arange(len(dataset))).astype(float)  # (N, T, 64, 64, 3)
    for t in range(1, dataset.T):
        change = np.abs(frames[:, t] - frames[:, t - 1]).max(-1)
        shown = objects == t
        assert shown.any((1, 2)).all()  # none is hidden
        assert change[shown].mean() > 8 * change[~shown].mean()
        assert np.median(change[shown]) > 20
        assert np.median(change[objects < 0]) < 2
    with pytest.raises(UsageError, match="story 'mine' is not as"):
        shown_objects(replace(dataset, story_ids=["mine", *dataset.story_ids[1:]]))
