"""Train several runs in rounds, so that all have had about the same budget at any time, under the same load.

A round is a call of the training loop: it ends with a checkpoint, and the next round resumes from it bit-exactly. So a
run is the same as that of `storygan train` with the `config.yaml` in its folder, however it was interrupted.
"""

from __future__ import annotations

import json
import logging
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import yaml

from storygan.config import TrainConfig, leaves
from storygan.errors import Interrupted, StoryganError, UsageError, advice
from storygan.files import atomic_write, parse_json, parse_yaml, read_text
from storygan.training.checkpoint import checkpoint_paths, step_of
from storygan.training.loop import train
from storygan.training.run_folder import CONFIG
from storygan.training.stage_folder import stage_folder

log = logging.getLogger(__name__)

ROUNDS = "rounds.json"
MAX = 10**9
"""Largest iterations of a run, or seconds of a round."""


class Round(NamedTuple):
    """A finished round of a run."""

    iterations: int
    """Iterations of the run at the end of the round."""
    seconds: float
    """Wall clock of the round, including building, resuming and saving."""


class Run:
    """A run folder and its finished rounds.

    A killed round is repeated: neither its iterations nor its time count.

    Args:
        config: complete; all its stages are the budget, unless that is in minutes.

    Raises:
        UsageError: the folder holds a run of another configuration.
        StoryganError: the files of the folder do not fit together.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.path = Path(config.run)
        self.rounds: list[Round] = []
        self.started = (self.path / CONFIG).exists()
        if not self.started:
            return
        stored = read_config(self.path / CONFIG)
        if config.precision == "auto":
            self.config = config = replace(config, precision=stored.precision)
        a, b = (dict(leaves(each.to_dict())) for each in (stored, config))
        if changed := sorted({name for name in a | b if a.get(name) != b.get(name)} - {"run"}):
            raise UsageError(
                f"{self.path} was started with another {', '.join(changed)}: give the same, or another --out"
            )
        if (self.path / ROUNDS).exists():
            self.rounds = read_rounds(self.path / ROUNDS)
        steps = {step_of(path): path for path in checkpoint_paths(self.path / "checkpoints")}
        if self.rounds and self.iterations not in steps:
            raise StoryganError(f"{self.path} has no checkpoint of iteration {self.iterations}: remove it to restart")
        for step, path in steps.items():
            if step > self.iterations:
                path.unlink()  # its round was killed before it was recorded
        for number, end in enumerate(self.stage_ends):
            if end > self.iterations:
                shutil.rmtree(stage_folder(self.path, config, number), ignore_errors=True)

    @property
    def iterations(self) -> int:
        """Finished iterations."""
        return self.rounds[-1].iterations if self.rounds else 0

    @property
    def stage_ends(self) -> list[int]:
        """The last iteration of each stage."""
        return list(accumulate(stage.iterations for stage in self.config.stages.values()))

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all rounds."""
        return sum(done.seconds for done in self.rounds)

    @property
    def seconds_per_iteration(self) -> float:
        """Seconds per iteration in the median round; 0 before the first."""
        ends = [0, *(done.iterations for done in self.rounds)]
        times = [(done.seconds, end - start) for done, start, end in zip(self.rounds, ends, ends[1:], strict=False)]
        return statistics.median([seconds / n for seconds, n in times if n] or [0.0])

    @property
    def adversarial(self) -> int:
        """Finished iterations in which a discriminator trains the generator."""
        left, count = self.iterations, 0
        for stage in self.config.stages.values():
            done = min(left, stage.iterations)
            count += done if stage.G and stage.G.loss.adversarial else 0
            left -= done
        return count

    def exceeds(self, minutes: float) -> bool:
        """Return whether the rounds before the last one used up the budget; the last may take longer than estimated."""
        return minutes > 0 and sum(done.seconds for done in self.rounds[:-1]) >= 60 * minutes

    def goal(self, minutes: float) -> int:
        """Return the iteration at which the next round ends; `iterations` where the budget is used up.

        A round ends at the next checkpoint, at the end of a stage, or with the budget in minutes, estimated by the last
        round's speed. So it leaves one checkpoint, and the one before stays in case it is killed.
        """
        k = self.iterations
        end = (k // self.config.checkpoint_every + 1) * self.config.checkpoint_every
        end = min([end, *(last for last in self.stage_ends if last > k)]) if k < self.config.iterations else k
        if not minutes or not self.rounds:
            return end
        before = self.rounds[-2].iterations if len(self.rounds) > 1 else 0
        speed = (k - before) / self.rounds[-1].seconds
        return max(k, min(end, k + round((60 * minutes - self.seconds) * speed)))

    def train_round(self, goal: int) -> None:
        """Train up to `goal` iterations and record the time."""
        done = f"{self.iterations} iterations in {self.seconds / 60:.1f} minutes"
        log.info(f"{self.path.name}: {done}, now to {goal}")
        start = time.perf_counter()
        try:
            train(self.config, resume=self.started, until=goal)
        except Interrupted as stop:
            where = f"stopped in the round of {self.path.name} from {self.iterations} to {goal}"
            raise Interrupted(f"{where}: the same command resumes, and repeats that round", stop.exit_code) from stop
        self.started = True
        self.rounds.append(Round(goal, round(time.perf_counter() - start, 3)))
        atomic_write(self.path / ROUNDS, json.dumps(self.rounds))


def read_config(path: Path) -> TrainConfig:
    """Read the configuration of a run. Raises StoryganError where the file does not hold one."""
    try:
        return TrainConfig.from_dict(parse_yaml(read_text(path)))
    except (OSError, ValueError, AttributeError, yaml.YAMLError, UsageError) as error:
        raise _invalid(path, "configuration", error) from error


def read_rounds(path: Path) -> list[Round]:
    """Read the finished rounds of a run. Raises StoryganError where the file does not hold them."""
    try:
        rounds = [Round(*values) for values in parse_json(read_text(path))]
        if not all(type(done.iterations) is int and 0 < done.iterations <= MAX for done in rounds):
            raise ValueError("a round without iterations")
        if not all(0.001 <= done.seconds <= MAX for done in rounds):
            raise ValueError("a round without seconds")
        return rounds
    except (OSError, ValueError, TypeError) as error:
        raise _invalid(path, "list of rounds", error) from error


def _invalid(path: Path, what: str, error: Exception) -> StoryganError:
    action = advice(error, f"remove {path.parent} to restart")
    return StoryganError(f"{path} is no {what} ({' '.join(str(error).split())}){action}")


def train_round_robin(runs: Sequence[Run], minutes: float) -> None:
    """Train each run for its budget: `minutes`, or with 0 all stages. The run that had the least is next."""
    while goals := {n: goal for n, run in enumerate(runs) if (goal := run.goal(minutes)) > run.iterations}:
        n = min(goals, key=lambda n: runs[n].seconds if minutes else runs[n].iterations)
        runs[n].train_round(goals[n])
