"""A teacher: a frozen recognizer that looks at what the generator draws, and whether it shows what the story tells:
of CLEVR-SV, what is at each place, and, where noise tells it, how a cube there is turned; of any other labelled
stories, the labels of each frame.

Not in the paper. It knows real frames only, and it must not be the recognizer that judges the result.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from storygan.data.clevr.places import ask, in_picture, told_objects
from storygan.data.dataset import StoryDataset
from storygan.losses import label_loss
from storygan.models.recognizer import Recognizer, reading_loss, turn_loss
from storygan.training.coupled_noise import CoupledNoise
from storygan.types import UsageError


class Teacher:
    """What a recognizer says of drawn frames, as a loss.

    Args:
        folder: a recognizer's, trained by `storygan train-recognizer`.
        dataset: the training set, N stories of T sentences.
        coupled: noise that tells the turns, for a recognizer that reads them.

    Raises:
        UsageError: where the recognizer knows places and a sentence is not CLEVR-SV's, or it knows none and the data
            set has other labels than it, or none.
    """

    def __init__(self, folder: str, dataset: StoryDataset, coupled: CoupledNoise | None = None) -> None:
        self.recognizer = Recognizer.load(folder).requires_grad_(False)
        self.coupled = coupled if self.recognizer.turns is not None else None
        self.labels = dataset.labels  # (N, T, K)
        if self.recognizer.knows_places:
            self.words, self.floor = told_objects(dataset.sentences)  # (N, T, 4), (N, T, 2)
        elif not self.recognizer.labels or self.recognizer.labels != dataset.label_names:
            raise UsageError(f"the recognizer in {folder} cannot teach: it knows other labels than these stories have")

    def loss(
        self,
        X_hat: Tensor,
        chosen: np.ndarray,
        shown: np.ndarray,
        rng: np.random.Generator,
        part: slice = slice(None),
    ) -> Tensor:
        """Cross-entropy of what is read in drawn frames, of stories `chosen` (B,): of places, whether each object is
        there, with its words, and nothing anywhere else, and the squared distance of the turns; of labels, which a
        frame has, summed over them.

        Args:
            X_hat: (B, n, 3, 64, 64) in [-1, 1].
            chosen: which of the N stories are the batch.
            shown: (batch, n), from 0, which of their frames are drawn.
            rng: of the empty places, which are drawn for the whole batch.
            part: the B of them that these are.

        Returns:
            Scalar >= 0 with a graph.
        """
        n, t = np.repeat(chosen, shown.shape[1]), shown.flatten()
        rows = np.arange(len(n)).reshape(shown.shape)[part].flatten()
        maps, labels, _ = self.recognizer(X_hat.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        if not self.recognizer.knows_places:
            assert self.labels is not None
            return label_loss(labels, torch.from_numpy(self.labels[n, t][rows]).to(labels))
        asked = ask(self.floor[n], t, rng)
        parts = (in_picture(asked.floor), asked.there, asked.counts, self.words[n])
        places, there, counts, words = (torch.from_numpy(one[rows]).to(X_hat.device) for one in parts)
        L_there, L_words = reading_loss(maps, places, there, counts, words)
        if self.coupled is None:
            return L_there + L_words
        T, story = words.shape[1], torch.from_numpy(n[rows])
        turns, cubes = self.coupled.turns[story].to(places), self.coupled.cubes[story, :, 0].to(there)
        return L_there + L_words + turn_loss(maps, places[:, :T], turns, cubes & there[:, :T])
