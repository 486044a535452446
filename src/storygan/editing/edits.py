"""The edits: each takes a drawing and gives another, so that edits follow one another. Frames are counted from 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from storygan.editing.output import Drawing, draw_anew, say, tell
from storygan.errors import UsageError, require_whole
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import MAX_SAMPLES, StoryGAN, progress_bar

MAX_SENTENCES = 1000
STEPS_WITHOUT_BAR = 16
"""Of a story that is continued."""


def change_sentence(model: StoryGAN, drawing: Drawing, t: int, sentence: str, keep_context: bool = False) -> Drawing:
    """Say something else at frame `t`, with all noise kept.

    Args:
        model: what the drawing was drawn with.
        drawing: of a story of n sentences.
        t: 1 .. n.
        sentence: the new one.
        keep_context: False: `h_0` is drawn again, from the changed story and the same `eps_0`. It is what the model
            does with the new story and the old seed; frames before `t` change too, through `h_0` alone.
            True: `h_0` stays that of the old story. Frames before `t` stay as they are to the bit, since the context
            encoder never looks ahead; frame `t` changes, and those after it through `g_t` and `h_t`
            (not at all in `imagegan`, which has no states; through `g_t` alone in `svc` and `svfn`).

    Raises:
        UsageError: where there is no sentence `t`, or the sentence encoder does not know a word.
    """
    n, T = len(drawing.story), model.config.T
    if not 1 <= t <= n:
        raise UsageError(f"there is no sentence {t} to change: the story has {n}")
    story = (*drawing.story[: t - 1], sentence, *drawing.story[t:])
    s_t = encode(model, sentence, drawing.S)
    if keep_context:
        return replace(say(model, drawing, t, s_t), story=story)
    S = drawing.S.clone()
    S[:, t - 1] = s_t
    return tell(model, story, S, S[:, :T], drawing.noise)


def redraw(model: StoryGAN, drawing: Drawing, keep: Sequence[int], seed: int) -> Drawing:
    """Keep the frames that are liked, and draw the others from other noise `eps_t`.

    A kept frame keeps its pixels, its `eps_t` and the states `g_t`, `h_t` that it left. A redrawn one goes on from the
    states before it: those of a kept frame where one precedes it, so that it follows what stays, or those of the
    redrawn frame before it. `h_0` and `g_0` stay. Where the kept frames are the first ones, the result is an ordinary
    drawing of the model. Where a kept frame comes after a redrawn one, it is not: `h_t` of an ordinary drawing would
    depend on the new `eps` before it, and the kept frame would change; here it stands as if the old frames had
    preceded it.

    Args:
        model: what the drawing was drawn with.
        drawing: of a story of n sentences.
        keep: frames 1 .. n that stay, any number but all of them.
        seed: of the new noise.

    Raises:
        UsageError: where a frame to keep does not exist, or none is left to redraw.
    """
    n = len(drawing.story)
    for t in keep:
        if not 1 <= t <= n:
            raise UsageError(f"there is no frame {t} to keep: the story has {n}")
    anew = [t for t in range(1, n + 1) if t not in keep]
    if not anew:
        raise UsageError(f"all {n} frames are kept: leave out the ones to redraw")
    eps, other = drawing.noise.eps.clone(), noise_of(model, drawing, n, seed).eps
    for t in anew:
        eps[:, t - 1] = other[:, t - 1]
    drawing = replace(drawing, noise=replace(drawing.noise, eps=eps))
    while anew:
        first = last = anew.pop(0)
        while anew and anew[0] == last + 1:
            last = anew.pop(0)
        drawing = draw_anew(model, drawing, first, last)
    return drawing


def interpolate(model: StoryGAN, drawing: Drawing, seed: int, steps: int) -> Drawing:
    """From the drawing's `h_0` to that of another seed, in `steps` drawings; `eps_t` and `g_0` stay.

    `h_0 = mu(S) + sigma(S) * eps_0` goes from one `eps_0` to the other along a great circle (slerp). Halfway along a
    straight line `eps_0` would be shorter than any that the model has met: of 128 independent normal values, almost all
    draws have a length near 11.3, and the middle of a line between two of them 8. The first of the steps is the drawing
    as `draw` makes it; the last has the other seed's `h_0` and the old `eps_t`.

    Args:
        model: what the drawing was drawn with.
        drawing: one; take `drawing[k]` where it holds several.
        seed: whose `h_0` is gone to.
        steps: 2 or more, the two ends included.

    Returns:
        A drawing of the story that holds `steps` of them: frames (steps, n, 64, 64, 3).

    Raises:
        UsageError: where the drawing holds several, or a number is out of its range.
    """
    if len(drawing) != 1:
        raise UsageError(f"this holds {len(drawing)} drawings: interpolate from one of them")
    require_whole("steps", steps, 2, MAX_SAMPLES)
    end = noise_of(model, drawing, len(drawing.story), seed).eps_0
    path = [slerp(drawing.noise.eps_0, end, w) for w in np.linspace(0, 1, steps).tolist()]
    stories = [
        tell(model, drawing.story, drawing.S, drawing.S_0, replace(drawing.noise, eps_0=eps_0))
        for eps_0 in progress_bar(path, "step", least=STEPS_WITHOUT_BAR + 1)
    ]
    noise = Noise(*(torch.cat([getattr(s.noise, name) for s in stories]) for name in ("eps_0", "eps", "g_0")))
    S, S_0, g, h = (torch.cat([getattr(s, name) for s in stories]) for name in ("S", "S_0", "g", "h"))
    return Drawing(np.concatenate([s.frames for s in stories]), drawing.story, S, S_0, noise, g, h)


def slerp(a: Tensor, b: Tensor, w: float) -> Tensor:
    """Spherical interpolation of (N, D) vectors: `a` at w = 0, `b` at w = 1, evenly in angle (Shoemake, 1985)."""
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    if bool((angle.sin() < 1e-4).any()):  # parallel, as between a seed and itself: the circle is a line
        return a + w * (b - a)
    return ((1 - w) * angle).sin() / angle.sin() * a + (w * angle).sin() / angle.sin() * b


def continue_story(model: StoryGAN, drawing: Drawing, sentence: str, seed: int = 0) -> Drawing:
    """Tell one more sentence, and draw a frame for it. It is outside what the model was trained on.

    The story encoder takes T sentences, so `h_0` stays that of the first T; it knows nothing of the new one. The
    recurrent parts go on from `g_n` and `h_n`, one step further than in training. The frames before stay as they are.
    `imagegan` has no states, and draws the frame from its sentence, `h_0` and noise like any other. To be called again
    for still another sentence.

    Args:
        model: what the drawing was drawn with.
        drawing: of a story of n sentences.
        sentence: sentence n + 1.
        seed: of its noise `eps_t`. With the drawing's own seed it is what that seed has in store for n + 1 sentences.

    Raises:
        UsageError: where the sentence encoder does not know a word, or the story has MAX_SENTENCES already.
    """
    n = len(drawing.story) + 1
    require_whole("the number of sentences", n, 1, MAX_SENTENCES)
    s_t = encode(model, sentence, drawing.S).expand(len(drawing), 1, -1)
    eps = torch.cat([drawing.noise.eps, noise_of(model, drawing, n, seed).eps[:, n - 1 :]], dim=1)
    longer = replace(
        drawing,
        story=(*drawing.story, sentence),
        S=torch.cat([drawing.S, s_t], dim=1),
        noise=replace(drawing.noise, eps=eps),
    )
    return draw_anew(model, longer, n, n)


def encode(model: StoryGAN, sentence: str, like: Tensor) -> Tensor:
    """`s_t` (128,) of one sentence, on the device of `like`."""
    return torch.from_numpy(model.encode([[sentence]])[0, 0]).to(like)


def noise_of(model: StoryGAN, drawing: Drawing, n: int, seed: int) -> Noise:
    """The noise that a seed gives to the drawings, for n sentences."""
    config = replace(model.config, T=n)
    return Noise.sample(len(drawing), config, seeded(seed)).to(drawing.S.device)
