"""Import Flintstones-SV in its public layout.

    ROOT/flintstones_annotations_v1-0.json     list of {globalID, description, setting, characters: [{entityLabel}]}
    ROOT/train-val-test_split.json             {"train": [ids], "val": [ids], "test": [ids]}
    ROOT/video_frames_sampled/<globalID>.npy   uint8 (n,H,W,3); the first of n is used
    ROOT/labels.pkl                            id -> seven values of 0 and 1 (optional: else from entityLabel)
    ROOT/following_cache4.pkl                  id -> the next four ids of its story (optional)

Without the cache, the ids of all splits are sorted. An id and the next four are a story where all are of one season
(`globalID.split('_')[1]`) and episode ([3]). The first id determines the split.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from storygan.data.images import SIZE, frame_from_image
from storygan.data.importers.common import FrameTable, ImportSummary, T, import_frame_table, read_labels
from storygan.data.restricted_pickle import MAX_BYTES, load_npy, load_pickle
from storygan.errors import StoryganError, reason
from storygan.files import parse_json, read_file, read_text

CHARACTERS = ("Wilma", "Fred", "Betty", "Barney", "Dino", "Pebbles", "Mr Slate")
SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}


def import_flintstones_sv(root: str | Path, out: str | Path, size: int = SIZE) -> ImportSummary:
    """Write the stories of ROOT to the new folder OUT, frames of size x size pixels.

    Raises:
        StoryganError: ROOT has another layout, or OUT exists.
    """
    root = Path(root)
    annotations = _annotations(root / "flintstones_annotations_v1-0.json")
    split = _split(root / "train-val-test_split.json")
    cache, labels = root / "following_cache4.pkl", root / "labels.pkl"
    notes = []
    if cache.exists():
        following = _following(cache)
    else:
        following = following_ids({name for names in split.values() for name in names})
        notes.append("no following_cache4.pkl: stories are an id and the next four of its episode, in string order")
    if labels.exists():
        rows: Mapping[str, object] = _dict(labels)
    else:
        rows = {name: _labels(annotation) for name, annotation in annotations.items()}
        notes.append("no labels.pkl: labels from the characters of the annotations")

    def load(key: str) -> bytes:
        path = root / "video_frames_sampled" / f"{key}.npy"
        if Path(key).name != key or not os.path.isfile(path):  # an id must not name another folder
            raise FileNotFoundError(path)
        frames = load_npy(path)
        if frames.ndim != 4 or not frames.size or frames.shape[3] != 3 or frames.dtype != "uint8":
            raise ValueError(f"frames {frames.dtype} {frames.shape}, not uint8 (n, height, width, 3)")
        return frame_from_image(Image.fromarray(frames[0]), size)

    sentences = {name: " ".join(str(a.get("description") or "").split()) for name, a in annotations.items()}
    table = FrameTable("Flintstones-SV", sentences, read_labels(rows, CHARACTERS, labels), CHARACTERS, load)
    stories = {
        SPLIT_NAMES[part]: [(name, *following[name]) for name in names if name in following]
        for part, names in split.items()
    }
    if unused := sum(name not in following for names in split.values() for name in names):
        notes.append(f"ids that start no story, as fewer than four of the episode follow: {unused}")
    return import_frame_table(table, stories, out, notes)


def following_ids(names: set[str]) -> dict[str, list[str]]:
    """Map ids to the next four, in string order, where all are of the same season and episode."""
    ordered = sorted(names)
    stories = (ordered[n : n + T] for n in range(len(ordered) - T + 1))
    return {story[0]: story[1:] for story in stories if all(_episode(a) == _episode(b) for a, b in pairwise(story))}


def _episode(name: str) -> tuple[str, str]:
    """Return season and episode of `s_01_e_02_shot_000123_000197`."""
    parts = name.split("_")
    if len(parts) < 4:
        raise StoryganError(f"{name!r} is not a Flintstones id, s_SEASON_e_EPISODE_shot_...: download the split again")
    return parts[1], parts[3]


def _annotations(path: Path) -> dict[str, dict[str, Any]]:
    content = _json(path)
    if not isinstance(content, list) or not all(map(_is_annotation, content)):
        raise StoryganError(f"{path} is not a list of annotations with a globalID: download it again")
    return {str(annotation["globalID"]): annotation for annotation in content}


def _is_annotation(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("globalID"), str):
        return False
    characters = value.get("characters") or []
    return isinstance(characters, list) and all(isinstance(character, dict) for character in characters)


def _split(path: Path) -> dict[str, list[str]]:
    content = _json(path)
    if not isinstance(content, dict) or not set(content) <= set(SPLIT_NAMES):
        raise StoryganError(f"{path} is not lists of ids under {', '.join(SPLIT_NAMES)}: download it again")
    if not all(isinstance(names, list) for names in content.values()):
        raise StoryganError(f"{path}: a split is not a list of ids: download it again")
    return {part: [str(name) for name in names] for part, names in content.items()}


def _json(path: Path) -> object:
    try:
        return parse_json(read_text(path, MAX_BYTES))
    except OSError as error:
        raise StoryganError(f"{path} cannot be opened: {error.strerror or error}") from error
    except ValueError as error:
        raise StoryganError(f"{path} is not JSON ({reason(error)}): download it again") from error


def _dict(path: Path) -> dict[str, Any]:
    try:
        content = load_pickle(io.BytesIO(read_file(path, MAX_BYTES)), path)
    except (OSError, ValueError) as error:
        raise StoryganError(f"{path} cannot be read: {reason(error)}") from error
    if not isinstance(content, dict):
        raise StoryganError(f"{path} does not hold a dict: download it again")
    return {name.decode("latin1") if isinstance(name, bytes) else str(name): value for name, value in content.items()}


def _following(path: Path) -> dict[str, list[str]]:
    following = {}
    for name, ids in _dict(path).items():
        if not isinstance(ids, list | tuple | np.ndarray) or (isinstance(ids, np.ndarray) and ids.ndim == 0):
            raise StoryganError(f"{path}: {name!r} is not followed by a list of ids")
        following[name] = [n.decode("latin1") if isinstance(n, bytes) else str(n) for n in ids]
        if len(following[name]) != T - 1:
            raise StoryganError(f"{path}: {name!r} is followed by {len(following[name])} ids, not {T - 1}")
    return following


def _labels(annotation: Mapping[str, Any]) -> list[int]:
    """Return seven values of 0 and 1: which characters the annotation lists."""
    present = {str(c.get("entityLabel", "")).strip().casefold() for c in annotation.get("characters") or []}
    return [int(name.casefold() in present) for name in CHARACTERS]
