"""`storygan compare` for real, on two variants and the sample that ships; what it refuses."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from tests.tiny_run import ITERATIONS, TINY

from storygan.cli import main
from storygan.cli.train import read_contenders
from storygan.compare import round_robin as turns
from storygan.compare.result import differences
from storygan.config import DiscriminatorConfig, TrainConfig
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.evaluation import distances
from storygan.evaluation.measure import measure
from storygan.signals import SignalExit
from storygan.training.loop import train

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 training stories, 16 test stories."""
    folder = tmp_path_factory.mktemp("data") / "sample"
    write_sample(folder)
    return folder


def command(sample: Path, out: Path, *more: str) -> list[str]:
    """Two variants, nine iterations in eight turns each."""
    options = ["--data.path", str(sample), "--out", str(out), "--model.T", "4", "--sample_every", "99"]
    return ["compare", str(TINY), *options, "--variants", "svc", "imagegan", *more]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_and_resumed_it_ends_as_if_it_had_not_been(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    calls: list[int] = []

    def killed_in_the_third_turn(config: TrainConfig, resume: bool, until: int) -> Path | None:
        folder = train(config, resume, until=until)
        if calls.append(until) or len(calls) == 3:
            raise SignalExit(signal.SIGINT)
        return folder

    monkeypatch.setattr(distances, "feature_extractors", dict)  # the networks of KID and FID have tests of their own
    monkeypatch.setattr(turns, "train", killed_in_the_third_turn)
    out = tmp_path / "out"
    assert main(command(sample, out)) == 130
    assert not (out / "compare.json").exists()
    monkeypatch.setattr("sys.argv", ["/somewhere/storygan", "compare", "--out", "a folder"])
    assert main(command(sample, out, "--shown", "2")) == 0
    assert calls == [2, 2, 3, *(k for k in (3, 4, 5, 6, 7, 8, 9) for _ in range(2))]
    assert "compare.html" in capsys.readouterr().out

    config = TrainConfig.from_dict(yaml.safe_load((out / "svc/config.yaml").read_text()))
    train(replace(config, run=str(tmp_path / "again")))
    weights = "model/model.safetensors"
    assert (out / "svc" / weights).read_bytes() == (tmp_path / "again" / weights).read_bytes()

    found = json.loads((out / "compare.json").read_text())
    assert [found["trained"][variant]["iterations"] for variant in ("svc", "imagegan")] == [ITERATIONS, ITERATIONS]
    assert [found["trained"][variant]["adversarial"] for variant in ("svc", "imagegan")] == [2, 2]
    assert {"real_frames", "mean_image", "svc", "imagegan"} <= set(found["rows"])
    real, drawn = (found["rows"][row]["object_accuracy"]["mean"] for row in ("real_frames", "svc"))
    assert real > 0.8 > drawn
    assert set(found["differences"]) == {"imagegan"}
    assert found["own"] == {variant: {"model.variant": variant} for variant in ("svc", "imagegan")}
    assert found["config"]["stages.adversarial.batch_size"] == 2
    assert found["notes"][0] == "made by: storygan compare --out 'a folder'"
    assert main(command(sample, out, "--variants", "svc")) == 2
    assert f"{out} has a comparison with imagegan too: name all" in capsys.readouterr().err
    assert (out / "compare.html").read_text().count("data:image/png;base64,") == 2 * 3
    assert "object_accuracy" in (out / "compare.md").read_text()
    assert (out / "compare.svg").read_text().count("<polyline") == 15 + 11  # imagegan has no D_S


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--variants", "svc", "svc"), 2, "name each variant once"),
        (("--variants", "dcgan"), 2, "unknown variant 'dcgan'"),
        (("--minutes=-1",), 2, "minutes of 0 or more"),
        (("--shown", "0"), 2, "1 story or more"),
        (("--model.T", "5"), 2, "model.T is 5"),
        (("--split", "validation"), 1, "validation"),
        (("--classifier", "nowhere"), 1, "nowhere"),
    ],
)
def test_what_cannot_end_well_is_refused_before_it_trains(
    sample: Path, tmp_path: Path, capsys: Output, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert main(command(sample, tmp_path / "out", *arguments)) == code
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_contenders_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "contenders.yaml"
    file.write_text("plain: {}\nsharp:\n  stages.adversarial.D_I.lr: 0.5\n  discriminator.spectral_norm: true\n")
    shared = TrainConfig.from_dict(yaml.safe_load(TINY.read_text()))
    adversarial = shared.stages["adversarial"]
    assert adversarial.D_I
    changed = replace(adversarial, D_I=replace(adversarial.D_I, lr=0.5))
    assert read_contenders(str(file), shared) == {
        "plain": shared,
        "sharp": replace(
            shared,
            stages={**shared.stages, "adversarial": changed},
            discriminator=DiscriminatorConfig(spectral_norm=True),
        ),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not hold contenders"),
        ("[1, 2]", "does not hold contenders"),
        ("a: {discriminator.norms: batch}", "discriminator.norms"),
        ("a: {stages.adversarial.G.loss.r2: 1}", "there is no loss.r2"),
        ("a: {stages.adversarial.G.loss.mse: many}", "G.loss.mse many: give a number"),
        ("a: {stages.nope.iterations: 1}", "stages.nope trains no network"),
        ("a: {data.path: elsewhere}\nb: {}", "not trained on the same data"),
        ("{}", "nothing to compare"),
        ("real_frames: {}", "'real_frames' is a row of the tables already"),
        ("../elsewhere: {}", "'../elsewhere' is no name of a contender"),
        ("a|b: {}", "'a|b' is no name of a contender"),
        ("a: {run: elsewhere}", "a: run is set by the comparison"),
        ("a: {stages.adversarial.iterations: 1}\nb: {}", "not the same budget"),
        ("a: {}\nb: {stages.adversarial.batch_size: 50}", "stages.adversarial.batch_size is 50, but"),
    ],
)
def test_bad_contenders_are_refused(sample: Path, tmp_path: Path, capsys: Output, text: str, message: str) -> None:
    file = tmp_path / "contenders.yaml"
    file.write_text(text)
    assert main(command(sample, tmp_path / "out", "--contenders", str(file))) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_two_at_work_in_one_folder_are_refused(sample: Path, tmp_path: Path, capsys: Output) -> None:
    with FileLock(tmp_path / ".lock"):
        assert main(command(sample, tmp_path)) == 1
    assert f"another comparison is at work in {tmp_path}" in capsys.readouterr().err


def test_differences_are_paired(sample: Path) -> None:
    """The real frames against frames with one object's frame erased in some stories: exact, by hand."""
    torch.manual_seed(0)
    dataset = open_split(sample, "test")
    real = dataset.batch(range(6))
    worse = real.copy()
    worse[:3, 3] = real[:3, 2]  # three stories lack their last object
    six = replace(dataset, frames=real, sentences=dataset.sentences[:6], labels=None, label_names=None)
    drawn = {"storygan": real, "svc": worse, "svfn": real}
    read = measure(six, sample, drawn, seed=0).classifier_metrics
    found = differences({name: read[name] for name in drawn}, seed=0)
    difference = found["svc"]["object_recall"]
    assert difference is not None
    assert difference.mean == pytest.approx(3 / 24)
    assert 0 < difference.low <= difference.mean <= difference.high < 1
    assert (found["svc"]["label_micro_f1"] or difference).mean > 0
    same = found["svfn"]["object_recall"]
    assert same is not None
    assert np.allclose([same.low, same.mean, same.high], 0)
