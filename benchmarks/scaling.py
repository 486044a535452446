"""Measure bytes, memory and time by number of stories, frame size, T and processes.

    python benchmarks/scaling.py [--only stories] [--small]

Each row is measured in its own process, on repeated stories of the shipped sample. Other frame sizes are resized PNG
frames. Training has no rows by frame size, because the model generates 64x64.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from timing import Row, alternate, clock, memory

from storygan.config import TrainConfig
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.data.schema import Story, read_shard, shard_name, write_shard
from storygan.text.encoder import fit_sentence_encoder
from storygan.training.distributed import Processes
from storygan.training.loop import iteration
from storygan.training.stage_folder import initial_weights
from storygan.training.trainer import Experiment, StageTrainer

PAPER = {
    "D_I": {"loss": {"L_image": 1.0}},
    "D_S": {"loss": {"L_story": 1.0}},
    "G": {"loss": {"L_image": 1.0, "L_story": 1.0, "L_KL": 1.0}},
}


def resized(frame: bytes, size: int) -> bytes:
    """Return an encoded frame of another size."""
    file = BytesIO()
    Image.open(BytesIO(frame)).resize((size, size)).save(file, "png")
    return file.getvalue()


def data_set(folder: Path, stories: int, T: int = 4, size: int = 64) -> Path:
    """Write a data set of repeated sample stories with T frames."""
    write_sample(folder / "sample")
    (sample,) = (folder / "sample").glob("train-*.parquet")
    known: list[Story] = list(read_shard(sample))
    if size != 64:
        known = [replace(story, frames=[resized(frame, size) for frame in story.frames]) for story in known]

    def made() -> Iterator[Story]:
        for n, story in enumerate(islice(cycle(known), stories)):
            frames, sentences = list(islice(cycle(story.frames), T)), list(islice(cycle(story.sentences), T))
            yield Story(f"s{n:08d}", sentences, frames)

    (folder / "data").mkdir()
    write_shard(folder / "data" / shard_name("train", 0, 1), list(made()), None)
    return folder / "data"


def stories_row(folder: Path, stories: int, size: int = 64) -> Row:
    """Measure opening a data set: files, memory, time."""
    maker = multiprocessing.get_context("spawn").Process(target=data_set, args=(folder, stories, 4, size))
    maker.start()  # in its own process, so that its memory is not counted
    maker.join()
    data = folder / "data"
    before, start = memory()["RssAnon"], time.perf_counter()
    dataset = open_split(data, "train")
    opened = time.perf_counter()
    texts = memory()["RssAnon"]
    S = fit_sentence_encoder("clevr", dataset.sentences, folder).encode(
        [s for story in dataset.sentences for s in story]
    )
    encoded = time.perf_counter()
    shard, frame_map = (next(data.glob(name)).stat().st_size for name in ("train-*.parquet", ".cache/train-*.npy"))
    return {
        "stories": stories,
        "pixels": size,
        "Parquet, kB a story": shard / stories / 1e3,
        "memory map, kB a story": frame_map / stories / 1e3,
        "texts in memory, kB a story": (texts - before) / stories * 1e3,
        "vectors in memory, kB a story": S.nbytes / stories / 1e3,
        "map built, stories/s": stories / (opened - start),
        "sentences encoded, stories/s": stories / (encoded - opened),
    }


def new_trainer(data: Path, T: int, batch_size: int, processes: Processes | None = None) -> StageTrainer:
    """Build a trainer with the paper's losses."""
    stages = {"adversarial": {**PAPER, "batch_size": batch_size}}
    config = TrainConfig.from_dict({"data": {"path": str(data)}, "model": {"T": T}, "stages": stages})
    dataset = open_split(data, "train")
    experiment = Experiment.build(config, dataset, processes or Processes(config))
    return StageTrainer(experiment, 0, initial_weights(config))


def seconds_an_iteration(trainer: StageTrainer, repeats: int) -> float:
    """Return the seconds of the fastest iteration."""
    return min(alternate({"iteration": clock(partial(iteration, trainer))}, repeats)["iteration"]) / 1e3


