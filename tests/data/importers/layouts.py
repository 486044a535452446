"""Write the public layouts of Pororo-SV and Flintstones-SV with synthetic images."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

SEASON, EPISODE = "Cartoon_1", "Cartoon_1_ep1"
FRAMES = 12


def key(frame: int) -> str:
    return f"{SEASON}/{EPISODE}/{frame}"


def save(path: Path, content: object) -> None:
    """Save a 0-d object array, as in the public files."""
    array = np.empty((), dtype=object)
    array[()] = content
    np.save(path, array)


def strip(path: Path, frame: int, squares: int = 3) -> None:
    """Save W x k*W pixels: square k is gray of 10 * frame + k."""
    pixels = np.repeat(np.arange(squares) + 10 * frame, 128)[:, None, None]
    Image.fromarray(np.broadcast_to(pixels, (128 * squares, 128, 3)).astype(np.uint8)).save(path)


def write_pororo_sv(root: Path) -> None:
    """Write twelve frames; the cache has the eight stories in string order: 1, 2, 3, ..., as none starts above 8."""
    folder = root / SEASON / EPISODE
    folder.mkdir(parents=True)
    with (root / "descriptions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        for frame in range(1, FRAMES + 1):
            strip(folder / f"{frame}.png", frame)
            table.writerow([EPISODE, frame, f"Frame {frame},\nfirst description."])
            table.writerow([EPISODE, frame, "Second description."])
    save(root / "labels.npy", {key(f).encode(): np.eye(9, dtype=int)[f % 9] for f in range(1, FRAMES + 1)})
    starts = range(1, FRAMES - 3)
    np.save(root / "img_cache4.npy", np.array([f"{key(f)}.png".encode() for f in starts]))
    following = np.array([[f"{key(f + k)}.png".encode() for k in range(1, 5)] for f in starts])
    np.save(root / "following_cache4.npy", following)
    np.save(root / "train_seen_unseen_ids.npy", ragged([0, 1, 2], [4], [6, 7]), allow_pickle=True)


def ragged(*parts: list[int]) -> np.ndarray:
    array = np.empty(len(parts), dtype=object)
    array[:] = [np.array(part) for part in parts]
    return array


NAMES = [f"s_01_e_02_shot_{n:06d}_{n + 74:06d}" for n in range(0, 8)] + ["s_01_e_03_shot_000000_000074"]


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def write_flintstones_sv(root: Path) -> None:
    """Write nine clips of two episodes; four stories."""
    (root / "video_frames_sampled").mkdir(parents=True)
    annotations = [
        {"globalID": name, "description": f"Clip {n}.", "characters": [{"entityLabel": "mr slate"}, {}]}
        for n, name in enumerate(NAMES)
    ]
    write_json(root / "flintstones_annotations_v1-0.json", annotations)
    write_json(root / "train-val-test_split.json", {"train": NAMES[:3], "val": NAMES[3:4], "test": NAMES[4:]})
    for n, name in enumerate(NAMES):
        clip = np.full((2, 128, 128, 3), 99, np.uint8)
        clip[0] = 10 * n
        np.save(root / "video_frames_sampled" / f"{name}.npy", clip)
    (root / "labels.pkl").write_bytes(pickle.dumps({name: [1, 0, 0, 0, 0, 0, 1] for name in NAMES}, 2))
    following = {NAMES[n]: [NAMES[n + k] for k in range(1, 5)] for n in range(4)}
    (root / "following_cache4.pkl").write_bytes(pickle.dumps(following))
