"""Who trains when and for how long, with a stand-in for training whose clock is known."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from storygan.compare import round_robin as turns
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
    """Stands for `train`: leaves a configuration and checkpoints; an iteration takes `rates[variant]` seconds."""

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
    monkeypatch.setattr(turns, "train", fake)
    monkeypatch.setattr(turns.time, "perf_counter", fake.clock)
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


def test_an_iteration_budget_is_trained_in_turns(training: FakeTraining, tmp_path: Path) -> None:
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
    ends = [run.turns[0] for run in runs]
    assert ends == [(10, 20), (10, 10)]
    assert training.calls[:4] == [("storygan", 10), ("imagegan", 10), ("imagegan", 20), ("storygan", 20)]


def test_the_last_turn_ends_with_the_budget(training: FakeTraining, tmp_path: Path) -> None:
    runs = two_runs(tmp_path, iterations=1000)
    train_round_robin(runs, minutes=0.75)
    assert [run.seconds for run in runs] == [44, 45]  # 45 s are 22.5 iterations of 2 s
    assert [run.iterations for run in runs] == [22, 45]


@pytest.mark.parametrize("minutes", [0, 1])
def test_what_a_killed_turn_did_does_not_count(training: FakeTraining, tmp_path: Path, minutes: float) -> None:
    training.killed_at = 3  # after its checkpoint, before its time was written down
    iterations = 1000 if minutes else 25
    with pytest.raises(KeyboardInterrupt):
        train_round_robin(two_runs(tmp_path, iterations), minutes)
    runs = two_runs(tmp_path, iterations)
    assert [run.iterations for run in runs] == [10, 10]
    train_round_robin(runs, minutes)
    assert [run.seconds for run in runs] == ([60, 60] if minutes else [50, 25])
    assert [run.iterations for run in runs] == ([30, 60] if minutes else [25, 25])


def test_a_stage_that_a_killed_turn_finished_is_done_again(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path)[:1], minutes=0)
    folders = [tmp_path / "storygan/stages" / name for name in ("1-one", "2-two")]
    for folder in folders:
        folder.mkdir(parents=True)
    (tmp_path / "storygan/turns.json").write_text("[[10, 20.0], [15, 10.0]]")
    two_runs(tmp_path)
    assert [folder.exists() for folder in folders] == [True, False]
    (tmp_path / "storygan/turns.json").unlink()
    two_runs(tmp_path)
    assert not folders[0].exists()


def test_a_larger_budget_goes_on(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path, iterations=1000), minutes=0.75)
    runs = two_runs(tmp_path, iterations=1000)
    train_round_robin(runs, minutes=2)
    assert [run.seconds for run in runs] == [120, 120]


def test_a_run_never_goes_past_its_iterations(training: FakeTraining, tmp_path: Path) -> None:
    """However many minutes there are: a learning rate falls over as many iterations as a stage has."""
    runs = two_runs(tmp_path, iterations=45)
    train_round_robin(runs, minutes=2)
    assert [run.iterations for run in runs] == [45, 45]
    assert [run.seconds for run in runs] == [90, 45]
    assert [run.goal(2) for run in runs] == [45, 45]


def test_a_budget_that_was_used_up_before_is_an_excess(training: FakeTraining, tmp_path: Path) -> None:
    runs = two_runs(tmp_path, iterations=1000)
    train_round_robin(runs, minutes=0.75)
    assert not any(run.exceeds(0.75) for run in runs)
    training.rates["storygan"] = 20.0  # the last turn takes longer than foretold
    train_round_robin(two_runs(tmp_path, iterations=1000), minutes=1)
    again = two_runs(tmp_path, iterations=1000)
    assert again[0].seconds > 60
    assert [run.exceeds(1) for run in again] == [False, False]
    assert [run.exceeds(0.25) for run in again] == [True, True]
    assert [run.exceeds(0) for run in again] == [False, False]


def test_the_pace_is_the_median_turns(tmp_path: Path) -> None:
    (run, _) = two_runs(tmp_path)
    assert run.pace == 0
    run.turns = [Round(10, 10.0), Round(20, 30.0), Round(25, 10.0)]
    assert run.pace == 2.0


def test_an_adversarial_iteration_has_a_generator_that_learns_from_a_discriminator(tmp_path: Path) -> None:
    stages = {"one": RECONSTRUCTION, "two": DISCRIMINATORS, "three": ADVERSARIAL, "four": RECONSTRUCTION}
    run = Run(TrainConfig(run=str(tmp_path / "a"), stages=stages))
    found = {0: 0}
    for done in (10, 15, 18, 25, 30):
        run.turns = [Round(done, 10.0)]
        found[done] = run.adversarial
    assert found == {0: 0, 10: 0, 15: 0, 18: 3, 25: 10, 30: 10}


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


@pytest.mark.parametrize(
    "content", ["5", "[", "\xff", "a: &a [*a]", "stages: 5", "iterations: x", "unknown: 1", "[" * 3000]
)
def test_a_configuration_that_is_none_is_named(training: FakeTraining, tmp_path: Path, content: str) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "storygan/config.yaml").write_bytes(content.encode("latin-1"))
    with pytest.raises(StoryganError, match=r"storygan/config\.yaml is no configuration .* remove .*storygan to begin"):
        two_runs(tmp_path)


def test_another_part_of_the_configuration_is_refused(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "storygan/config.yaml").write_text("init_from: {x: 1}")
    with pytest.raises(UsageError, match=r"begun with another .*init_from, init_from\.x"):
        two_runs(tmp_path)


@pytest.mark.parametrize(
    "content", ["5", "[[1]]", "[[25, 0]]", "[[-1, 5]]", '[["a", "b"]]', "[[25, NaN]]", "\xff", "[" * 10**5]
)
def test_turns_that_are_none_are_named(training: FakeTraining, tmp_path: Path, content: str) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "storygan/turns.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(
        StoryganError, match=r"storygan/turns\.json is no list of turns .* remove .*storygan to begin anew"
    ):
        two_runs(tmp_path)


def test_a_file_that_is_no_checkpoint_is_passed_over(training: FakeTraining, tmp_path: Path) -> None:
    train_round_robin(two_runs(tmp_path), minutes=0)
    (tmp_path / "storygan/checkpoints/step-x.pt").touch()
    assert two_runs(tmp_path)[0].iterations == 25
