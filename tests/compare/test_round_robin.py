"""The order, length and accounting of rounds, with a fake training loop and clock."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from storygan.compare import round_robin
from storygan.compare.round_robin import Round, Run, train_round_robin
from storygan.config import (
    GeneratorConfig,
    GeneratorLoss,
    ImageDiscriminatorConfig,
    ImageDiscriminatorLoss,
    ModelConfig,
    StageConfig,
    TrainConfig,
    Variant,
)
from storygan.errors import StoryganError, UsageError


class FakeTraining:
    """Replace `train`: write a configuration and checkpoints; an iteration takes `rates[variant]` seconds."""

    def __init__(self, **rates: float) -> None:
        self.rates = rates
        self.now = 0.0
        self.calls: list[tuple[str, int]] = []
        self.killed_at = 0

    def clock(self) -> float:
        return self.now

    def __call__(self, config: TrainConfig, resume: bool, until: int) -> None:
        path = Path(config.run)
        assert resume == (path / "config.yaml").exists()
        checkpoints = path / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        steps = [int(checkpoint.stem[5:]) for checkpoint in checkpoints.iterdir()]
        done = max(steps, default=0)
        assert done < until <= config.iterations
        self.calls.append((config.model.variant, until))
        self.now += (until - done) * self.rates[config.model.variant]
        (path / "config.yaml").write_text(yaml.safe_dump(config.to_dict()))
        (checkpoints / f"step-{until:08d}.pt").touch()
        if len(self.calls) == self.killed_at:
            raise KeyboardInterrupt


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    fake = FakeTraining(storygan=2.0, imagegan=1.0)
    monkeypatch.setattr(round_robin, "train", fake)
    monkeypatch.setattr(round_robin.time, "perf_counter", fake.clock)
    return fake


RECONSTRUCTION = StageConfig(iterations=10, G=GeneratorConfig(loss=GeneratorLoss(mse=1)))
DISCRIMINATORS = StageConfig(iterations=5, D_I=ImageDiscriminatorConfig(loss=ImageDiscriminatorLoss(L_image=1, r1=0.5)))
ADVERSARIAL = StageConfig(
    iterations=10, D_I=DISCRIMINATORS.D_I, G=GeneratorConfig(loss=GeneratorLoss(L_image=1, mse=1))
)


def two_runs(out: Path, iterations: int = 25) -> list[Run]:
    """Two variants; of 25 iterations, 15 are the first stage's."""
    variants: tuple[Variant, ...] = ("storygan", "imagegan")
    first = iterations * 3 // 5
    stages = {
        "one": replace(RECONSTRUCTION, iterations=first),
        "two": replace(ADVERSARIAL, iterations=iterations - first),
    }
    config = TrainConfig(stages=stages, checkpoint_every=10)
    return [Run(replace(config, run=str(out / v), model=ModelConfig(variant=v))) for v in variants]


def test_an_iteration_budget_is_trained_in_rounds(training: FakeTraining, tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    train_round_robin(runs, minutes=0)
    assert training.calls == [(v, k) for k in (10, 15, 20, 25) for v in ("storygan", "imagegan")]
    assert [run.seconds for run in runs] == [50, 25]
    train_round_robin(two_runs(tmp_path), minutes=0)
    assert len(training.calls) == 8


def test_a_minutes_budget_is_the_same_time_for_all(training: FakeTraining, tmp_path: Path) -> None:
    runs = two_runs(tmp_path, iterations=1000)
    train_round_robin(runs, minutes=1)
    assert [run.seconds for run in runs] == [60, 60]
    assert [run.iterations for run in runs] == [30, 60]
    ends = [run.rounds[0] for run in runs]
    assert ends == [(10, 20), (10, 10)]
    assert training.calls[:4] == [("storygan", 10), ("imagegan", 10), ("imagegan", 20), ("storygan", 20)]


def test_the_last_round_ends_with_the_budget(training: FakeTraining, tmp_path: Path) -> None:
    runs = two_runs(tmp_path, iterations=1000)
    train_round_robin(runs, minutes=0.75)
    assert [run.seconds for run in runs] == [44, 45]  # 45 s are 22.5 iterations of 2 s
    assert [run.iterations for run in runs] == [22, 45]


@pytest.mark.parametrize("minutes", [0, 1])
def test_a_killed_round_does_not_count(training: FakeTraining, tmp_path: Path, minutes: float) -> None:
    training.killed_at = 3  # after its checkpoint, before its time was recorded
    iterations = 1000 if minutes else 25
    with pytest.raises(KeyboardInterrupt):
        train_round_robin(two_runs(tmp_path, iterations), minutes)
    runs = two_runs(tmp_path, iterations)
    assert [run.iterations for run in runs] == [10, 10]
    train_round_robin(runs, minutes)
    assert [run.seconds for run in runs] == ([60, 60] if minutes else [50, 25])
    assert [run.iterations for run in runs] == ([30, 60] if minutes else [25, 25])


def test_a_stage_that_a_killed_round_finished_is_repeated(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path)[:1], minutes=0)
    folders = [tmp_path / "storygan/stages" / name for name in ("1-one", "2-two")]
    for folder in folders:
        folder.mkdir(parents=True)
    (tmp_path / "storygan/rounds.json").write_text("[[10, 20.0], [15, 10.0]]")
    two_runs(tmp_path)
    assert [folder.exists() for folder in folders] == [True, False]
    (tmp_path / "storygan/rounds.json").unlink()
    two_runs(tmp_path)
    assert not folders[0].exists()


