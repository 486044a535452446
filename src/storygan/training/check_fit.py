"""Check that a configuration, a data set and the number of processes fit together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from storygan.config import StageConfig, TrainConfig
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.hub import pin_dataset
from storygan.errors import UsageError
from storygan.text.encoder import DIM


def open_training_data(config: TrainConfig) -> tuple[TrainConfig, StoryDataset]:
    """Open the training stories. Return the configuration with their T and, for a hub id, the commit."""
    config = replace(config, data=replace(config.data, path=pin_dataset(config.data.path)))
    dataset = open_split(config.data.path, config.data.split)
    return replace(config, model=replace(config.model, T=config.model.T or dataset.T)), dataset


def check_fit(config: TrainConfig, dataset: StoryDataset, processes: int = 1) -> None:
    """Raise UsageError where the configuration does not fit the data set or the number of processes."""
    if not config.stages:
        raise UsageError("the configuration has no stages: give a file that has some, such as configs/quickstart.yaml")
    if dataset.T != config.model.T:
        raise UsageError(f"model.T is {config.model.T}, but the stories of {config.data.path} have {dataset.T} frames")
    if dataset.size != config.model.image_size:
        raise UsageError(
            f"model.image_size is {config.model.image_size}, but the frames of {config.data.path} are {dataset.size} "
            "pixels wide"
        )
    if config.discriminator.label_head and dataset.labels is None:
        raise UsageError(f"discriminator.label_head is on, but the stories of {config.data.path} have no labels")
    for name, stage in config.stages.items():
        _check_stage(f"stages.{name}", stage, config, dataset, processes)


def _check_stage(where: str, stage: StageConfig, config: TrainConfig, dataset: StoryDataset, processes: int) -> None:
    T, path = dataset.T, config.data.path
    advice = f"(rendered stories of CLEVR-SV: `storygan data add-nuisance {path}`)"
    generated = stage.frames or T
    for name, n, most in (("frames", stage.frames, T), ("disc_frames", stage.disc_frames, generated)):
        if not 0 <= n <= most:
            raise UsageError(f"{where}.{name} is {n}: it must be from 0 to {most}")
    if stage.needs("D_S") and generated < T:
        raise UsageError(f"{where}.frames is {generated}: D_S needs all {T} frames of a story; set it to 0")
    if stage.shuffle_sentences and generated == T:
        raise UsageError(f"{where}.shuffle_sentences needs frames from 1 to {T - 1}: the order of all {T} is fixed")
    labelled = [network for network in (stage.G, stage.D_I) if network and network.loss.label]
    if labelled and not config.discriminator.label_head:
        raise UsageError(f"{where} has a label loss: set discriminator.label_head true")
    if stage.foreground_weight != 1 and not dataset.has_foreground:
        raise UsageError(f"{where}.foreground_weight: the stories of {path} have no column `foreground` {advice}")
    if stage.couple_nuisance:
        columns = ((dataset.story_nuisance, "eps_0", DIM), (dataset.frame_nuisance, "eps_t", config.model.noise_dim))
        if all(column is None for column, _, _ in columns):
            raise UsageError(f"{where}.couple_nuisance: the stories of {path} have no nuisance columns {advice}")
        for column, name, size in columns:
            if column is not None and column.shape[-1] > size:
                raise UsageError(f"{where}.couple_nuisance: {column.shape[-1]} values for {name}, which has {size}")
    of_story = np.zeros(len(dataset), int) if dataset.shards is None else dataset.shards
    shards = np.unique(of_story)
    if unknown := sorted(set(stage.shards) - set(shards.tolist())):
        raise UsageError(f"{where}.shards names {unknown[0]}, but {path} has shards 0 to {shards[-1]}")
    stories = np.isin(of_story, stage.shards or shards).sum()
    if stories < stage.batch_size:
        raise UsageError(f"{where}.batch_size is {stage.batch_size}, but {path} has {stories} stories for it")
    if stage.batch_size % processes or stage.batch_size < 2 * processes:
        raise UsageError(
            f"{where}.batch_size is {stage.batch_size}: {processes} processes share a batch evenly, and batch "
            "normalization needs at least 2 stories in each"
        )
