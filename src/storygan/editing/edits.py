"""The edits. Each takes a `StoryOutput` and returns a new one. Sentences and frames count from 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from storygan.errors import UsageError, require_whole
from storygan.models.inference import progress_bar
from storygan.models.noise import Noise, seeded
from storygan.models.output import StoryOutput, generate_from_noise, regenerate, replace_sentence_vector
from storygan.models.storygan import MAX_SAMPLES, StoryGAN

MIN_STEPS_WITH_BAR = 17
"""Interpolation steps from which a progress bar is shown."""


def change_sentence(
    model: StoryGAN, output: StoryOutput, t: int, sentence: str, keep_context: bool = False
) -> StoryOutput:
    """Change sentence `t` and keep all noise.

    Args:
        model: the model that generated `output`.
        output: a story of n sentences.
        t: 1 .. n.
        sentence: the new sentence.
        keep_context: False: recompute `h_0` from the new story and the same `eps_0`, as the model does for the new
            story with the old seed. All frames change, those before `t` only through `h_0`.
            True: keep `h_0`. Frames before `t` stay bit-identical. Frame `t` changes, and the later ones through `g_t`
            and `h_t`. `svc` and `svfn` have only `g_t`, `imagegan` neither.

    Raises:
        UsageError: There is no sentence `t`, or the new one cannot be encoded.
    """
    n = len(output.sentences)
    if not 1 <= t <= n:
        raise UsageError(f"there is no sentence {t} to change: the story has {n}")
    before = output.sentences[: t - 1]
    sentence, s_t = encode(model, sentence, before, output.S)
    stories = ((*before, sentence, *output.sentences[t:]),) * len(output)
    if keep_context:
        return replace(replace_sentence_vector(model, output, t, s_t), stories=stories)
    S = output.S.clone()
    S[:, t - 1] = s_t
    new = generate_from_noise(model, stories, S, model.context_sentences(S), output.noise)
    return replace(new, seeds=output.seeds, output_type=output.output_type)


def resample(model: StoryGAN, output: StoryOutput, keep: Sequence[int], seed: int) -> StoryOutput:
    """Keep some frames and regenerate the others from new noise `eps_t`.

    A kept frame keeps its pixels, its `eps_t` and its states `g_t`, `h_t`. A resampled frame continues from the states
    of the frame before it. `h_0` and `g_0` stay. If the kept frames come first, the model could have generated the
    result from noise. If a kept frame follows a resampled one it could not: the kept frame has the states of the old
    frames before it.

    Args:
        model: the model that generated `output`.
        output: a story of n sentences.
        keep: frames 1 .. n to keep, not all of them.
        seed: of the new noise.

    Raises:
        UsageError: A frame to keep does not exist, or all are kept.
    """
    n = len(output.sentences)
    for t in keep:
        if not 1 <= t <= n:
            raise UsageError(f"there is no frame {t} to keep: the story has {n}")
    new = [t for t in range(1, n + 1) if t not in keep]
    if not new:
        raise UsageError(f"all {n} frames are kept: leave out the ones to resample")
    eps, other = output.noise.eps.clone(), sample_noise(model, output, n, seed).eps
    for t in new:
        eps[:, t - 1] = other[:, t - 1]
    output = replace(output, noise=replace(output.noise, eps=eps))
    while new:
        first = last = new.pop(0)
        while new and new[0] == last + 1:
            last = new.pop(0)
        output = regenerate(model, output, first, last)
    return output


def interpolate(model: StoryGAN, output: StoryOutput, seed: int, steps: int) -> StoryOutput:
    """Interpolate from the `h_0` of one sample to the `h_0` of another seed; `eps_t` and `g_0` stay.

    `eps_0` follows a great circle (slerp). Halfway along a straight line its norm would be 8, while almost all vectors
    of 128 normal values have a norm near 11.3. The first step is the given sample. The last step has the other seed's
    `h_0` and the old `eps_t`.

    Args:
        model: the model that generated `output`.
        output: one sample; `output[k]` of several.
        seed: of the `h_0` to interpolate to.
        steps: 2 or more, with both ends.

    Returns:
        A sample for each step: frames (steps, n, 64, 64, 3).

    Raises:
        UsageError: `output` has several samples, or a number is out of range.
    """
    if len(output) != 1:
        raise UsageError(f"the output has {len(output)} samples: interpolate from one of them")
    require_whole("steps", steps, 2, MAX_SAMPLES)
    end = sample_noise(model, output, len(output.sentences), seed).eps_0
    path = [slerp(output.noise.eps_0, end, w) for w in np.linspace(0, 1, steps).tolist()]
    stories = [
        generate_from_noise(model, output.stories, output.S, output.S_0, replace(output.noise, eps_0=eps_0))
        for eps_0 in progress_bar(path, "step", least=MIN_STEPS_WITH_BAR)
    ]
    tensors: dict[str, Any] = {
        name: torch.cat([getattr(story, name) for story in stories]) for name in ("S", "S_0", "g", "h")
    }
    return replace(
        stories[0],
        frames=np.concatenate([story.frames for story in stories]),
        stories=output.stories * steps,
        noise=Noise.cat([story.noise for story in stories]),
        output_type=output.output_type,
        **tensors,
    )


def slerp(a: Tensor, b: Tensor, w: float) -> Tensor:
    """Interpolate (N, D) vectors spherically, from `a` at w = 0 to `b` at w = 1 (Shoemake, 1985)."""
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1).clamp(-1, 1)[:, None]
    angle = cosine.acos()
    if bool((angle.sin() < 1e-4).any()):  # parallel, as between a seed and itself: the circle is a line
        return a + w * (b - a)
    return ((1 - w) * angle).sin() / angle.sin() * a + (w * angle).sin() / angle.sin() * b


def extend(model: StoryGAN, output: StoryOutput, sentence: str, seed: int = 0) -> StoryOutput:
    """Add a sentence and its frame, beyond the T sentences that the model was trained on. Call it again for more.

    The existing frames stay. `h_0` stays that of the first T sentences, and the recurrent states continue from `g_n`
    and `h_n`. `imagegan` has no states.

    Args:
        model: the model that generated `output`.
        output: a story of n sentences.
        sentence: sentence n + 1.
        seed: of its noise `eps_t`, the last of the noise that this seed gives n + 1 sentences.

    Raises:
        UsageError: The sentence cannot be encoded, or the story has MAX_SENTENCES.
    """
    n = len(output.sentences) + 1
    sentence, s_t = encode(model, sentence, output.sentences, output.S)
    eps = torch.cat([output.noise.eps, sample_noise(model, output, n, seed).eps[:, n - 1 :]], dim=1)
    longer = replace(
        output,
        stories=((*output.sentences, sentence),) * len(output),
        S=torch.cat([output.S, s_t.expand(len(output), 1, -1)], dim=1),
        noise=replace(output.noise, eps=eps),
    )
    return regenerate(model, longer, n, n)


def encode(model: StoryGAN, sentence: str, before: Sequence[str], like: Tensor) -> tuple[str, Tensor]:
    """Return the sentence as the model reads it after those `before`, and `s_t` (128,) on the device of `like`."""
    (sentence,) = model.understand([sentence], before)
    return sentence, torch.from_numpy(model.encode([[sentence]])[0, 0]).to(like)


def sample_noise(model: StoryGAN, output: StoryOutput, n: int, seed: int) -> Noise:
    """Sample noise from a seed, for as many samples as `output` has and n sentences."""
    return Noise.sample(len(output), replace(model.config, T=n), seeded(seed)).to(output.S.device, output.S.dtype)
