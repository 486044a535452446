"""A teacher: a frozen recognizer that looks at what the generator draws, and whether it shows what the story tells.

Not in the paper. It knows real frames only, and it must not be the recognizer that judges the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from storygan.data.clevr.places import ask, in_picture, read_stories
from storygan.models.recognizer import Recognizer, reading_loss
from storygan.types import UsageError


class Teacher:
    """What a recognizer says of drawn frames, as a loss.

    Args:
        folder: a recognizer's, trained by `storygan train-recognizer`.
        stories: the N stories of the training set, T sentences each.

    Raises:
        UsageError: where the recognizer knows no places, or a sentence is not CLEVR-SV's.
    """

    def __init__(self, folder: str, stories: Sequence[Sequence[str]]) -> None:
        self.recognizer = Recognizer.load(folder).requires_grad_(False)
        if not self.recognizer.knows_places:
            raise UsageError(f"the recognizer in {folder} cannot teach: it was not trained on CLEVR-SV stories")
        self.words, self.floor = read_stories(stories)  # (N, T, 4), (N, T, 2)

    def loss(self, X_hat: Tensor, chosen: np.ndarray, rng: np.random.Generator, part: slice = slice(None)) -> Tensor:
        """Cross-entropy of what is read in drawn frames, of stories `chosen` (B,): is each object there, and with its
        words; is nothing anywhere else.

        Args:
            X_hat: (B, T, 3, 64, 64) in [-1, 1].
            chosen: which of the N stories are the batch.
            rng: of the empty places, which are drawn for the whole batch.
            part: the B of them that these are.

        Returns:
            Scalar >= 0 with a graph.
        """
        T = X_hat.shape[1]
        n = np.repeat(chosen, T)
        rows = np.arange(len(n)).reshape(-1, T)[part].flatten()
        asked = ask(self.floor[n], np.tile(np.arange(T), len(chosen)), rng)
        maps, *_ = self.recognizer(X_hat.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        parts = (in_picture(asked.floor), asked.there, asked.counts, self.words[n])
        L_there, L_words = reading_loss(maps, *(torch.from_numpy(one[rows]).to(X_hat.device) for one in parts))
        return L_there + L_words
