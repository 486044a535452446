"""Show frames to language models that do not know where they come from, and score what they write.

    storygan study --model A --frames B=FOLDER --data DATA --stories 100 --out study.html
    python benchmarks/blind_readers.py pairs study.html OUT                # a PNG per story, by Chromium
    python benchmarks/blind_readers.py pair-answers study.html answers.txt --reader 1 > answers-1.jsonl
    storygan study --answers answers-1.jsonl answers-2.jsonl answers-3.jsonl

    python benchmarks/blind_readers.py frames OUT --model toon-sv --data DATA       # 40 frames; also real-frames
    python benchmarks/blind_readers.py frame-answers answers.txt --data DATA

A reader of pairs writes lines `3 A B`: story 3, A fits the text better, B is more consistent. A reader of frames writes
lines `3: fox, bear, farm, kite`: the labels that frame 3 shows, in any order. Frame n of N is frame n mod T of a story;
the stories are evenly spaced in the split.
"""

from __future__ import annotations

import argparse
import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
from PIL import Image

from storygan import viz
from storygan.data.dataset import StoryDataset, open_split
from storygan.evaluation.baselines import find_baseline
from storygan.evaluation.study import QUESTIONS
from storygan.models.storygan import load_for_inference

FRAMES, SCALE = 40, 6


def pairs(study: Path, out: Path) -> None:
    """Write OUT/1.png and so on, the stories of a study's page in its order."""
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.goto(study.resolve().as_uri())
        page.add_style_tag(content="fieldset {display: none}")
        for n, section in enumerate(page.query_selector_all("section"), 1):
            section.screenshot(path=out / f"{n}.png")
        browser.close()


def pair_answers(study: str, lines: list[str], reader: str) -> list[dict[str, object]]:
    """Return the answers of a reader, as the study's page would save them."""
    (encoded,) = re.findall(r'data-systems="([^"]+)"', study)
    systems, answers = json.loads(b64decode(encoded)), []
    sections = re.findall(r'<section data-story="([^"]+)" data-first="([01])">', study)
    for line in lines:
        place, *letters = line.split()
        story_id, first = sections[int(place) - 1]
        for question, letter in zip(QUESTIONS, letters, strict=True):
            chosen = systems[int(first) ^ ("AB".index(letter))]
            answers.append(
                {"story_id": story_id, "question": question, "chosen": chosen, "systems": systems, "person": reader}
            )
    return [answer | {"simulated": True} for answer in answers]


def chosen_frames(dataset: StoryDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the stories and of the frames that are shown, (FRAMES,) each."""
    return np.linspace(0, len(dataset) - 1, FRAMES).astype(int), np.arange(FRAMES) % dataset.T


def frames(out: Path, model: str, dataset: StoryDataset) -> None:
    """Write OUT/1.png to OUT/40.png."""
    story_idx, frame_idx = chosen_frames(dataset)
    chosen = dataset.subset(story_idx.tolist())
    X = chosen.frames if find_baseline(model) else load_for_inference(model).generate_dataset(chosen.sentences, seed=0)
    out.mkdir(parents=True, exist_ok=True)
    for n, t in enumerate(frame_idx):
        Image.fromarray(viz.enlarge(X[n][t], SCALE, dataset.aspect_ratio)).save(out / f"{n + 1}.png")


def frame_answers(lines: list[str], dataset: StoryDataset) -> str:
    """Return, for each group of labels, the frames that name all of them, those that name no other, and both."""
    assert dataset.labels is not None
    assert dataset.label_names is not None
    groups, words = zip(*(name.split(": ") for name in dataset.label_names), strict=True)
    story_idx, frame_idx = chosen_frames(dataset)
    true = np.asarray(dataset.labels)[story_idx, frame_idx] > 0
    said = np.zeros_like(true)
    for line in lines:
        n, _, text = line.partition(":")
        said[int(n) - 1] = [bool(re.search(rf"\b{word}\b", text.lower())) for word in words]
    rows = ["| | all named | no other named | both |", "|---|---:|---:|---:|"]
    for group in dict.fromkeys(groups):
        of_group = np.array(groups) == group
        missing, extra = (true & ~said)[:, of_group].any(1), (said & ~true)[:, of_group].any(1)
        rows.append(
            f"| {group} | {1 - missing.mean():.3f} | {1 - extra.mean():.3f} | {1 - (missing | extra).mean():.3f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, arguments in {
        "pairs": ("study", "out"),
        "pair-answers": ("study", "answers", "--reader"),
        "frames": ("out", "--model", "--data", "--split"),
        "frame-answers": ("answers", "--data", "--split"),
    }.items():
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument, **({"default": "test"} if argument == "--split" else {}))
    given = parser.parse_args()
    if given.command == "pairs":
        pairs(Path(given.study), Path(given.out))
    elif given.command == "pair-answers":
        lines = Path(given.answers).read_text().splitlines()
        for answer in pair_answers(Path(given.study).read_text(), lines, f"language model {given.reader}"):
            print(json.dumps(answer))
    elif given.command == "frames":
        frames(Path(given.out), given.model, open_split(given.data, given.split))
    else:
        print(frame_answers(Path(given.answers).read_text().splitlines(), open_split(given.data, given.split)))


if __name__ == "__main__":
    main()
