"""Sharing by the hub, against a stand-in on this machine: pushed, fetched, the same model; errors in one line.

huggingface_hub reads its settings at import, so everything here happens in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models.hub_stand_in import TOKEN, Hub, stand_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # each process imports torch

SETUP = """
import sys, torch, numpy as np
from pathlib import Path
from storygan import StoryGAN, StoryganError
from storygan.config import ModelConfig
from storygan.text.clevr_encoder import ClevrEncoder

STORY = [f"large red rubber cube at ({x}, 1.5)" for x in (-2, -1, 0, 1)]
def fresh(seed):
    torch.manual_seed(seed)
    return StoryGAN(ModelConfig(noise_dim=3), ClevrEncoder()).eval()
def same(a, b):
    return np.array_equal(a.generate(STORY, seed=5).frames, b.generate(STORY, seed=5).frames)
def error(*arguments, **options):
    try:
        StoryGAN.from_pretrained(*arguments, **options)
    except StoryganError as error:
        assert len(str(error).splitlines()) == 1, error
        return str(error)
    raise AssertionError("it loaded")
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with stand_in() as hub:
        yield hub


def run(code: str, url: str, home: Path, **environment: str) -> str:
    """Run Python with the stand-in as its hub and an empty cache; what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
    settings = {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", SETUP + code],
        env={**kept, **settings},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_push_and_fetch(hub: Hub, tmp_path: Path) -> None:
    printed = run(
        """
first, second = fresh(1), fresh(2)
first.push_to_hub("someone/a-model")
commit = second.push_to_hub("someone/a-model", commit_message="better")
newest = StoryGAN.from_pretrained("someone/a-model")
assert same(newest, second) and not same(newest, first)
assert "library_name: storygan" in newest.card and newest.config == second.config
print(commit.oid)
""",
        hub.url,
        tmp_path / "home",
        HF_TOKEN=TOKEN,
    )
    commits = hub.commits["someone/a-model"]
    assert commits[-1][0] == printed.split()[-1]
    assert set(commits[-1][1]) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "model.safetensors",
        "sentence_encoder.json",
        "sentence_encoder.safetensors",
    }
    assert ("POST", "/someone/a-model.git/info/lfs/objects/batch") in hub.asked  # weights as large files
    before = len(hub.asked)
    run(  # by revision, and then from the cache: neither asks for a token
        f"""
older = StoryGAN.from_pretrained("someone/a-model", revision="{commits[-2][0]}")
assert same(older, fresh(1))
assert same(StoryGAN.from_pretrained("someone/a-model", local_files_only=True, revision="{commits[-2][0]}"), older)
""",
        hub.url,
        tmp_path / "other-home",
    )
    assert {method for method, _ in hub.asked[before:]} <= {"GET", "HEAD"}


def test_what_is_not_there_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.commits["someone/else"] = []
    hub.commit("someone/else", {"README.md": b"no model"})
    run(
        """
text = error("someone/nothing")
assert "someone/nothing" in text and "hub" in text, text
text = error("someone/else")
assert "config.json" in text or "sentence_encoder" in text, text
text = error("someone/else", revision="0" * 40)
assert "someone/else" in text, text
""",
        hub.url,
        tmp_path,
    )


def test_a_hub_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    run('assert "someone/model" in error("someone/model")', "http://127.0.0.1:9", tmp_path)


def test_a_push_without_a_token_is_refused(hub: Hub, tmp_path: Path) -> None:
    printed = run(
        """
try:
    fresh(1).push_to_hub("someone/a-model")
except Exception as error:
    print(type(error).__name__, str(error).splitlines()[0])
""",
        hub.url,
        tmp_path,
    )
    assert "401" in printed
    assert hub.commits == {}
