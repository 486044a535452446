"""Which stories an iteration sees."""

import numpy as np
import torch

from storygan.training.batches import indices, iterations_per_epoch, to_images


def test_an_epoch_sees_every_story_once() -> None:
    n = iterations_per_epoch(stories=23, batch_size=4)
    assert n == 5
    seen = np.concatenate([indices(23, 4, seed=0, k=k) for k in range(n)])
    assert len(set(seen.tolist())) == 20
    other = np.concatenate([indices(23, 4, seed=0, k=k) for k in range(n, 2 * n)])
    assert not np.array_equal(seen, other)
    assert not np.array_equal(seen[:4], indices(23, 4, seed=1, k=0))


def test_to_images_spans_minus_one_to_one() -> None:
    images = to_images(np.array([0, 255, 127], dtype=np.uint8).reshape(1, 1, 1, 1, 3))
    assert images.shape == (1, 1, 3, 1, 1)
    torch.testing.assert_close(images.flatten(), torch.tensor([-1.0, 1.0, -1 / 255]))
