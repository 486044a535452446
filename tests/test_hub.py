"""Models and data sets on the Hugging Face hub, which a folder stands in for: pushed, pinned, fetched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects
from tests.training.tiny import G, tiny_config

from storygan.cli import main
from storygan.config import ModelConfig, StageConfig
from storygan.data.dataset import open_split
from storygan.data.hub import pin_dataset, push_dataset, resolve_dataset
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.training.loop import train

STORY = ["large red rubber cube at (0, 1.5)"]
SHARD = "train-00000-of-00001.parquet"
ANSWER: Any = Mock(headers={})
NO_TOKEN = HfHubHTTPError("401 Client Error: Unauthorized\n\nInvalid username or password.", response=ANSWER)
NOT_THERE = {
    "repository": RepositoryNotFoundError("404 Client Error.\n\nRepository Not Found for url: x.", response=ANSWER),
    "revision": RevisionNotFoundError("404 Client Error.\n\nRevision Not Found for url: x.", response=ANSWER),
    "answer": LocalEntryNotFoundError("Got: ConnectError: Connection refused\nAn error happened while trying."),
}
"""Errors as huggingface_hub raises them."""


class Hub:
    """What the package calls of huggingface_hub; a commit is a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.error: Exception | None = None
        """What the next calls raise."""
        self.options: dict[str, Any] = {}
        """Of the last download."""

    def create_repo(self, repo_id: str, **options: Any) -> SimpleNamespace:
        if self.error:
            raise self.error
        return SimpleNamespace(repo_id=repo_id)

    def upload_folder(self, *, repo_id: str, folder_path: str | Path, **options: Any) -> SimpleNamespace:
        repo = self.folder / options.get("repo_type", "model") / repo_id
        oid = f"{len(list(repo.glob('*'))) + 1:040x}"
        copy(Path(folder_path), repo / oid, options.get("allow_patterns"))
        return SimpleNamespace(oid=oid)

    def snapshot_download(self, repo_id: str, *, revision: str | None = None, **options: Any) -> str:
        if self.error:
            raise self.error
        self.options = options
        *_, newest = sorted((self.folder / options.get("repo_type", "model") / repo_id).iterdir())
        commit = newest.with_name(revision or newest.name)
        copy(commit, fetched := self.folder / "fetched" / commit.name, options["allow_patterns"])
        return str(fetched)


def copy(source: Path, target: Path, allowed: list[str] | None) -> None:
    """Copy the files of a folder that a pattern allows."""
    target.mkdir(parents=True, exist_ok=True)
    for name in filter_repo_objects(sorted(files(source)), allow_patterns=allowed):
        shutil.copy(source / name, target / name)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", hub.create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", hub.upload_folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def new_model(seed: int) -> StoryGAN:
    torch.manual_seed(seed)
    return StoryGAN(ModelConfig(T=1, noise_dim=3), ClevrEncoder()).eval()


def frames(model: StoryGAN) -> np.ndarray:
    return model.generate(STORY, seed=5).frames


def test_a_pushed_model_is_fetched_by_its_name_and_revision(hub: Hub) -> None:
    first, second = new_model(1), new_model(2)
    commit = first.push_to_hub("me/model").oid
    second.push_to_hub("me/model", commit_message="better")
    assert files(hub.folder / "model/me/model" / commit) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "sentence_encoder.json",
        "sentence_encoder.safetensors",
    }
    newest = StoryGAN.from_pretrained("me/model")
    assert not hub.options["local_files_only"]
    older = StoryGAN.from_pretrained("me/model", revision=commit, local_files_only=True)
    assert hub.options["local_files_only"]
    assert np.array_equal(frames(newest), frames(second))
    assert np.array_equal(frames(older), frames(first))
    assert not np.array_equal(frames(newest), frames(older))
    assert "library_name: storygan" in newest.card
    assert newest.config == second.config


@pytest.mark.parametrize("what", NOT_THERE)
def test_what_is_not_there_is_one_line(hub: Hub, capsys: pytest.CaptureFixture[str], what: str) -> None:
    hub.error = NOT_THERE[what]
    first = str(hub.error).splitlines()[0]
    with pytest.raises(UsageError) as caught:
        StoryGAN.from_pretrained("me/nothing")
    assert str(caught.value) == f"no folder 'me/nothing', and the hub does not have it: {first}"
    assert main(["evaluate", "--model", "mean-image", "--data", "hub:me/nothing"]) == 2
    message = f"storygan: the hub does not have the data set hub:me/nothing: {first}\n"
    assert capsys.readouterr().err == message


def test_a_repository_without_a_model_is_one_line(hub: Hub) -> None:
    (hub.folder / "model/me/else/0").mkdir(parents=True)
    with pytest.raises(StoryganError, match=r"is not a model folder: .*config\.json"):
        StoryGAN.from_pretrained("me/else")


def test_a_push_without_a_token_is_refused(hub: Hub, tiny_dataset: Path) -> None:
    hub.error = NO_TOKEN
    with pytest.raises(HfHubHTTPError, match="401"):
        new_model(1).push_to_hub("me/model")
    with pytest.raises(StoryganError, match=r"^me/stories was not uploaded: 401 Client Error: Unauthorized$"):
        push_dataset(tiny_dataset, "me/stories")
    assert not hub.folder.exists()


def test_a_pushed_data_set_is_trained_on_at_its_commit(
    hub: Hub, make_dataset: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_dataset(stories=4, T=1)
    (folder / "notes.txt").touch()
    assert main(["data", "push", str(folder), "me/stories"]) == 0
    name, _, first = capsys.readouterr().out.strip().removeprefix(f"{folder} is ").partition("@")
    assert name == "hub:me/stories"
    assert files(hub.folder / "dataset/me/stories" / first) == {SHARD}
    second = push_dataset(make_dataset(stories=3, T=1), "me/stories").oid
    assert len(open_split(name, "train")) == len(open_split(f"{name}@{second}", "train")) == 3
    assert len(open_split(f"{name}@{first}", "train")) == 4
    assert pin_dataset(f"{name}@{first}") == f"{name}@{first}"
    stages = {"only": StageConfig(iterations=1, batch_size=2, G=G(loss={"mse": 1}))}
    train(tiny_config(Path(name), tmp_path / "run", stages=stages))
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert config["data"]["path"] == f"{name}@{second}"


def test_a_folder_is_itself(tiny_dataset: Path, tmp_path: Path) -> None:
    assert resolve_dataset(tiny_dataset) == tiny_dataset
    assert pin_dataset(str(tiny_dataset)) == str(tiny_dataset)
    with pytest.raises(StoryganError, match="no story shards"):
        push_dataset(tmp_path, "me/stories")
