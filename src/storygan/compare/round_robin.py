"""Training of several contenders in turns, so that at any moment each has had about the same, under the same load.

A turn is the training loop's own: it ends with a checkpoint, and the next one resumes from there, bit for bit. So a
contender's run is the one that `storygan train` makes of the `config.yaml` in its folder, whatever stopped it and when.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from storygan.config import TrainConfig, leaves
from storygan.errors import Interrupted, StoryganError, UsageError
from storygan.files import atomic_write, parse_json, parse_yaml, read_text
from storygan.training.checkpoint import checkpoint_paths, step_of
from storygan.training.loop import train
from storygan.training.run_folder import CONFIG
from storygan.training.stage_folder import stage_folder

TURNS = "turns.json"
MAX = 10**9
"""Iterations of a run, or seconds of a turn: 30 years."""


class Round(NamedTuple):
    """What stands of one turn."""

    iterations: int
    """Of the run, where the turn ended."""
    seconds: float
    """Wall clock, of this turn: iterations, and building, resuming and saving around them."""


class Run:
    """One contender's run folder, and the turns that it has had.

    A turn counts when it has ended: what a killed one did is done again, and neither its iterations nor its time count.

    Args:
        config: complete; all its stages are the budget where it is not in minutes.

    Raises:
        UsageError: the folder holds a run of another configuration.
        StoryganError: the folder's files do not fit together.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.path = Path(config.run)
        self.turns: list[Round] = []
        self.started = (self.path / CONFIG).exists()
        if not self.started:
            return
        begun = read_config(self.path / CONFIG)
        if changed := sorted(differing(begun.to_dict(), config.to_dict())):
            raise UsageError(
                f"{self.path} was begun with another {', '.join(changed)}: give the same, or another --out"
            )
        if (self.path / TURNS).exists():
            self.turns = read_rounds(self.path / TURNS)
        steps = {step_of(path): path for path in checkpoint_paths(self.path / "checkpoints")}
        if self.turns and self.iterations not in steps:
            raise StoryganError(
                f"{self.path} has no checkpoint of iteration {self.iterations}: remove it to begin anew"
            )
        for step, path in steps.items():
            if step > self.iterations:
                path.unlink()  # its turn was killed before its time was written down
        for number, end in enumerate(self.stage_ends):
            if end > self.iterations:
                shutil.rmtree(stage_folder(self.path, config, number), ignore_errors=True)  # likewise

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return self.turns[-1].iterations if self.turns else 0

    @property
    def stage_ends(self) -> list[int]:
        """The last iteration of each stage."""
        return list(accumulate(stage.iterations for stage in self.config.stages.values()))

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training."""
        return sum(turn.seconds for turn in self.turns)

    @property
    def pace(self) -> float:
        """Seconds an iteration, of the median turn; 0 before the first."""
        ends = [0, *(turn.iterations for turn in self.turns)]
        done = [(turn.seconds, end - start) for turn, start, end in zip(self.turns, ends, ends[1:], strict=False)]
        return statistics.median([seconds / n for seconds, n in done if n] or [0.0])

    @property
    def adversarial(self) -> int:
        """Iterations in which a discriminator teaches the generator."""
        left, found = self.iterations, 0
        for stage in self.config.stages.values():
            done = min(left, stage.iterations)
            found += done if stage.G and (stage.G.loss.L_image or stage.G.loss.L_story) else 0
            left -= done
        return found

    def exceeds(self, minutes: float) -> bool:
        """Whether it had more than the budget of `minutes`. A last turn that took longer than foreseen is no excess."""
        return minutes > 0 and sum(turn.seconds for turn in self.turns[:-1]) >= 60 * minutes

    def goal(self, minutes: float) -> int:
        """Where the next turn ends: at the next checkpoint, or before, with the budget. `iterations`: it is used up.

        A stage ends with a checkpoint, too. So a turn leaves one, and the one before is still there if it is killed.
        Minutes are met as well as the last turn's rate foretells; a first turn is never cut short.
        """
        k = self.iterations
        end = (k // self.config.checkpoint_every + 1) * self.config.checkpoint_every
        end = min([end, *(last for last in self.stage_ends if last > k)]) if k < self.config.iterations else k
        if not minutes or not self.turns:
            return end
        before = self.turns[-2].iterations if len(self.turns) > 1 else 0
        rate = (k - before) / self.turns[-1].seconds
        return max(k, min(end, k + round((60 * minutes - self.seconds) * rate)))

    def turn(self, goal: int) -> None:
        """Train up to `goal` iterations and write down how long it took."""
        done = f"{self.iterations} iterations in {self.seconds / 60:.1f} minutes"
        print(f"{self.path.name}: {done}, now to {goal}", file=sys.stderr)
        start = time.perf_counter()
        try:
            train(self.config, resume=self.started, until=goal)
        except Interrupted as stop:
            turn = f"stopped in the turn of {self.path.name} from {self.iterations} to {goal}"
            raise Interrupted(f"{turn}: the same command goes on, with that turn anew", stop.exit_code) from stop
        self.started = True
        self.turns.append(Round(goal, round(time.perf_counter() - start, 3)))
        atomic_write(self.path / TURNS, json.dumps(self.turns))


def read_config(path: Path) -> TrainConfig:
    """The configuration that a run was begun with. StoryganError where the file does not hold one."""
    try:
        return TrainConfig.from_dict(parse_yaml(read_text(path)))
    except (OSError, ValueError, AttributeError, yaml.YAMLError, UsageError) as error:
        raise _anew(path, "configuration", error) from error


def read_rounds(path: Path) -> list[Round]:
    """The turns that a run has had. StoryganError where the file does not hold them."""
    try:
        turns = [Round(*turn) for turn in parse_json(read_text(path))]
        if not all(type(turn.iterations) is int and 0 < turn.iterations <= MAX for turn in turns):
            raise ValueError("a turn without iterations")
        if not all(0.001 <= turn.seconds <= MAX for turn in turns):
            raise ValueError("a turn without seconds")
        return turns
    except (OSError, ValueError, TypeError) as error:
        raise _anew(path, "list of turns", error) from error


def _anew(path: Path, what: str, error: Exception) -> StoryganError:
    return StoryganError(f"{path} is no {what} ({' '.join(str(error).split())}): remove {path.parent} to begin anew")


def train_round_robin(runs: Sequence[Run], minutes: float) -> None:
    """Train each run for its budget, `minutes` or (0) all stages of its configuration; who has had least is next."""
    while goals := {n: goal for n, run in enumerate(runs) if (goal := run.goal(minutes)) > run.iterations}:
        n = min(goals, key=lambda n: runs[n].seconds if minutes else runs[n].iterations)
        runs[n].turn(goals[n])


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Dotted names of the fields in which two configurations differ, the run folder aside."""
    a, b = (dict(leaves(values)) for values in (one, other))
    return {name for name in a | b if a.get(name) != b.get(name)} - {"run"}
