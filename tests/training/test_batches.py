"""Which stories an iteration sees."""

from itertools import permutations

import numpy as np
import torch

from storygan.training.batches import drawn_frames, indices, iterations_per_epoch, judged_frames, orders, to_images


def test_an_epoch_sees_every_story_once() -> None:
    n = iterations_per_epoch(stories=23, batch_size=4)
    assert n == 5
    seen = np.concatenate([indices(23, 4, seed=0, k=k) for k in range(n)])
    assert len(set(seen.tolist())) == 20
    other = np.concatenate([indices(23, 4, seed=0, k=k) for k in range(n, 2 * n)])
    assert not np.array_equal(seen, other)
    assert not np.array_equal(seen[:4], indices(23, 4, seed=1, k=0))


def test_judged_frames_are_different_ones_and_every_frame_has_its_turn() -> None:
    seen = np.zeros((3, 4), int)
    for k in range(300):
        judged = judged_frames(3, 4, 2, seed=0, k=k)
        assert judged.shape == (3, 2)
        for story, frames in enumerate(judged):
            assert len(set(frames)) == 2
            seen[story, frames] += 1
    assert (abs(seen - 150) < 45).all()  # five standard deviations
    assert (judged_frames(3, 4, 2, 0, 7) == judged_frames(3, 4, 2, 0, 7)).all()


def test_drawn_frames_are_different_ones_and_rather_late_ones() -> None:
    seen, alone = np.zeros(4), np.zeros(4)
    for k in range(100):
        drawn = drawn_frames(10, 4, 2, seed=0, k=k)
        assert (np.diff(drawn, axis=1) > 0).all()
        seen += np.bincount(drawn.flatten(), minlength=4)
        alone += np.bincount(drawn_frames(10, 4, 1, seed=0, k=k).flatten(), minlength=4)
    # t of 1 + 2 + 3 + 4 comes first; second comes u of what is left: for frame 1, 0.1 + sum of t/10 * 1/(10 - t)
    assert (abs(alone / 1000 - np.array([0.1, 0.2, 0.3, 0.4])) < 0.08).all()
    assert abs(seen[0] / 1000 - (0.1 + 0.2 / 8 + 0.3 / 7 + 0.4 / 6)) < 0.07
    assert (drawn_frames(3, 4, 4, 0, 7) == np.arange(4)).all()
    assert (drawn_frames(3, 4, 2, 0, 7) == drawn_frames(3, 4, 2, 0, 7)).all()


def test_any_order_leaves_what_the_drawn_frames_show() -> None:
    every = set()
    for k in range(200):
        shown = drawn_frames(5, 4, 2, seed=0, k=k)
        order = orders(shown, 4, seed=0, k=k)
        for frames, told in zip(shown, order, strict=True):
            assert sorted(told) == [0, 1, 2, 3]
            for t in frames:
                assert set(told[: t + 1]) == set(range(t + 1))
            every.add(tuple(told))
    all_orders = permutations(range(4))
    assert every == {told for told in all_orders if told[0] == 0 or told[3] == 3 or set(told[:2]) == {0, 1}}
    assert (orders(np.tile(np.arange(4), (5, 1)), 4, 0, 7) == np.arange(4)).all()
    assert (orders(shown, 4, 0, 7) == orders(shown, 4, 0, 7)).all()


def test_to_images_spans_minus_one_to_one() -> None:
    images = to_images(np.array([0, 255, 127], dtype=np.uint8).reshape(1, 1, 1, 1, 3))
    assert images.shape == (1, 1, 3, 1, 1)
    torch.testing.assert_close(images.flatten(), torch.tensor([-1.0, 1.0, -1 / 255]))
