"""Data sets on the Hugging Face hub: `hub:user/name`, or `hub:user/name@REVISION`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from storygan.data.schema import splits
from storygan.errors import StoryganError, UsageError, reason

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

PREFIX = "hub:"
FILES = ["README.md", "*.parquet"]
"""Files that are uploaded and downloaded."""


def resolve_dataset(path: str | Path) -> Path:
    """Return the folder of a data set; one on the hub is downloaded, or taken from the cache.

    Args:
        path: a folder, or `hub:user/name` with an optional branch, tag or commit behind `@`.

    Raises:
        UsageError: the hub does not have it.
    """
    if not str(path).startswith(PREFIX):
        return Path(path)
    from huggingface_hub import snapshot_download

    repo_id, _, revision = str(path).removeprefix(PREFIX).partition("@")
    try:
        found = snapshot_download(repo_id, repo_type="dataset", revision=revision or None, allow_patterns=FILES)
    except Exception as error:  # of the network, the hub, or the name
        raise UsageError(f"the hub does not have the data set {path}: {reason(error)}") from error
    return Path(found)


def pin_dataset(path: str) -> str:
    """Return the name of a data set with its present commit, `hub:user/name@COMMIT`; of a folder, the path."""
    return f"{path.partition('@')[0]}@{resolve_dataset(path).name}" if path.startswith(PREFIX) else path


def push_dataset(folder: str | Path, repo_id: str, private: bool | None = None, token: str | None = None) -> CommitInfo:
    """Upload the shards and the data set card of a folder to the Hugging Face hub.

    Args:
        folder: of the data set.
        repo_id: `user/name`; created if it does not exist.
        private: whether a new repository is private; None: the hub's default.
        token: access token; None: the one stored by `hf auth login`.

    Raises:
        StoryganError: the folder has no shards, or the hub refuses.
    """
    if not splits(folder):
        raise StoryganError(f"{folder} has no story shards: nothing to upload")
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    try:
        repo_id = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True).repo_id
        return api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=FILES,
            commit_message="Upload stories",
        )
    except Exception as error:  # of the network, the hub, or the name
        raise StoryganError(f"{repo_id} was not uploaded: {reason(error)}") from error
