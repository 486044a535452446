"""Stories as JSON lines for other systems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storygan.cli import main
from storygan.data.dataset import open_split


def test_one_line_a_story_in_order(tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "prompts.jsonl"
    assert main(["data", "prompts", str(tiny_dataset), "--split", "train", "--out", str(out)]) == 0
    assert "8 stories" in capsys.readouterr().out
    lines, dataset = [json.loads(line) for line in out.read_text().splitlines()], open_split(tiny_dataset, "train")
    assert [line["id"] for line in lines] == dataset.story_ids
    assert [line["sentences"] for line in lines] == dataset.sentences
    for line in lines:
        assert len(line["english"]) == 4
        assert not any(character.isdigit() or character == "(" for text in line["english"] for character in text)


def test_a_missing_split_writes_nothing(tiny_dataset: Path, tmp_path: Path) -> None:
    assert main(["data", "prompts", str(tiny_dataset), "--out", str(tmp_path / "prompts.jsonl")]) == 1
    assert list(tmp_path.iterdir()) == []
