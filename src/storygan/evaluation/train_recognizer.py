"""Training of the recognizer on the real frames of a data set.

Places: the stories must be told in CLEVR-SV sentences; `ask` says what is true of which places.

Labels: of whole frames, for any data set that has them.

Turns, where asked for: of the cubes of stories that this package rendered, for one that is to teach.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from storygan.data.clevr.places import ask, in_picture
from storygan.data.clevr.untold import Untold, untold
from storygan.data.dataset import open_split
from storygan.evaluation.lessons import Lessons, lessons
from storygan.models.recognizer import Recognizer, reading_loss, to_input, turn_loss
from storygan.types import UsageError, require_seed, require_whole


def train_recognizer(
    data: str | Path,
    split: str = "train",
    epochs: int = 16,
    start: Recognizer | None = None,
    batch_size: int = 16,
    lr: float = 2e-3,
    seed: int = 0,
    turns: bool = False,
) -> Recognizer:
    """Train on a split, from the start or from another recognizer (`start`); an epoch shows one frame of each story.
    With `turns`, or where `start` does, it reads how cubes are turned, too.

    Raises:
        UsageError: where there is nothing to recognize, fewer stories than a batch, no epoch, or `start` knows other
            labels; for turns, where others made the stories, or `start` does not read them.
    """
    require_seed(seed)
    require_whole("epochs", epochs, 1, 10_000)
    torch.set_flush_denormal(True)
    dataset = open_split(data, split)
    known = lessons(dataset)
    N, T = known.labels.shape[:2]
    if batch_size > N:
        raise UsageError(f"a batch is {batch_size} stories, but {data} has {N}: give more stories")
    if start is not None and start.labels != known.label_names:
        raise UsageError(f"{data} has other labels than the recognizer to start from")
    if start is not None and turns and start.turns is None:
        raise UsageError("the recognizer to start from does not read turns")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    recognizer = start or Recognizer(known.label_names, turns=turns)
    cubes = None if recognizer.turns is None else untold(dataset)
    before = recognizer.about.get("epochs", 0)
    about = {"data": Path(data).resolve().name, "split": split, "stories": N, "epochs": before + epochs, "seed": seed}
    recognizer.about = {**about, "places": known.words is not None}
    recognizer = recognizer.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(recognizer.parameters(), lr=lr, weight_decay=1e-3)
    batches = N // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, lr, total_steps=epochs * batches)
    late = np.arange(1.0, T + 1) ** 2  # later frames show more objects
    with tqdm(total=epochs * batches, desc="recognizer", unit="batch", disable=None) as bar:
        for _ in range(epochs):
            for n in rng.permutation(N)[: batches * batch_size].reshape(batches, batch_size):
                losses = train_step(recognizer, known, n, rng.choice(T, batch_size, p=late / late.sum()), rng, cubes)
                adam.zero_grad(set_to_none=True)
                sum(losses.values(), torch.zeros(())).backward()
                adam.step()
                schedule.step()
                bar.update()
                bar.set_postfix({name: f"{loss.item():.3f}" for name, loss in losses.items()})
    return recognizer.eval()


def train_step(
    recognizer: Recognizer,
    known: Lessons,
    n: np.ndarray,
    t: np.ndarray,
    rng: np.random.Generator,
    cubes: Untold | None = None,
) -> dict[str, Tensor]:
    """The losses on frames t (B,) of stories n (B,)."""
    x, placed, mirrored = move(blemish(to_input(known.frames[n, t]), rng), rng)
    maps, label_logits, _ = recognizer(x)
    losses = {"labels": F.binary_cross_entropy_with_logits(label_logits, torch.from_numpy(known.labels[n, t]).float())}
    if known.words is None or known.floor is None:
        return losses
    asked = ask(known.floor[n], t, rng)
    truth = [torch.from_numpy(part) for part in (asked.there, asked.counts, known.words[n])]
    places = torch.from_numpy(placed(in_picture(asked.floor)))
    losses["there"], losses["words"] = reading_loss(maps, places, *truth)
    if cubes is not None:
        T = known.labels.shape[1]
        seen = cubes.cubes[n] & asked.there[:, :T] & ~mirrored[:, None]  # a mirror turns them the other way
        losses["turns"] = turn_loss(maps, places[:, :T], *(torch.from_numpy(one) for one in (cubes.turns[n], seen)))
    return losses


def move(x: Tensor, rng: np.random.Generator) -> tuple[Tensor, Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Frames (B, 3, H, W), half of them mirrored, all shifted by up to 2 pixels either way, which no object minds;
    what does the same to places (B, P, 2) in the picture; and which are mirrored, (B,)."""
    B, _, H, W = x.shape
    mirrored, across, down = rng.random(B) < 0.5, rng.integers(-2, 3, B), rng.integers(-2, 3, B)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    moved = torch.stack([padded[b, :, 2 - down[b] :, 2 - across[b] :][:, :H, :W] for b in range(B)])
    moved = torch.where(torch.from_numpy(mirrored)[:, None, None, None], moved.flip(3), moved)

    def placed(places: np.ndarray) -> np.ndarray:
        places = (places + np.stack([across / W, down / H], 1)[:, None]).astype(np.float32)
        return np.where(mirrored[:, None, None], (1, 0) + places * (-1, 1), places).astype(np.float32)

    return moved, placed, mirrored


def blemish(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Frames (B, 3, H, W) in [-1, 1] as a generator might draw them: some of them a little blurred or noisy, all a
    little off in brightness and contrast, so that the recognizer judges what is drawn and not how sharply."""
    B = len(x)
    sigma = np.where(rng.random(B) < 0.35, rng.uniform(0.2, 0.7, B), 0).astype(np.float32)  # pixels
    noise = np.where(rng.random(B) < 0.35, rng.uniform(0, 0.08, B), 0).astype(np.float32)  # of a range of 2
    gain = rng.uniform(0.92, 1.08, B).astype(np.float32)
    shift = rng.uniform(-0.06, 0.06, B).astype(np.float32)
    each = [torch.from_numpy(values)[:, None, None, None] for values in (noise, gain, shift)]
    return blur(x, torch.from_numpy(sigma)) * each[1] + each[2] + each[0] * torch.randn_like(x)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, sigma (B,) in pixels up to 1, of frames (B, 3, H, W)."""
    B, C, H, W = x.shape
    line = torch.arange(-2.0, 3.0)
    kernel = torch.exp(-(line**2) / (2 * sigma[:, None] ** 2 + 1e-6))  # (B, 5)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(C, 0)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate").reshape(1, B * C, H + 4, W + 4)
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=B * C)
    return F.conv2d(rows, kernel[:, None, None, :], groups=B * C).reshape(B, C, H, W)