def parameters(trainer: StageTrainer) -> dict[str, int]:
    nets = trainer.nets.each().items()
    return {name: sum(p.numel() for p in net.parameters()) for name, net in nets}


def T_row(folder: Path, T: int, batch_size: int, repeats: int) -> Row:
    """Measure the networks and an iteration of stories of T frames."""
    torch.set_flush_denormal(True)
    data = data_set(folder, batch_size, T)
    trainer = new_trainer(data, T, batch_size)
    before = memory()["VmHWM"]
    seconds = seconds_an_iteration(trainer, repeats)
    torch.save(trainer.state_dict(), folder / "state.pt")
    sizes = {f"{name}, M parameters": number / 1e6 for name, number in parameters(trainer).items()}
    return {
        "T": T,
        **sizes,
        "checkpoint, MB": (folder / "state.pt").stat().st_size / 1e6,
        f"peak of an iteration of {batch_size}, MB": memory()["VmHWM"] - before,
        "s an iteration": seconds,
    }


def processes_row(folder: Path, number: int, batch_size: int, repeats: int) -> Row:
    """Measure an iteration of one batch that is divided among processes of one thread."""
    data = data_set(folder, batch_size)
    open_split(data, "train")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    results = multiprocessing.get_context("spawn").Queue()
    arguments = [(rank, number, port, str(data), batch_size, repeats, results) for rank in range(number)]
    workers = [
        multiprocessing.get_context("spawn").Process(target=worker_main, args=one, daemon=True) for one in arguments
    ]
    for worker in workers:
        worker.start()
    rows = [results.get(timeout=3600) for _ in workers]
    for worker in workers:
        worker.join()
    return {
        "processes": number,
        "stories in each": batch_size // number,
        "gradients, MB an iteration": rows[0]["sent"] / 1e6 if number > 1 else 0.0,
        "peak of a process, MB": max(row["peak"] for row in rows),
        "s an iteration": max(row["seconds"] for row in rows),
    }


def worker_main(rank: int, number: int, port: int, data: str, batch_size: int, repeats: int, results: Any) -> None:
    """Run one of the processes of `processes_row`."""
    environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": number, "LOCAL_WORLD_SIZE": number}
    os.environ |= {name: str(value) for name, value in environment.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "scaling"}
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    with Processes(TrainConfig()) as processes:
        trainer = new_trainer(Path(data), 4, batch_size, processes)
        seconds = seconds_an_iteration(trainer, repeats)
        sent = 4 * sum(parameters(trainer).values())
        results.put({"seconds": seconds, "peak": memory()["VmHWM"], "sent": sent})


def rows(small: bool) -> dict[str, list[tuple[Callable[..., Row], tuple[int, ...]]]]:
    """Return, by table, the function of each row and its arguments after the folder."""
    batch_size, repeats = (4, 1) if small else (16, 5)
    return {
        "stories": [(stories_row, (n,)) for n in ((500, 2000) if small else (1000, 4000, 16000))],
        "sizes": [(stories_row, (500 if small else 4000, size)) for size in (32, 128)],
        "T": [(T_row, (T, batch_size, repeats)) for T in ((2, 4) if small else (2, 4, 5, 8))],
        "processes": [(processes_row, (n, batch_size, repeats)) for n in ((1, 2) if small else (1, 2, 4))],
    }


def run_row(function: Callable[..., Row], arguments: tuple[int, ...]) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        return function(Path(folder), *arguments)


def measured(function: Callable[..., Row], arguments: tuple[int, ...]) -> Row:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run_row, function, arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["stories", "sizes", "T", "processes"])
    parser.add_argument("--small", action="store_true", help="small sizes, which show bytes but no meaningful times")
    arguments = parser.parse_args()
    for name, calls in rows(arguments.small).items():
        if arguments.only in (None, name):
            table = [measured(function, given) for function, given in calls]
            print(f"\n| {' | '.join(table[0])} |\n|{'---|' * len(table[0])}")
            for row in table:
                print(f"| {' | '.join(f'{value:.4g}' for value in row.values())} |", flush=True)


if __name__ == "__main__":
    main()
