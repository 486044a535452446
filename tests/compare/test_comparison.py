"""`storygan compare` on two variants and the shipped sample, and its usage errors."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from jsonargparse import Namespace
from tests.tiny_run import ITERATIONS, TINY
from tests.training.tiny import paper_stage

from storygan.cli import main
from storygan.cli.commands import make_parser, named_config
from storygan.cli.train import compare, read_runs_file
from storygan.compare import round_robin
from storygan.config import DataConfig, DiscriminatorConfig, TrainConfig
from storygan.data.dataset import open_split
from storygan.data.sample import write_sample
from storygan.errors import StoryganError
from storygan.evaluation import distances, st_lpips
from storygan.evaluation.measure import measure
from storygan.evaluation.tables import differences
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
    """Two variants, nine iterations in eight rounds each; T and the precision are resolved by the first round."""
    options = ["--data.path", str(sample), "--out", str(out), "--model.T", "0", "--precision", "auto"]
    options += ["--sample_every", "99"]
    return ["compare", str(TINY), *options, "--variants", "svc", "imagegan", *more]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_interrupted_comparison_resumes_bit_exactly(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    calls: list[int] = []

    def killed_in_the_third_round(config: TrainConfig, resume: bool, until: int) -> Path | None:
        folder = train(config, resume, until=until)
        if calls.append(until) or len(calls) == 3:
            raise SignalExit(signal.SIGINT)
        return folder

    monkeypatch.setattr(distances, "feature_extractors", dict)  # KID and FID have their own tests
    monkeypatch.setattr(round_robin, "train", killed_in_the_third_round)
    out = tmp_path / "out"
    assert main(command(sample, out)) == 130
    assert not (out / "compare.json").exists()
    monkeypatch.setattr("sys.argv", ["/somewhere/storygan", "compare", "--out", "a folder"])
    assert main(command(sample, out, "--stories", "2")) == 0
    assert calls == [2, 2, 3, *(k for k in (3, 4, 5, 6, 7, 8, 9) for _ in range(2))]
    assert "compare.html" in capsys.readouterr().out

    config = TrainConfig.from_dict(yaml.safe_load((out / "svc/config.yaml").read_text()))
    train(replace(config, run=str(tmp_path / "again")))
    weights = "model/model.safetensors"
    assert (out / "svc" / weights).read_bytes() == (tmp_path / "again" / weights).read_bytes()

    found = json.loads((out / "compare.json").read_text())
    assert [found["trained"][variant]["iterations"] for variant in ("svc", "imagegan")] == [ITERATIONS, ITERATIONS]
    assert [found["trained"][variant]["adversarial"] for variant in ("svc", "imagegan")] == [2, 2]
    assert {"real_frames", "mean_image", "svc", "imagegan"} <= set(found["metrics"])
    real, generated = (found["metrics"][row]["object_accuracy"]["mean"] for row in ("real_frames", "svc"))
    assert real > 0.8 > generated
    assert set(found["differences"]) == {"imagegan"}
    assert found["differing_fields"] == {variant: {"model.variant": variant} for variant in ("svc", "imagegan")}
    assert found["config"]["stages.adversarial.batch_size"] == 2
    assert found["notes"][0] == "made by: storygan compare --out 'a folder'"
    assert main(command(sample, out, "--variants", "svc")) == 2
    assert f"{out} holds a comparison with imagegan too: name all" in capsys.readouterr().err
    assert (out / "compare.html").read_text().count("data:image/webp;base64,") == 2 * 3 * 4
    assert "object_accuracy" in (out / "compare.md").read_text()
    assert (out / "compare.svg").read_text().count("<polyline") == 15 + 11  # imagegan has no D_S


@pytest.mark.slow
def test_runs_with_several_seeds_are_one_column(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "feature_extractors", dict)
    assert main(command(sample, tmp_path, "--stories", "2", "--variants", "svc", "--seeds", "3", "4")) == 0
    found = json.loads((tmp_path / "compare.json").read_text())
    runs = {"svc-seed3", "svc-seed4"}
    assert set(found["trained"]) == set(found["runs"]) == runs
    assert found["differing_fields"] == {"svc-seed3": {"seed": 3}, "svc-seed4": {"seed": 4}}
    a, b = ({metric: value["mean"] for metric, value in found["runs"][run].items()} for run in sorted(runs))
    assert a["diversity_rms_01"] != b["diversity_rms_01"]
    assert set(found["metrics"]["svc"]) == set(a) & set(b)  # a classifier may predict no label in frames of one run
    for metric, value in found["metrics"]["svc"].items():
        assert value["mean"] == pytest.approx((a[metric] + b[metric]) / 2), metric
        assert value["low"] <= min(a[metric], b[metric]) <= max(a[metric], b[metric]) <= value["high"], metric
    assert not runs & set(found["metrics"])


@pytest.fixture(scope="module")
def parsed(sample: Path) -> Namespace:
    """The parsed options of `command`, as parsing takes half a second."""
    arguments = command(sample, Path("out"), "--runs-file", "runs.yaml")
    options: Namespace = make_parser("compare").parse_args(named_config(arguments))["compare"]
    assert options["runs_file"] == "runs.yaml"
    return options


def refusal(parsed: Namespace, out: Path, **options: object) -> StoryganError:
    """Return the one-line error of a comparison with other options, which writes nothing."""
    args = parsed.clone()
    for name, value in {"out": str(out), "runs_file": None, **options}.items():
        args[name] = value
    with pytest.raises(StoryganError) as error:
        compare(args)
    assert "\n" not in str(error.value)
    assert not out.exists()
    return error.value


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"seeds": [1, 1]}, 2, "--seeds 1 1: name each seed once"),
        ({"seeds": [-1]}, 2, "seed -1: use 0 to"),
        ({"variants": ["svc", "svc"]}, 2, "name each variant once"),
        ({"variants": ["dcgan"]}, 2, "unknown variant 'dcgan'"),
        ({"minutes": -1.0}, 2, "--minutes -1: give 0 or more"),
        ({"stories": 0}, 2, "--stories is 0: it must be at least 1"),
        ({"model.T": 5}, 2, "model.T is 5"),
        ({"validation.every": 1, "validation.patience": 1}, 2, "validation.patience ends a run early"),
        ({"split": "validation"}, 1, "validation"),
        ({"classifier": ["nowhere"]}, 1, "nowhere"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_bad_options_are_refused_before_training(
    parsed: Namespace, tmp_path: Path, options: dict[str, object], code: int, message: str
) -> None:
    error = refusal(parsed, tmp_path / "out", **options)
    assert error.exit_code == code
    assert message in str(error)


def test_runs_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "runs.yaml"
    file.write_text("plain: {}\nsharp:\n  stages.adversarial.D_I.lr: 0.5\n  discriminator.spectral_norm: true\n")
    shared = TrainConfig.from_dict(yaml.safe_load(TINY.read_text()))
    adversarial = shared.stages["adversarial"]
    assert adversarial.D_I
    changed = replace(adversarial, D_I=replace(adversarial.D_I, lr=0.5))
    assert read_runs_file(str(file), shared) == {
        "plain": shared,
        "sharp": replace(
            shared,
            stages={**shared.stages, "adversarial": changed},
            discriminator=DiscriminatorConfig(spectral_norm=True),
        ),
    }


BAD_FILES = [
    ("", "does not hold runs"),
    ("[1, 2]", "does not hold runs"),
    ("a: {discriminator.norms: batch}", "discriminator.norms"),
    ("a: {stages.adversarial.G.loss.r2: 1}", "there is no loss.r2"),
    ("a: {stages.adversarial.G.loss.mse: many}", "G.loss.mse many: give a number"),
    ("a: {stages.nope.iterations: 1}", "stages.nope trains no network"),
    ("a: {run: elsewhere}", "a: run is set by the comparison"),
]


@pytest.mark.parametrize(
    ("text", "message"), [*BAD_FILES[:3], *(pytest.param(*case, marks=pytest.mark.slow) for case in BAD_FILES[3:])]
)
def test_a_bad_file_of_runs_is_refused(parsed: Namespace, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "runs.yaml"
    file.write_text(text)
    error = refusal(parsed, tmp_path / "out", runs_file=str(file))
    assert error.exit_code == 2
    assert message in str(error)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"a": {"data": DataConfig("elsewhere")}, "b": {}}, "not trained on the same data"),
        ({}, "nothing to compare"),
        ({"real_frames": {}}, "'real_frames' is a row of the tables already"),
        ({"../elsewhere": {}}, "'../elsewhere' is no name"),
        ({"a|b": {}}, "'a|b' is no name"),
        ({"a": {"stages": {"a": paper_stage(iterations=1)}}, "b": {}}, "different budgets"),
        ({"a": {"stages": {"a": paper_stage(batch_size=50)}}}, "stages.a.batch_size is 50, but"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_bad_runs_are_refused(
    parsed: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: dict[str, dict[str, Any]], message: str
) -> None:
    made = lambda _, config: {name: replace(config, **fields) for name, fields in runs.items()}  # noqa: E731
    monkeypatch.setattr("storygan.cli.train.read_runs_file", made)  # which takes a second
    error = refusal(parsed, tmp_path / "out", runs_file="runs.yaml")
    assert error.exit_code == 2
    assert message in str(error)


def test_a_folder_in_use_is_refused(sample: Path, tmp_path: Path, capsys: Output) -> None:
    with FileLock(tmp_path / ".lock"):
        assert main(command(sample, tmp_path)) == 1
    assert f"{tmp_path} is in use by another process" in capsys.readouterr().err


def test_differences_are_paired(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real frames against frames that lack one object in some stories: exact, by hand."""
    monkeypatch.setattr(distances, "feature_extractors", dict)
    monkeypatch.setattr(st_lpips, "find_weights", lambda: None)
    torch.manual_seed(0)
    dataset = open_split(sample, "test")
    real = dataset.batch(range(6))
    worse = real.copy()
    worse[:3, 3] = real[:3, 2]  # three stories lack their last object
    six = replace(dataset, frames=real, sentences=dataset.sentences[:6], labels=None, label_names=None)
    frames = {"storygan": real, "svc": worse, "svfn": real}
    per_story = measure(six, sample, frames, seed=0).classifier_metrics
    found = differences({name: per_story[name] for name in frames}, seed=0)
    difference = found["svc"]["object_recall"]
    assert difference is not None
    assert difference.mean == pytest.approx(3 / 24)
    assert 0 < difference.low <= difference.mean <= difference.high < 1
    assert (found["svc"]["label_micro_f1"] or difference).mean > 0
    same = found["svfn"]["object_recall"]
    assert same is not None
    assert np.allclose([same.low, same.mean, same.high], 0)
