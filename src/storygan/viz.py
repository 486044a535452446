"""Frames into pictures: strips, GIFs, folders. Frames are uint8 (N, T, H, W, 3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from storygan.types import StoryganError, UsageError

GAP = 2
"""White pixels between frames."""


def strips(frames: np.ndarray, scale: int = 1) -> np.ndarray:
    """N stories under one another, T frames side by side: (N, T, H, W, 3) -> (h, w, 3), each pixel `scale` large."""
    N, T, H, W, _ = frames.shape
    page = np.full((N * (H + GAP) - GAP, T * (W + GAP) - GAP, 3), 255, dtype=np.uint8)
    for n in range(N):
        for t in range(T):
            page[n * (H + GAP) :, t * (W + GAP) :][:H, :W] = frames[n, t]
    return page.repeat(scale, axis=0).repeat(scale, axis=1)


def save_image(image: np.ndarray, path: Path) -> None:
    """uint8 (H, W, 3) -> an image file, format by its ending."""
    Image.fromarray(image).save(path)


def save_gif(frames: np.ndarray, path: Path, scale: int = 1, milliseconds: int = 800) -> None:
    """The stories under one another, one picture of the animation for each t."""
    pictures = [Image.fromarray(strips(frames[:, t : t + 1], scale)) for t in range(frames.shape[1])]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)


def save_frames(frames: np.ndarray, folder: Path) -> None:
    """One PNG a frame: `story-1-frame-1.png`, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, story in enumerate(frames, 1):
        for t, frame in enumerate(story, 1):
            save_image(frame, folder / f"story-{n}-frame-{t}.png")


KINDS = ("", ".gif", ".png", ".jpg", ".jpeg", ".webp")


def check_out(out: Path) -> None:
    """Raise UsageError where `save_story` would not know what to write, before anything is drawn."""
    if out.suffix.lower() not in KINDS:
        raise UsageError(f"{out}: give a name that ends in .png, .jpg, .webp or .gif, or a folder without an ending")
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {out}: there is no folder {out.parent}")


def save_story(frames: np.ndarray, out: Path, scale: int = 2) -> None:
    """Write frames as `out` asks: `.gif` an animation, `.png`/`.jpg`/`.webp` strips, no ending a folder of frames.

    Raises:
        UsageError: on another ending.
        StoryganError: where `out` cannot be written.
    """
    check_out(out)
    try:
        if out.suffix == "":
            save_frames(frames, out)
        elif out.suffix.lower() == ".gif":
            save_gif(frames, out, scale)
        else:
            save_image(strips(frames, scale), out)
    except OSError as error:
        raise StoryganError(f"cannot write {out}: {error.strerror or error}") from error
