"""One training iteration of the authors' networks, from a clone of github.com/yitong91/StoryGAN."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
import yaml
from torch import Tensor
from torch.nn.functional import binary_cross_entropy


class EasyDict(dict[str, Any]):
    """Stand in for the package easydict: keys are attributes."""

    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__


def authors_iteration(path: Path, B: int) -> Callable[[], None]:
    """Return a call that trains the authors' networks for one iteration: on B stories, B frames of others, 2 G steps.

    Their code builds and runs the networks; the steps are those of their trainer, without its label head.

    Raises:
        Exception: of any kind, where the clone is not as expected.
    """
    easydict, cuda = ModuleType("easydict"), torch.cuda.is_available()
    vars(easydict)["EasyDict"] = EasyDict
    with patch.dict(sys.modules, easydict=easydict), patch.object(sys, "path", [str(path / "code"), *sys.path]):
        cfg = importlib.import_module("miscc.config").cfg
        for name, value in yaml.safe_load((path / "code/cfg/clevr.yml").read_text()).items():
            cfg[name] = EasyDict({**cfg[name], **value}) if isinstance(value, dict) else value
        model = importlib.import_module("model")
        nets = model.StoryGAN(cfg.VIDEO_LEN), model.D_IMG(use_categories=False), model.D_STY()
    device, T, K = torch.device("cuda" if cuda else "cpu"), cfg.VIDEO_LEN, cfg.TEXT.DIMENSION
    G, D_I, D_S = (net.to(device) for net in nets)
    adams = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in nets]
    X, x = torch.rand(B, 3, T, 64, 64, device=device), torch.rand(B, 3, 64, 64, device=device)
    S, s, h = (torch.randn(*shape, K, device=device) for shape in ((B, T), (B,), (B,)))
    conditions, real, fake = (s, S.mean(1)), torch.ones(B, device=device), torch.zeros(B, device=device)

    def generate() -> list[Tensor]:
        return [G.sample_images(s, h)[1], G.sample_videos(S, S)[1]]

    def iteration() -> None:
        for D, adam, images, generated, c in zip((D_I, D_S), adams[1:], (x, X), generate(), conditions, strict=True):
            features, fake_features, logits = D(images), D(generated.detach()), D.get_cond_logits
            loss = binary_cross_entropy(logits(features, c), real)
            loss = loss + 0.5 * binary_cross_entropy(logits(features[:-1], c[1:]), fake[1:])
            loss = loss + 0.5 * binary_cross_entropy(logits(fake_features, c), fake)
            D.zero_grad()
            loss.backward()
            adam.step()
        for _ in range(2):
            frames = zip((D_I, D_S), generate(), conditions, strict=True)
            losses = [binary_cross_entropy(D.get_cond_logits(D(generated), c), real) for D, generated, c in frames]
            G.zero_grad()
            torch.stack(losses).sum().backward()
            adams[0].step()

    # a layer of theirs asks for a GPU
    call = iteration if cuda else patch.object(torch.Tensor, "cuda", lambda tensor: tensor)(iteration)
    call()
    return call
