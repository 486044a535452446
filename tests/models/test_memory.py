"""Memory is kept where it is asked for, seen from outside: a process of its own counts its page faults."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from storygan.models import accelerate as memory
from storygan.models.accelerate import SETTINGS

CODE = """
import resource, sys, torch
from storygan.config import ModelConfig
from storygan.models.accelerate import fuse_batch_norm
from storygan.models.accelerate import tune_malloc
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN

print(tune_malloc() if sys.argv[1] == "keep" else None)
model = fuse_batch_norm(StoryGAN(ModelConfig(noise_dim=5)))
S, noise = torch.zeros(32, 4, 128), Noise.sample(32, model.config, torch.Generator())
counts = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.sample(S, noise)
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(counts[1:]))
"""


def drawn(how: str) -> tuple[str, int]:
    """What `tune_malloc` said, and the least page faults of a drawing after the first: now and then one still grows."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    call = [sys.executable, "-c", CODE, how]
    said, faults = subprocess.run(call, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return said, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_the_kernel_is_not_asked_for_the_same_memory_again() -> None:
    said, faults = drawn("keep")
    assert said == "True"
    assert 10 * faults < drawn("not")[1]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_environment_are_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("no setting is to be made"))
    assert not memory.tune_malloc()
