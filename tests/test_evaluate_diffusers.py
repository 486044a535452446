"""The example that generates frames with a pipeline of diffusers, with a stand-in of a few lines."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from storygan.data.dataset import open_split
from storygan.data.prompts import write_prompts
from storygan.evaluation.system_frames import read_system_frames

generate = runpy.run_path(str(Path(__file__).parents[1] / "examples/evaluate_diffusers.py"))["generate"]


class Pipeline:
    """Return an image whose gray level is the number of objects in the prompt."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, prompt: str, generator: torch.Generator) -> SimpleNamespace:
        assert generator.initial_seed() == 3
        self.prompts.append(prompt)
        return SimpleNamespace(images=[Image.new("RGB", (96, 96), (prompt.count(" at ") + prompt.count(" in "),) * 3)])


def test_frames_of_a_pipeline_can_be_evaluated(tiny_dataset: Path, tmp_path: Path) -> None:
    prompts, out, pipeline = tmp_path / "prompts.jsonl", tmp_path / "frames", Pipeline()
    write_prompts(tiny_dataset, "train", prompts)
    generate(pipeline, prompts, out, stories=2, seed=3)
    generate(pipeline, prompts, out, stories=3, seed=3)
    assert len(pipeline.prompts) == 3 * 4, "stories that are there are not generated again"
    frames, note = read_system_frames("theirs", out, open_split(tiny_dataset, "train").subset(range(3)), "train")
    assert np.array_equal(frames[:, :, 0, 0, 0], [[1, 2, 3, 4]] * 3)
    assert note == "theirs: 12 of 12 frames resized to 64x64 pixels, from 96x96"


def test_other_stories_have_a_prompt_for_each_sentence(tmp_path: Path) -> None:
    line = '{"id": "a", "sentences": ["Pororo sings.", "He sleeps."], "english": ["Pororo sings.", "He sleeps."]}\n'
    (tmp_path / "prompts.jsonl").write_text(line)
    pipeline = Pipeline()
    generate(pipeline, tmp_path / "prompts.jsonl", tmp_path / "frames", seed=3)
    assert pipeline.prompts == ["Pororo sings.", "He sleeps."]
