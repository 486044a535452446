"""Generate a CLEVR-SV story with onnxruntime, numpy and Pillow, without PyTorch and storygan.

    storygan export clevr-sv --onnx --out clevr-sv.onnx
    python examples/generate_onnx.py clevr-sv.onnx story.png "small blue metal cylinder at (-1.5, -0.7)" ...

One sentence per frame. The noise is numpy's, so the frames differ from those of `storygan generate` with the same seed.
"""

import json
import re
import sys

import numpy as np
import onnxruntime
from PIL import Image

graph, picture, *story = sys.argv[1:]
session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
encoder = json.loads(session.get_modelmeta().custom_metadata_map["sentence_encoder"])
mean, std, projection = (np.array(encoder[name]) for name in ("mean", "std", "projection"))


def bumps(value: float, kind: str) -> np.ndarray:  # Gaussian bumps along an axis
    n, width = encoder["bumps"][kind]
    return np.exp(-0.5 * ((value - np.linspace(-1, 1, n)) / (width * 2 / (n - 1))) ** 2)


def vector(sentence: str) -> np.ndarray:  # one-hots, position and its code, standardised and projected to 128 values
    words, position = re.findall("[a-z]+", sentence.lower()), re.findall(r"-?\d+\.?\d*", sentence)
    one_hots = [words.count(word) for word in encoder["words"]]
    assert [sum(one_hots[a:b]) for a, b in ((0, 3), (3, 11), (11, 13), (13, 15))] == [1] * 4, f"one of each: {sentence}"
    x, y = (float(value) / encoder["limit"] for value in position)
    grid = np.outer(bumps(x, "grid"), bumps(y, "grid")).ravel()
    features = np.concatenate([one_hots, [x, y], grid, bumps(x, "axis"), bumps(y, "axis")])
    return (features[: len(mean)] - mean) / std @ projection  # models of version 0.1 have no position code


samples, rng = 4, np.random.default_rng(seed=7)
inputs = {i.name: rng.standard_normal((samples, *i.shape[1:]), dtype=np.float32) for i in session.get_inputs()}
inputs["S"][:] = [vector(sentence) for sentence in story]  # the same story, other noise
(frames,) = session.run(["frames"], inputs)  # uint8 (samples, T, 64, 64, 3)
Image.fromarray(np.vstack([np.hstack(sample) for sample in frames])).save(picture)
