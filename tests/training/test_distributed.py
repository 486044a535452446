"""Training in 2 and 4 real processes: the same numbers in all, and one error where one fails."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.faults.processes import run
from tests.run_folders import differences, same, steps_logged
from tests.tiny_run import ENDS, ITERATIONS, new_run
from tests.training.ranks import SECONDS, command, iterate, poisoned, run_all, start, until
from tests.training.tiny import D_I, D_S, G, paper_stage

from storygan.config import DataConfig, DiscriminatorConfig, ModelConfig, TrainConfig
from storygan.data.dataset import open_split
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.training.batches import indices
from storygan.training.check_fit import check_fit
from storygan.training.checkpoint import checkpoint_paths
from storygan.training.distributed import Processes

pytestmark = pytest.mark.distributed
SLOW = (pytest.mark.slow, pytest.mark.timeout(1800))
"""Four processes on two cores that are busy take their time."""
TWO_OR_FOUR = [2, pytest.param(4, marks=SLOW)]
B = 8


@pytest.fixture(scope="module")
def data(make_dataset: Callable[..., Path]) -> Path:
    """Eight stories of one frame."""
    return make_dataset(stories=B, T=1)


def shared_run(data: Path, folder: Path, batch_size: int = 4, **changes: object) -> list[str]:
    """Return the arguments of a run with all kinds of stages."""
    sizes = {f"stages.{name}.batch_size": batch_size for name in ENDS}
    return new_run(data, folder, **{"timeout": SECONDS, **sizes, **changes})


def tiny(data: Path, **changes: object) -> TrainConfig:
    """Return one adversarial stage of the paper, with all stories in a batch."""
    stage = paper_stage(batch_size=B, **({"ema": changes.pop("ema")} if "ema" in changes else {}))
    config = TrainConfig(
        data=DataConfig(str(data)), model=ModelConfig("imagegan", T=1), stages={"stage": stage}, timeout=SECONDS
    )
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def errors(outputs: list[list[str]]) -> list[str]:
    """Return the error lines of all processes."""
    return [line for lines in outputs for line in lines if line.startswith("storygan:")]


@pytest.mark.parametrize("number", TWO_OR_FOUR)
def test_gradients_are_those_of_the_whole_batch(make_dataset: Callable[..., Path], tmp_path: Path, number: int) -> None:
    """Every option, norm layers in evaluation; D's rate is 0, as Adam's first step magnifies rounding. In float64: in
    float32 a rounding can open a ReLU in one sum and not in the other."""
    size = 2 * number
    config = tiny(
        make_dataset(stories=size, T=2),
        model=ModelConfig(T=2),
        discriminator=DiscriminatorConfig(spectral_norm=True, label_head=True),
        stages={
            "stage": paper_stage(
                batch_size=size,
                mismatched=True,
                r1_every=1,
                D_I=D_I(loss={"L_image": 1, "r1": 1, "label": 1}, lr=0.0),
                D_S=D_S(loss={"L_story": 1, "r1": 1}, lr=0.0),
                G=G(loss={"L_image": 1, "L_story": 1, "L_KL": 1, "mse": 1, "label": 1}),
            )
        },
    )
    for n in (1, number):
        (tmp_path / str(n)).mkdir()
        codes, output = run_all([iterate(config, 1, tmp_path / str(n), exact=True)] * n, tmp_path / f"logs{n}")
        assert codes == [0] * n, output
    one = torch.load(tmp_path / "1" / "0.pt")
    for rank in range(number):
        many = torch.load(tmp_path / str(number) / f"{rank}.pt")
        assert many["gradients"].keys() == one["gradients"].keys()
        for name, gradient in one["gradients"].items():
            error = (many["gradients"][name] - gradient).norm() / gradient.norm().clamp(min=1e-6)
            assert error < 1e-9, f"{name}: {error:.1e} of the gradient"
        for name, value in one["metrics"][0].items():
            rounding = 1e-6  # labels, and what they enter, stay float32
            torch.testing.assert_close(many["metrics"][0][name], value, atol=1e-9, rtol=rounding, msg=name)


@pytest.mark.parametrize("number", TWO_OR_FOUR)
def test_processes_stay_identical_and_divide_the_stories(data: Path, tmp_path: Path, number: int) -> None:
    codes, output = run_all([iterate(tiny(data, ema=0.9), 4, tmp_path)] * number, tmp_path / "logs")
    assert codes == [0] * number, output
    first, *others = (torch.load(tmp_path / f"{rank}.pt") for rank in range(number))
    for other in others:
        assert same(other["state"], first["state"])
        assert same(other["metrics"], first["metrics"])
    for k in range(4):
        parts = [result["seen"][k] for result in (first, *others)]
        assert {len(part) for part in parts} == {B // number}
        assert torch.cat(parts).tolist() == indices(B, B, seed=0, stage=0, k=k).tolist()


@pytest.mark.parametrize("number", [pytest.param(number, marks=SLOW) for number in (2, 4)])
def test_only_the_main_process_writes_and_other_numbers_resume(data: Path, tmp_path: Path, number: int) -> None:
    """Other processes never create their run folders. Two processes, then one, then two; four, two, four."""
    folder = tmp_path / "run"
    folders = [folder, *(tmp_path / f"elsewhere{rank}" for rank in range(1, number))]
    size = 2 * number
    codes, output = run_all([until(shared_run(data, path, size), 2) for path in folders], tmp_path / "first")
    assert codes == [0] * number, output
    assert [path.exists() for path in folders] == [True] + [False] * (number - 1)
    model = f"the model is in {folder}/model: storygan generate --model {folder}/model ..."
    assert output == [[model]] + [[]] * (number - 1)
    whole = tmp_path / "whole"
    assert run(shared_run(data, whole, size), tmp_path / "log")[0] == 0
    for end, others in ((5, number // 2), (ITERATIONS, number)):
        going_on = until(["train", "--resume", str(folder)], end)
        codes, output = run_all([going_on] * others, tmp_path / f"to{end}")
        assert codes == [0] * others, output
    assert steps_logged(folder) == list(range(1, ITERATIONS + 1))
    assert len(list((folder / "samples").glob("*.png"))) == 6  # 2 and 5, which ended a run; 3, 5, 7, 9: stages; 6
    StoryGAN.from_pretrained(folder / "model")


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_and_resuming_is_bit_exact(data: Path, tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    codes, output = run_all([command(shared_run(data, whole))] * 2, tmp_path / "all")
    assert codes == [0, 0], output
    ranks = start([command(shared_run(data, folder, checkpoint_every=100))] * 2, tmp_path / "stopped", pause_at=3)
    for rank in ranks:
        rank.wait_until_paused()
    ranks[1].send(signal.SIGTERM)
    for rank in ranks:
        rank.resume()
    assert [rank.end() for rank in ranks] == [143, 143], [rank.output() for rank in ranks]
    (saved,) = checkpoint_paths(folder / "checkpoints")
    expected = f"storygan: stopped by SIGTERM, saved {saved}: go on with --resume {folder}"
    assert errors([rank.output() for rank in ranks]) == [expected]
    codes, output = run_all([command(["train", "--resume", str(folder), "--checkpoint_every=2"])] * 2, tmp_path / "on")
    assert codes == [0, 0], output
    assert differences(folder, whole, ITERATIONS) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("number", "killed"), [(2, 0), (2, 1), (4, 0), (4, 2)])
def test_all_processes_end_where_one_is_killed(data: Path, tmp_path: Path, number: int, killed: int) -> None:
    folder = tmp_path / "run"
    training = command(shared_run(data, folder, batch_size=2 * number))
    ranks = start([training] * number, tmp_path / "killed", pause_at=3)
    for rank in ranks:
        rank.wait_until_paused()
    ranks[killed].send(signal.SIGKILL)
    assert ranks[killed].end() == -signal.SIGKILL
    left = {rank: process for rank, process in enumerate(ranks) if rank != killed}
    for process in left.values():
        process.resume()
    for rank, process in left.items():
        assert process.wait(SECONDS) == 1, process.output()
        (line,) = process.output()
        assert line.startswith(f"storygan: process {rank} of {number}, on ")
        assert line.endswith(f"see their messages; then go on with --resume {folder}")
    assert [path.name for path in checkpoint_paths(folder / "checkpoints")] == ["step-00000002.pt"]
    code, output = run(["train", "--resume", str(folder)], tmp_path / "log")
    assert code == 0, output
    assert steps_logged(folder) == list(range(1, ITERATIONS + 1))


@pytest.mark.slow
def test_nan_in_one_process_stops_all(data: Path, tmp_path: Path) -> None:
    arguments = shared_run(data, tmp_path / "run")
    codes, output = run_all([command(arguments), poisoned(arguments, 4)], tmp_path / "logs")
    assert codes == [1, 1], output
    (line,) = errors(output)
    assert "is nan at iteration 4: training stops" in line
    assert [path.name for path in checkpoint_paths(tmp_path / "run/checkpoints")] == [
        "step-00000002.pt",
        "step-00000003.pt",
    ]


@pytest.mark.slow
def test_an_error_at_the_start_of_one_process_ends_all(
    data: Path, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    """A run folder that holds a run, which only the main process sees; another option; other stories."""
    (tmp_path / "used").mkdir()
    (tmp_path / "used/config.yaml").write_text("{}")
    codes, output = run_all([command(shared_run(data, tmp_path / "used"))] * 2, tmp_path / "logs")
    assert (codes, errors(output)) == ([2, 2], [line for line in output[0] if "holds a run already" in line]), output
    new, others = tmp_path / "new", make_dataset(stories=B + 1, T=1)
    for changed, message in (
        (
            shared_run(data, new, **{"seed": 1, "stages.reconstruction.ema": 0.5}),
            "has another stages and seed than the first",
        ),
        (shared_run(others, new), "has other stories in"),
    ):
        codes, output = run_all([command(shared_run(data, new)), command(changed)], tmp_path / "logs")
        assert codes == [2, 2], output
        (line,) = errors(output)
        assert message in line
        assert not new.exists()


def test_a_batch_must_divide_evenly(data: Path) -> None:
    dataset = open_split(data, "train")
    check_fit(tiny(data), dataset, 4)
    for number in (3, 8):
        with pytest.raises(UsageError, match=f"batch_size is 8: {number} processes share a batch evenly"):
            check_fit(tiny(data), dataset, number)


def test_a_single_process_does_not_communicate(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Processes(tiny(data)) as processes:
        assert (processes.rank, processes.world_size, processes.is_main) == (0, 1, True)
        assert processes.part(B) == slice(0, B)
        monkeypatch.setattr(processes.fabric.strategy, "all_gather", None)
        assert processes.all_reduce_max(7) == 7
        with pytest.raises(UsageError, match="mine"), processes.sync_errors():
            raise UsageError("mine")
        one = torch.tensor(3.0)
        processes.average([one])
        assert one.item() == 3.0
