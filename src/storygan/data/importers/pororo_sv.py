"""Import Pororo-SV in its public layout.

    ROOT/SEASON/EPISODE/1.png, 2.png, ...   vertical strips of square frames; the first is used
    ROOT/descriptions.csv                   no header: episode, frame, description; a frame's first row is used
    ROOT/descriptions.npy                   key -> list of descriptions; used where the .csv is missing
    ROOT/labels.npy                         key -> nine values of 0 and 1 (optional)
    ROOT/img_cache4.npy                     the first frame of every story
    ROOT/following_cache4.npy               its next four, aligned
    ROOT/train_seen_unseen_ids.npy          (train, validation, test): indices into img_cache4
    ROOT/train_test_ids.npy                 (train, test): the StoryGAN paper's split

Paths and keys are str, bytes, or str with a literal b'...' around them, with or without .png; only EPISODE/FRAME at
their end is used. Without the caches, each described frame that four described ones follow starts a story, in string
order of the paths (1, 10, 11, 2, ...). Published indices may then refer to other stories, which a note says.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np

from storygan.data.images import MAX_IMPORT_PIXELS, SIZE, frame_from_image, open_image
from storygan.data.importers.common import FrameTable, ImportSummary, T, import_frame_table, read_labels, read_table
from storygan.data.restricted_pickle import load_npy
from storygan.errors import StoryganError

CHARACTERS = ("Pororo", "Loopy", "Crong", "Eddy", "Poby", "Petty", "Tongtong", "Rody", "Harry")
IDS = ("train_seen_unseen_ids.npy", "train_test_ids.npy")
_FRAME = re.compile(r"\d{1,9}", re.ASCII)
_MAX_KEY = 500  # characters of a key's end that are searched, in quadratic time
_END = re.compile(r"([^/\\]+)[/\\](\d{1,9})(?:\.png)?$", re.ASCII)


def import_pororo_sv(root: str | Path, out: str | Path, ids: str = "", size: int = SIZE) -> ImportSummary:
    """Write the stories of ROOT to the new folder OUT.

    Args:
        root: folder of the original.
        out: folder of the new data set.
        ids: file of the split, within ROOT; "": the first of IDS that exists. Without one, every story goes to train.
        size: pixels a side of a frame.

    Raises:
        StoryganError: ROOT has another layout, no story is complete, or OUT exists.
    """
    root = Path(root)
    sentences = _descriptions(root)
    notes = []
    if (root / "img_cache4.npy").exists():
        stories = _cached_stories(root)
    else:
        stories = _stories_in_string_order(sentences)
        notes.append(
            "no img_cache4.npy: stories in string order of their paths, so the indices of a split may not match"
        )
    split, note = _split(root, ids, len(stories))
    seasons = {folder.name: folder for folder in sorted(root.glob("*/*")) if folder.is_dir()}

    def load(key: str) -> bytes:
        episode, frame = key.split("/")
        if episode not in seasons:
            raise FileNotFoundError(key)
        return first_square(seasons[episode] / f"{frame}.png", size)

    labels = root / "labels.npy"
    by_key = {_key(name): row for name, row in _dict(labels).items()} if labels.exists() else None
    bits = None if by_key is None else read_labels(by_key, CHARACTERS, labels)
    table = FrameTable("Pororo-SV", sentences, bits, CHARACTERS, load)
    selected = {name: [stories[k] for k in numbers] for name, numbers in split.items()}
    return import_frame_table(table, selected, out, [*notes, note])


def first_square(path: Path, size: int) -> bytes:
    """Read the first square of a vertical strip (W x k*W) as a frame. Raises ValueError where it is wider than high."""
    with open_image(path, ("PNG",), MAX_IMPORT_PIXELS) as strip:
        if strip.height < strip.width:
            raise ValueError(f"{path.name} is {strip.width}x{strip.height}, not a vertical strip of square frames")
        return frame_from_image(strip.crop((0, 0, strip.width, strip.width)), size)


def _key(name: object) -> str:
    """Return `EPISODE/FRAME` of a path or key. Raises StoryganError where it is neither."""
    text = name.decode("latin1") if isinstance(name, bytes) else str(name)
    if text[:2] in ("b'", 'b"'):
        text = text[2:-1]
    match = _END.search(text[-_MAX_KEY:])
    if not match:
        raise StoryganError(
            f"{text[:80]!r} is not the path of a Pororo-SV frame, EPISODE/NUMBER: download the files again"
        )
    return f"{match[1]}/{match[2]}"


def _descriptions(root: Path) -> dict[str, str]:
    """Map keys to the first description of the frame, in one line."""
    table = root / "descriptions.csv"
    sentences: dict[str, str] = {}
    if table.exists():
        try:
            for row in (rows := csv.reader(io.StringIO(read_table(table), newline=""))):
                if len(row) != 3 or not _FRAME.fullmatch(row[1]) or "/" in row[0]:
                    raise StoryganError(f"{table}, line {rows.line_num}: not episode, frame, description")
                sentences.setdefault(f"{row[0]}/{row[1]}", " ".join(row[2].split()))
        except csv.Error as error:
            raise StoryganError(f"{table} cannot be read ({error}): download it again") from error
        return sentences
    path = root / "descriptions.npy"
    if not path.exists():
        raise StoryganError(f"{root} holds neither descriptions.csv nor descriptions.npy: it is not Pororo-SV")
    for name, texts in _dict(path).items():
        first = next(iter(texts), "") if isinstance(texts, list | tuple | np.ndarray) else texts
        sentences[_key(name)] = " ".join(_text(first).split())
    return sentences


def _text(value: object) -> str:
    """Decode UTF-8 bytes, or the latin-1 str that Python 2's bytes become in a pickle."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return str(value).encode("latin1").decode("utf-8")
    except UnicodeError:  # it is text already
        return str(value)


