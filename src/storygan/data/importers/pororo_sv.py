"""Pororo-SV in its public layout -> the canonical form.

    ROOT/SEASON/EPISODE/1.png, 2.png, ...   vertical strips of square frames; the first square is taken
    ROOT/descriptions.csv                   no header: episode, frame, description; a frame's first row is taken
    ROOT/descriptions.npy                   key -> list of descriptions; read where the .csv is missing
    ROOT/labels.npy                         key -> nine values of 0 and 1 (optional)
    ROOT/img_cache4.npy                     the first frame of every story
    ROOT/following_cache4.npy               its next four, aligned
    ROOT/train_seen_unseen_ids.npy          (train, validation, test): indices into img_cache4
    ROOT/train_test_ids.npy                 (train, test): the StoryGAN paper's split

Paths and keys may be str, bytes, or str with a literal b'...' around them, with or without .png; what counts is
EPISODE/FRAME at their end. Where the caches are missing, stories are every described frame that four described ones
follow, in string order of their paths (1, 10, 11, 2, ...); published indices may then mean other stories, so this is
noted. `descriptions_vec.npy`, `descriptions_attr.npy` and `frames_counter.npy` are not needed.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from storygan.data.images import MAX_IMPORT_PIXELS, frame_from_image, opened
from storygan.data.importers.common import Cartoon, ImportSummary, T, import_cartoon, read_labels
from storygan.data.restricted_pickle import load_npy
from storygan.errors import StoryganError
from storygan.files import is_file

CHARACTERS = ("Pororo", "Loopy", "Crong", "Eddy", "Poby", "Petty", "Tongtong", "Rody", "Harry")
IDS = ("train_seen_unseen_ids.npy", "train_test_ids.npy")
_FRAME = re.compile(r"\d{1,9}", re.ASCII)
_LONGEST = 500  # characters of a key's end that are looked at: the search is quadratic in time
_END = re.compile(r"([^/\\]+)[/\\](\d{1,9})(?:\.png)?$", re.ASCII)


def import_pororo_sv(root: str | Path, out: str | Path, ids: str = "") -> ImportSummary:
    """Write the stories of ROOT to the new folder OUT and say what was left out and why.

    `ids` names the file of the split, within ROOT; without it, the first of IDS that is there. Where there is none,
    every story goes to train. StoryganError where ROOT has not this layout or OUT exists.
    """
    root = Path(root)
    sentences = _descriptions(root)
    notes = []
    if (root / "img_cache4.npy").exists():
        stories = _cached_stories(root)
    else:
        stories = _stories_in_string_order(sentences)
        notes.append("no img_cache4.npy: stories in string order of their paths, so indices of a split may not fit")
    split, note = _split(root, ids, len(stories))
    seasons = {folder.name: folder for folder in sorted(root.glob("*/*")) if folder.is_dir()}

    def picture(key: str) -> bytes:
        episode, frame = key.split("/")
        if episode not in seasons:
            raise FileNotFoundError(key)
        return first_square(seasons[episode] / f"{frame}.png")

    labels = root / "labels.npy"
    by_key = {_key(name): row for name, row in _dict(labels).items()} if labels.exists() else None
    read = None if by_key is None else read_labels(by_key, CHARACTERS, labels)
    cartoon = Cartoon("Pororo-SV", sentences, read, CHARACTERS, picture)
    chosen = {name: [stories[k] for k in numbers] for name, numbers in split.items()}
    return import_cartoon(cartoon, chosen, out, [*notes, note])


def first_square(path: Path) -> bytes:
    """The first square of a vertical strip (W x k*W) as a frame; ValueError where it is wider than high."""
    if not is_file(path):
        raise FileNotFoundError(path)
    with opened(path, ("PNG",), MAX_IMPORT_PIXELS) as strip:
        if strip.height < strip.width:
            raise ValueError(f"{path.name} is {strip.width}x{strip.height}, not a vertical strip of square frames")
        return frame_from_image(strip.crop((0, 0, strip.width, strip.width)))


def _key(name: object) -> str:
    """`EPISODE/FRAME` of a path or key; StoryganError where it is neither."""
    text = name.decode("latin1") if isinstance(name, bytes) else str(name)
    if text[:2] in ("b'", 'b"'):
        text = text[2:-1]
    match = _END.search(text[-_LONGEST:])
    if not match:
        raise StoryganError(
            f"{text[:80]!r} is not the path of a Pororo-SV frame, EPISODE/NUMBER: fetch the files again"
        )
    return f"{match[1]}/{match[2]}"


def _descriptions(root: Path) -> dict[str, str]:
    """key -> the first description of the frame, in one line."""
    table = root / "descriptions.csv"
    sentences: dict[str, str] = {}
    if table.exists():
        try:
            with table.open(encoding="utf-8-sig", newline="") as file:
                for row in (rows := csv.reader(file)):
                    if len(row) != 3 or not _FRAME.fullmatch(row[1]) or "/" in row[0]:
                        raise StoryganError(f"{table}, line {rows.line_num}: not episode, frame, description")
                    sentences.setdefault(f"{row[0]}/{row[1]}", " ".join(row[2].split()))
        except (UnicodeDecodeError, csv.Error) as error:
            raise StoryganError(f"{table} cannot be read ({error}): fetch it again") from error
        return sentences
    path = root / "descriptions.npy"
    if not path.exists():
        raise StoryganError(f"{root} holds neither descriptions.csv nor descriptions.npy: it is not Pororo-SV")
    for name, texts in _dict(path).items():
        first = next(iter(texts), "") if isinstance(texts, list | tuple | np.ndarray) else texts
        sentences[_key(name)] = " ".join(_text(first).split())
    return sentences


def _text(value: object) -> str:
    """UTF-8 bytes, or the str that Python 2's bytes become in a pickle (latin1), as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return str(value).encode("latin1").decode("utf-8")
    except UnicodeError:  # it was text
        return str(value)


