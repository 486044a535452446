"""The original CLEVR-SV release -> the canonical form.

    ROOT/CLEVR_dict.npy                     dict: image file name -> float64 (75,)
    ROOT/images/CLEVR_new_%06d_%d.png       story id, frame 1..4

The 75 values are 4 slots of 18 and 3 of no use here. A slot: one-hots of shape (3), colour (8), material (2) and size
(2), then x, y, z. Frame k shows the objects of slots 1 to k, so its sentence is that of slot k alone and its 15
presence labels gather slots 1 to k. Pictures (320x240 RGBA) lose their alpha and are brought to 64x64 without keeping
the aspect ratio, by Pillow's bilinear filter, which averages over the whole area that a new pixel covers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from storygan.data.images import MAX_IMPORT_PIXELS, UNREADABLE, encode_png, opened
from storygan.data.importers.common import ImportSummary, write_split
from storygan.data.restricted_pickle import load_npy
from storygan.data.schema import Story
from storygan.errors import MAX_SEED, StoryganError, UsageError, require_whole
from storygan.files import atomic_folder
from storygan.text.clevr import COLOURS, LABELS, MATERIALS, SHAPES, SIZES, ClevrObject, format_sentence, presence_labels

T = 4  # frames of a story
SLOT = 18  # values of an object
SIZE = 64  # pixels of a side
_NAME = re.compile(r"CLEVR_new_(\d{6})_([1-4])\.png", re.ASCII)


def import_clevr_sv(root: str | Path, out: str | Path, train_below: int = 0) -> ImportSummary:
    """Write the stories of ROOT to the new folder OUT and say what was skipped and why.

    Stories with a number below `train_below` go to the split train, all others to test (the full release trains on the
    10,000 first). A story is skipped where a frame, its picture or its description is missing or unreadable.
    UsageError on a negative number; StoryganError where ROOT has not this layout or OUT exists.
    """
    require_whole("train_below", train_below, 0, MAX_SEED)
    root = Path(root)
    descriptions = _read_descriptions(root / "CLEVR_dict.npy")
    if not (root / "images").is_dir():
        raise StoryganError(f"{root / 'images'} is missing: ROOT must hold CLEVR_dict.npy and images/")
    summary = ImportSummary(str(out))
    with atomic_folder(out) as partial:
        numbers = _complete_stories(root / "images", descriptions, summary)
        with tqdm(total=len(numbers), unit="story", desc="CLEVR-SV", disable=None) as bar:
            for split in ("train", "test"):
                chosen = [number for number in numbers if (int(number) < train_below) == (split == "train")]
                stories = _stories(root / "images", descriptions, chosen, summary, bar)
                write_split(partial, split, stories, LABELS, summary)
        if not summary.stories:
            raise StoryganError(f"{root} holds no complete story\n{summary}".replace("\n", "; "))
    return summary


def _read_descriptions(path: Path) -> dict[str, np.ndarray]:
    array = load_npy(path)
    content = array.item() if array.dtype == object and array.shape == () else None
    if not isinstance(content, dict):
        raise StoryganError(f"{path} does not hold a dict of descriptions: ROOT is not the original CLEVR-SV release")
    for name, vector in content.items():
        if not isinstance(vector, np.ndarray) or vector.shape != (T * SLOT + 3,) or vector.dtype.kind != "f":
            shape = getattr(vector, "shape", type(vector).__name__)
            raise StoryganError(f"{path}: the description of {name!r} must be 75 numbers, it is {shape}")
    return content


def _complete_stories(images: Path, descriptions: Mapping[str, object], summary: ImportSummary) -> list[str]:
    """The six-digit numbers, sorted, of the stories that have four pictures and four descriptions."""
    pictured: dict[str, set[str]] = {}
    described: dict[str, set[str]] = {}
    for source, frames in (
        (sorted(path.name for path in images.iterdir()), pictured),
        (sorted(map(str, descriptions)), described),
    ):
        for name in source:
            if match := _NAME.fullmatch(name):
                frames.setdefault(match[1], set()).add(match[2])
            else:
                summary.skip("not the name of a CLEVR-SV picture", name)
    complete = []
    for number in sorted(pictured.keys() | described.keys()):
        if number not in pictured:
            summary.skip("described stories without pictures", number)
        elif number not in described:
            summary.skip("pictured stories without descriptions", number)
        elif len(pictured[number]) < T:
            summary.skip("stories with a picture missing", number)
        elif len(described[number]) < T:
            summary.skip("stories with a description missing", number)
        else:
            complete.append(number)
    return complete


def _stories(
    images: Path, descriptions: Mapping[str, np.ndarray], numbers: list[str], summary: ImportSummary, bar: tqdm
) -> Iterator[Story]:
    """Those that can be read; the others are in the summary."""
    for number in numbers:
        bar.update()
        names = [f"CLEVR_new_{number}_{k}.png" for k in range(1, T + 1)]
        try:
            things = [_object(descriptions[name], k) for k, name in enumerate(names)]
            sentences = [format_sentence(thing) for thing in things]
        except UsageError as error:
            summary.skip("stories with a description that fits no sentence", f"{number} ({error})")
            continue
        try:
            frames = [_frame(images / name) for name in names]
        except UNREADABLE as error:
            summary.skip("stories with an unreadable picture", f"{number} ({error})")
            continue
        yield Story(f"clevr-sv-{number}", sentences, frames, presence_labels(things))


def _object(vector: np.ndarray, slot: int) -> ClevrObject:
    """The object in slot 0..3 of a description (75,); UsageError where a one-hot has not exactly one 1."""
    values = vector[slot * SLOT : (slot + 1) * SLOT]
    words, start = [], 0
    for options in (SHAPES, COLOURS, MATERIALS, SIZES):
        one_hot = values[start : start + len(options)].tolist()
        if sorted(one_hot) != [0.0] * (len(options) - 1) + [1.0]:
            raise UsageError(f"slot {slot + 1} names not exactly one of {', '.join(options)}")
        words.append(options[one_hot.index(1.0)])
        start += len(options)
    shape, colour, material, size = words
    return ClevrObject(shape, colour, material, size, x=float(values[15]), y=float(values[16]))


def _frame(path: Path) -> bytes:
    """The picture as 64x64 RGB PNG bytes."""
    with opened(path, ("PNG",), MAX_IMPORT_PIXELS) as image:
        return encode_png(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