def _dict(path: Path) -> dict[object, object]:
    array = load_npy(path)
    content = array.item() if array.shape == () else None
    if not isinstance(content, dict):
        raise StoryganError(f"{path} does not hold a dict: it is not Pororo-SV's file of that name")
    return content


def _cached_stories(root: Path) -> list[list[str]]:
    """Return stories of T keys in the stored order, to which the split's indices refer."""
    first, following = (load_npy(root / f"{name}_cache4.npy").tolist() for name in ("img", "following"))
    valid = isinstance(first, list) and isinstance(following, list) and len(first) == len(following)
    if not valid or any(not isinstance(names, list) or len(names) != T - 1 for names in following):
        raise StoryganError(
            f"{root}: img_cache4.npy and following_cache4.npy do not hold the same number of stories of {T} frames"
        )
    return [[_key(name) for name in (start, *names)] for start, names in zip(first, following, strict=True)]


def _stories_in_string_order(sentences: dict[str, str]) -> list[list[str]]:
    stories = []
    for key in sorted(sentences, key=lambda key: f"{key}.png"):
        episode, frame = key.split("/")
        story = [f"{episode}/{int(frame) + k}" for k in range(T)]
        if all(name in sentences for name in story):
            stories.append(story)
    return stories


def _indices(part: object) -> np.ndarray:
    """Return the part as an array; one of objects where it is no list of numbers."""
    try:
        return np.asarray(part)
    except (ValueError, OverflowError):
        return np.empty(0, object).reshape(0, 0)


def _split(root: Path, ids: str, stories: int) -> tuple[dict[str, list[int]], str]:
    """Return the story indices of each split, and a note on their source."""
    name = ids or next((name for name in IDS if (root / name).exists()), None)
    if name is None:
        return {"train": list(range(stories))}, f"none of {', '.join(IDS)}: every story goes to train"
    array = load_npy(root / name)
    content = array.item() if array.shape == () else array
    is_list = isinstance(content, list | tuple) or (isinstance(content, np.ndarray) and content.ndim > 0)
    parts = [_indices(part) for part in content] if is_list else []
    names = {2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(parts))
    if names is None or any(part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in parts):
        raise StoryganError(f"{root / name} does not hold two or three lists of indices: download it again")
    indices = {split: [int(k) for k in part] for split, part in zip(names, parts, strict=True)}
    if any(not 0 <= k < stories for part in indices.values() for k in part):
        raise StoryganError(f"{root / name} has indices beyond the {stories} stories: it belongs to another cache")
    return indices, f"split by {name}"
