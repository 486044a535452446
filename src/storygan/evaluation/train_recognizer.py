"""Training of the evaluation classifier on the real frames of a data set: of whole frames' labels, and, of CLEVR-SV
stories, of objects at locations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from storygan.config import AuxClassifierLoss
from storygan.data.dataset import open_split
from storygan.evaluation.frame_content import FrameContent, augment, classifier_terms, to_images
from storygan.models.recognizer import Recognizer
from storygan.types import UsageError, require_seed, require_whole

WEIGHTS = AuxClassifierLoss(label=1, present=1, attributes=1)


def train_recognizer(
    data: str | Path, split: str = "train", epochs: int = 16, batch_size: int = 16, lr: float = 2e-3, seed: int = 0
) -> Recognizer:
    """Train a classifier on a split; an epoch shows one frame of each story, later ones more often.

    Raises:
        UsageError: there is nothing to classify, there are fewer stories than a batch, or no epoch.
    """
    require_seed(seed)
    require_whole("epochs", epochs, 1, 10_000)
    torch.set_flush_denormal(True)
    dataset = open_split(data, split)
    content = FrameContent(dataset)
    N, T = len(dataset), dataset.T
    if batch_size > N:
        raise UsageError(f"a batch is {batch_size} stories, but {data} has {N}: give more stories")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    about = {"data": Path(data).resolve().name, "split": split, "stories": N, "epochs": epochs, "seed": seed}
    recognizer = Recognizer(content.known.label_names, {**about, "places": content.has_locations})
    recognizer = recognizer.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(recognizer.parameters(), lr=lr, weight_decay=1e-3)
    batches = N // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, lr, total_steps=epochs * batches)
    late = np.arange(1.0, T + 1) ** 2  # later frames show more objects
    with tqdm(total=epochs * batches, desc="classifier", unit="batch", disable=None) as bar:
        for _ in range(epochs):
            for n in rng.permutation(N)[: batches * batch_size].reshape(batches, batch_size):
                t = rng.choice(T, batch_size, p=late / late.sum())[:, None]
                X = to_images(np.array(dataset.frames[n[:, None], t]))
                x, targets = augment(X, content.targets(n, t, rng), rng)
                losses = classifier_terms(recognizer, x.flatten(0, 1), targets, WEIGHTS)
                adam.zero_grad(set_to_none=True)
                sum(losses.values(), torch.zeros(())).backward()
                adam.step()
                schedule.step()
                bar.update()
                bar.set_postfix({name: f"{loss.item():.3f}" for name, loss in losses.items()})
    return recognizer.eval()