def _dict(path: Path) -> dict[object, object]:
    array = load_npy(path)
    content = array.item() if array.shape == () else None
    if not isinstance(content, dict):
        raise StoryganError(f"{path} does not hold a dict: it is not Pororo-SV's file of that name")
    return content


def _cached_stories(root: Path) -> list[list[str]]:
    """Stories of T keys in the stored order, which the split's indices count."""
    first, following = (load_npy(root / f"{name}_cache4.npy").tolist() for name in ("img", "following"))
    fits = isinstance(first, list) and isinstance(following, list) and len(first) == len(following)
    if not fits or any(not isinstance(names, list) or len(names) != T - 1 for names in following):
        raise StoryganError(
            f"{root}: img_cache4.npy and following_cache4.npy do not hold as many stories of {T} frames"
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
    """The part as an array; one that is no list of numbers becomes one of objects, which is not what is wanted."""
    try:
        return np.asarray(part)
    except (ValueError, OverflowError):
        return np.empty(0, object).reshape(0, 0)


def _split(root: Path, ids: str, stories: int) -> tuple[dict[str, list[int]], str]:
    """Split -> indices of stories, and a line that says where it comes from."""
    name = ids or next((name for name in IDS if (root / name).exists()), None)
    if name is None:
        return {"train": list(range(stories))}, f"none of {', '.join(IDS)}: every story goes to train"
    array = load_npy(root / name)
    content = array.item() if array.shape == () else array
    listed = isinstance(content, list | tuple) or (isinstance(content, np.ndarray) and content.ndim > 0)
    parts = [_indices(part) for part in content] if listed else []
    names = {2: ("train", "test"), 3: ("train", "validation", "test")}.get(len(parts))
    if names is None or any(part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in parts):
        raise StoryganError(f"{root / name} does not hold two or three lists of indices: fetch it again")
    chosen = {split: [int(k) for k in part] for split, part in zip(names, parts, strict=True)}
    if any(not 0 <= k < stories for part in chosen.values() for k in part):
        raise StoryganError(
            f"{root / name} names stories beyond the {stories} that there are: its cache is another one"
        )
    return chosen, f"split by {name}"
