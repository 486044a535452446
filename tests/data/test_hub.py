"""Data sets on the hub, against a stand-in on this machine: pushed, pinned, trained on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models.hub_stand_in import TOKEN, Hub, stand_in

from storygan.data.dataset import open_split
from storygan.data.hub import pin_dataset, push_dataset, resolve_dataset
from storygan.errors import StoryganError


@pytest.fixture
def hub() -> Iterator[Hub]:
    with stand_in() as hub:
        yield hub


def storygan(hub: Hub, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the stand-in as its hub; huggingface_hub reads its settings at import."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "60"}
    command = [sys.executable, "-m", "storygan", *arguments]
    return subprocess.run(command, env={**kept, **settings, **environment}, capture_output=True, text=True)


@pytest.mark.slow
def test_a_pushed_data_set_is_trained_on_at_its_commit(hub: Hub, tiny_dataset: Path, tmp_path: Path) -> None:
    pushed = storygan(hub, tmp_path / "home", "data", "push", str(tiny_dataset), "me/stories", HF_TOKEN=TOKEN)
    assert pushed.returncode == 0, pushed.stderr
    first = pushed.stdout.split("@")[-1].strip()
    assert set(hub.commits["me/stories"][-1][1]) == {
        ".gitattributes",
        *(path.name for path in tiny_dataset.iterdir() if path.suffix in (".parquet", ".md")),
    }
    hub.commit("me/stories", {"train-00000-of-00001.parquet": b"of another commit"})
    config = ["--model.noise_dim=5", "--stages.a.iterations=1", "--stages.a.batch_size=2", "--stages.a.G.loss.mse=1"]
    for name, revision, code in (("pinned", f"@{first}", 0), ("newest", "", 1)):
        run = tmp_path / name
        data = f"hub:me/stories{revision}"
        done = storygan(hub, tmp_path / "home", "train", "--data.path", data, "--run", str(run), *config)
        assert done.returncode == code, done.stderr
    assert f"path: hub:me/stories@{first}\n" in (tmp_path / "pinned/config.yaml").read_text()


@pytest.mark.slow
def test_what_is_not_there_is_one_line(hub: Hub, tmp_path: Path) -> None:
    done = storygan(hub, tmp_path, "evaluate", "--model", "mean-image", "--data", "hub:me/nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("storygan: the hub does not have the data set hub:me/nothing: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_is_itself(tiny_dataset: Path, tmp_path: Path) -> None:
    assert resolve_dataset(tiny_dataset) == tiny_dataset
    assert pin_dataset(str(tiny_dataset)) == str(tiny_dataset)
    with pytest.raises(StoryganError, match="no story shards"):
        push_dataset(tmp_path, "me/stories")


def test_items_are_those_of_a_map_style_data_set(tiny_dataset: Path) -> None:
    dataset = open_split(tiny_dataset, "train")
    items = list(dataset)  # ends by IndexError
    assert len(items) == len(dataset)
    assert (items[1]["frames"] == dataset.frames[1]).all()
    assert items[-1]["sentences"] == dataset.sentences[-1]
    assert dataset[-1]["story_id"] == dataset.story_ids[-1]