def test_a_larger_budget_continues(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path, iterations=1000), minutes=0.75)
    runs = two_runs(tmp_path, iterations=1000)
    train_round_robin(runs, minutes=2)
    assert [run.seconds for run in runs] == [120, 120]


def test_a_run_never_exceeds_its_iterations(training: FakeTraining, tmp_path: Path) -> None:
    """Whatever the budget in minutes is: learning rate schedules span the iterations of a stage."""
    runs = two_runs(tmp_path, iterations=45)
    train_round_robin(runs, minutes=2)
    assert [run.iterations for run in runs] == [45, 45]
    assert [run.seconds for run in runs] == [90, 45]
    assert [run.goal(2) for run in runs] == [45, 45]


def test_exceeds_ignores_the_last_round(training: FakeTraining, tmp_path: Path) -> None:
    runs = two_runs(tmp_path, iterations=1000)
    train_round_robin(runs, minutes=0.75)
    assert not any(run.exceeds(0.75) for run in runs)
    training.rates["storygan"] = 20.0  # the last round takes longer than estimated
    train_round_robin(two_runs(tmp_path, iterations=1000), minutes=1)
    again = two_runs(tmp_path, iterations=1000)
    assert again[0].seconds > 60
    assert [run.exceeds(1) for run in again] == [False, False]
    assert [run.exceeds(0.25) for run in again] == [True, True]
    assert [run.exceeds(0) for run in again] == [False, False]


def test_seconds_per_iteration_are_those_of_the_median_round(tmp_path: Path) -> None:
    (run, _) = two_runs(tmp_path)
    assert run.seconds_per_iteration == 0
    run.rounds = [Round(10, 10.0), Round(20, 30.0), Round(25, 10.0)]
    assert run.seconds_per_iteration == 2.0


def test_adversarial_iterations_train_the_generator_with_a_discriminator(tmp_path: Path) -> None:
    stages = {"one": RECONSTRUCTION, "two": DISCRIMINATORS, "three": ADVERSARIAL, "four": RECONSTRUCTION}
    run = Run(TrainConfig(run=str(tmp_path / "a"), stages=stages))
    counts = {0: 0}
    for done in (10, 15, 18, 25, 30):
        run.rounds = [Round(done, 10.0)]
        counts[done] = run.adversarial
    assert counts == {0: 0, 10: 0, 15: 0, 18: 3, 25: 10, 30: 10}


def test_another_configuration_is_refused(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (run, _) = two_runs(tmp_path)
    G = GeneratorConfig(betas=(0.9, 0.999), loss=GeneratorLoss(mse=1))
    stages = {**run.config.stages, "one": replace(RECONSTRUCTION, iterations=15, G=G)}
    with pytest.raises(UsageError, match=r"another seed, stages\.one\.G\.betas: give the same, or another --out"):
        Run(replace(run.config, seed=1, stages=stages))


def test_a_lost_checkpoint_is_named(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "imagegan/checkpoints/step-00000025.pt").unlink()
    with pytest.raises(StoryganError, match="imagegan has no checkpoint of iteration 25"):
        two_runs(tmp_path)


@pytest.mark.parametrize(("file", "what"), [("config.yaml", "configuration"), ("rounds.json", "list of rounds")])
def test_an_invalid_file_is_named(training: FakeTraining, tmp_path: Path, file: str, what: str) -> None:
    """tests/fuzz/model_readers.py has more contents."""
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "storygan" / file).write_bytes(b"\xff")
    with pytest.raises(StoryganError, match=rf"storygan/{file} is no {what} .* remove .*storygan to restart"):
        two_runs(tmp_path)


def test_another_part_of_the_configuration_is_refused(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "storygan/config.yaml").write_text("stages: {other: {G: {loss: {mse: 1.0}}}}")
    with pytest.raises(UsageError, match=r"started with another .*stages\.other\.G\.loss\.mse"):
        two_runs(tmp_path)


def test_a_file_that_is_no_checkpoint_is_skipped(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "storygan/checkpoints/step-x.pt").touch()
    assert two_runs(tmp_path)[0].iterations == 25
