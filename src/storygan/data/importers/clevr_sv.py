"""Import the original CLEVR-SV release.

    ROOT/CLEVR_dict.npy                     dict: image file name -> float64 (75,)
    ROOT/images/CLEVR_new_%06d_%d.png       story id, frame 1..4

The 75 values are 4 slots of 18, and 3 unused. A slot has one-hots of shape (3), colour (8), material (2) and size (2),
then x, y, z. Frame k shows the objects of slots 1 to k. So its sentence describes slot k, and its 15 labels cover slots
1 to k. Images, 320x240 RGBA, lose their alpha and are resized to squares with Pillow's bilinear filter; the metadata
keeps the aspect ratio of 4/3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from storygan.clevr.constants import ASPECT
from storygan.data.images import IMAGE_ERRORS, MAX_IMPORT_PIXELS, SIZE, encode_png, open_image
from storygan.data.importers.common import ImportSummary, write_split
from storygan.data.restricted_pickle import load_npy
from storygan.data.schema import Story
from storygan.errors import MAX_SEED, StoryganError, UsageError, require_whole
from storygan.files import atomic_folder
from storygan.progress import tqdm
from storygan.text.clevr import COLOURS, LABELS, MATERIALS, SHAPES, SIZES, ClevrObject, format_sentence, presence_labels

T = 4  # frames per story
SLOT = 18  # values of an object
_NAME = re.compile(r"CLEVR_new_(\d{6})_([1-4])\.png", re.ASCII)


def import_clevr_sv(root: str | Path, out: str | Path, train_below: int = 0, size: int = SIZE) -> ImportSummary:
    """Write the stories of ROOT to the new folder OUT.

    Stories with a frame whose image or description is missing or unreadable are skipped.

    Args:
        root: folder of the original.
        out: folder of the new data set.
        train_below: stories with a smaller number go to the split train, all others to test. The full release trains on
            the first 10,000.
        size: pixels a side of a frame.

    Raises:
        UsageError: `train_below` is negative.
        StoryganError: ROOT has another layout, no story is complete, or OUT exists.
    """
    require_whole("train_below", train_below, 0, MAX_SEED)
    root = Path(root)
    descriptions = _read_descriptions(root / "CLEVR_dict.npy")
    if not (root / "images").is_dir():
        raise StoryganError(f"{root / 'images'} is missing: ROOT must hold CLEVR_dict.npy and images/")
    summary = ImportSummary(str(out))
    with atomic_folder(out) as partial:
        numbers = _complete_stories(root / "images", descriptions, summary)
        with tqdm(total=len(numbers), unit="story", desc="CLEVR-SV") as bar:
            for split in ("train", "test"):
                selected = [number for number in numbers if (int(number) < train_below) == (split == "train")]
                stories = _stories(root / "images", descriptions, selected, size, summary, bar)
                write_split(partial, split, stories, LABELS, summary, ASPECT)
        summary.require_stories(root)
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
    """Return the six-digit numbers, sorted, of the stories with four images and four descriptions."""
    with_image: dict[str, set[str]] = {}
    with_description: dict[str, set[str]] = {}
    for names, frames in (
        (sorted(path.name for path in images.iterdir()), with_image),
        (sorted(map(str, descriptions)), with_description),
    ):
        for name in names:
            if match := _NAME.fullmatch(name):
                frames.setdefault(match[1], set()).add(match[2])
            else:
                summary.skip("not the name of a CLEVR-SV image", name)
    complete = []
    for number in sorted(with_image.keys() | with_description.keys()):
        if number not in with_image:
            summary.skip("stories without images", number)
        elif number not in with_description:
            summary.skip("stories without descriptions", number)
        elif len(with_image[number]) < T:
            summary.skip("stories with a missing image", number)
        elif len(with_description[number]) < T:
            summary.skip("stories with a missing description", number)
        else:
            complete.append(number)
    return complete


def _stories(
    images: Path,
    descriptions: Mapping[str, np.ndarray],
    numbers: list[str],
    size: int,
    summary: ImportSummary,
    bar: tqdm,
) -> Iterator[Story]:
    """Yield the readable stories; the others go to the summary."""
    for number in numbers:
        bar.update()
        names = [f"CLEVR_new_{number}_{k}.png" for k in range(1, T + 1)]
        try:
            objects = [_object(descriptions[name], k) for k, name in enumerate(names)]
            sentences = [format_sentence(thing) for thing in objects]
        except UsageError as error:
            summary.skip("stories with an invalid description", f"{number} ({error})")
            continue
        try:
            frames = [_frame(images / name, size) for name in names]
        except IMAGE_ERRORS as error:
            summary.skip("stories with an unreadable image", f"{number} ({error})")
            continue
        yield Story(f"clevr-sv-{number}", sentences, frames, presence_labels(objects))


def _object(vector: np.ndarray, slot: int) -> ClevrObject:
    """Return the object in slot 0..3 of a description (75,). Raises UsageError where a one-hot is invalid."""
    values = vector[slot * SLOT : (slot + 1) * SLOT]
    attributes, start = [], 0
    for options in (SHAPES, COLOURS, MATERIALS, SIZES):
        one_hot = values[start : start + len(options)].tolist()
        if sorted(one_hot) != [0.0] * (len(options) - 1) + [1.0]:
            raise UsageError(f"slot {slot + 1} has not exactly one of {', '.join(options)}")
        attributes.append(options[one_hot.index(1.0)])
        start += len(options)
    shape, colour, material, size = attributes
    return ClevrObject(shape, colour, material, size, x=float(values[15]), y=float(values[16]))


def _frame(path: Path, size: int) -> bytes:
    """Read an image and return it as RGB PNG bytes, size x size pixels."""
    with open_image(path, ("PNG",), MAX_IMPORT_PIXELS) as image:
        return encode_png(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
