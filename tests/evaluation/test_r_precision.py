"""R-precision of hand-made scores and of planted faults, and the training of its matcher."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from storygan.cli import main
from storygan.data.dataset import open_split
from storygan.data.schema import Story, read_stories, shard_name, write_shard
from storygan.errors import StoryganError, UsageError
from storygan.evaluation.baselines import FramePool
from storygan.evaluation.r_precision import (
    CANDIDATES,
    candidate_sentences,
    find_matcher,
    measure_r_precision,
    r_precision,
    train_matcher,
)
from storygan.models.matcher import SHIPPED, Matcher, match


def stories_of(N: int, T: int = 2) -> list[list[str]]:
    return [[f"sentence {n} {t}" for t in range(T)] for n in range(N)]


def test_candidates_are_the_own_sentence_and_99_of_other_stories() -> None:
    stories = stories_of(60)
    stories[1][0] = stories[0][0]  # a sentence that two stories have
    found = candidate_sentences(stories, seed=0)
    assert found is not None
    sentences, index = found
    assert len(sentences) == 119
    assert index.shape == (60, 2, CANDIDATES)
    for n, story in enumerate(stories):
        for t, sentence in enumerate(story):
            candidates = [sentences[m] for m in index[n, t]]
            assert candidates[0] == sentence
            assert len(set(candidates)) == CANDIDATES
            assert not set(candidates[1:]) & set(story)
    assert candidate_sentences(stories_of(50), seed=0) is None, "101 sentences may have 2 of the own story"


class Codes(Matcher):
    """Sentence `N` has the vector e_N; a frame of value N shows it."""

    def encode(self, sentences: list[str]) -> Tensor:  # type: ignore[override]
        return torch.nn.functional.one_hot(torch.tensor([int(s) for s in sentences]), 256).float()

    def embed_sentences(self, v: Tensor) -> Tensor:
        return v

    def embed_frames(self, x: Tensor) -> Tensor:
        value = ((x[:, 0, 0, 0] + 1) * 127.5).round().long()
        return torch.nn.functional.one_hot(value, 256).float()[:, None]


def test_share_of_frames_whose_own_sentence_scores_highest() -> None:
    frames = np.arange(240, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    real = np.arange(240).reshape(120, 2)
    swapped = real.copy()
    swapped[:30] = swapped[:30, ::-1]
    index = {"real_frames": real, "swapped": swapped, "first": np.repeat(real[:, :1], 2, 1)}
    candidates = candidate_sentences([[str(m) for m in row] for row in real], seed=0)
    assert candidates is not None
    found = r_precision(FramePool(frames, index), candidates, Codes())
    values = {method: float(metric.total.sum() / metric.weight.sum()) for method, metric in found.items()}
    assert values == {"real_frames": 1, "swapped": 0.75, "first": 0.5}


def test_equal_scores_are_no_hit() -> None:
    class Constant(Codes):
        def embed_frames(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 1, 256)

    real = np.arange(240).reshape(120, 2)
    candidates = candidate_sentences([[str(m) for m in row] for row in real], seed=0)
    assert candidates is not None
    pool = FramePool(np.zeros((240, 64, 64, 3), np.uint8), {"real_frames": real})
    assert r_precision(pool, candidates, Constant())["real_frames"].total.sum() == 0


def test_a_sentence_may_match_any_pixel() -> None:
    pixels = torch.zeros(1, 256, 64)
    pixels[0, 7, 3] = pixels[0, 200, 5] = 100
    scores = match(pixels, torch.eye(64))
    assert scores[0, [3, 5]] == pytest.approx(np.array([12.5, 12.5]), abs=1e-2)
    assert scores[0, 4].item() == pytest.approx(np.log(256), abs=1e-4)


def test_the_shipped_matcher_sees_wrong_and_swapped_frames(sample: Path) -> None:
    """On the 16 test stories of the sample; most other sentences are of the 48 training stories."""
    parts = [open_split(sample, split) for split in ("test", "train")]
    sentences = [story for part in parts for story in part.sentences]
    real = np.arange(256).reshape(64, 4)
    index = {"real_frames": real, "swapped": real[:, [0, 2, 1, 3]], "shuffled": np.roll(real, 1, 0)}
    frames = np.concatenate([part.batch(range(len(part))) for part in parts]).reshape(-1, 64, 64, 3)
    found, note = measure_r_precision(FramePool(frames, index), sentences, find_matcher(sentences), seed=0)
    values = {method: float(metric.total[:16].sum() / 64) for method, metric in found.items()}
    assert values["real_frames"] > 0.75
    assert values["swapped"] < values["real_frames"] - 0.15, "frame 2 lacks the object of sentence 2"
    assert values["shuffled"] < 0.1
    assert "of 100" in note


def test_a_matcher_of_words_is_trained_saved_and_loaded(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sings", "jumps", "sleeps", "eats"]
    stories = [
        Story(s.story_id, [f"Pororo {words[(n + t) % 4]}." for t in range(4)], s.frames)
        for n, s in enumerate(read_stories(sample, "train"))
    ]
    write_shard(tmp_path / shard_name("train", 0, 1), stories, None)
    command = ["train-matcher", "--data", str(tmp_path), "--out", str(tmp_path / "matcher"), "--epochs", "1"]
    assert main(command) == 0
    assert "--matcher" in capsys.readouterr().out
    loaded = Matcher.load(tmp_path / "matcher")
    assert set(loaded.words) == {"pororo", "sing", "jump", "sleep", "eat"}
    assert loaded.encode(["Pororo sings and jumped", "unknown"]).sum(1).tolist() == [3, 0]
    assert find_matcher([["Pororo sings."]]) is None
    with pytest.raises(UsageError, match="for CLEVR-SV"):
        find_matcher([["Pororo sings."]], SHIPPED)
    with pytest.raises(UsageError, match="give more stories"):
        train_matcher(sample, "test")


def test_damaged_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(StoryganError, match="nothing-here"):
        Matcher.load(tmp_path / "nothing-here")
    folder = Matcher(["a", "b"]).save(tmp_path / "saved")
    assert Matcher.load(folder).words == ("a", "b")
    for name, content in {
        "matcher.json": json.dumps({"words": "ab", "about": {}}).encode(),
        "matcher.safetensors": (folder / "matcher.safetensors").read_bytes()[:-8],
    }.items():
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        with pytest.raises(StoryganError, match="saved holds no matcher"):
            Matcher.load(folder)
        (folder / name).write_bytes(whole)


def test_the_shipped_matcher_is_small() -> None:
    files = {file.name: file.stat().st_size for file in SHIPPED.iterdir()}
    assert set(files) == {"README.md", "matcher.json", "matcher.safetensors"}
    assert sum(files.values()) < 500_000
