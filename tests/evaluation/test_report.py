"""`storygan evaluate`: the metrics table, its JSON, and errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.evaluation.test_system_frames import write_folder, write_parquet

from storygan.cli import main
from storygan.config import ModelConfig
from storygan.data.dataset import open_split
from storygan.data.schema import Story, read_stories, shard_name, write_shard
from storygan.data.toon.render import render_toon
from storygan.errors import StoryganError, UsageError
from storygan.evaluation import distances, st_lpips
from storygan.evaluation.baselines import BASELINES, METHODS
from storygan.evaluation.bootstrap import Estimate, per_story
from storygan.evaluation.measure import describe_disagreements
from storygan.evaluation.report import evaluate
from storygan.evaluation.tables import HEADLINE, LABEL_METRICS, OBJECT_METRICS, headline_table
from storygan.models.attribute_classifier import SHIPPED, AttributeClassifier
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import LABELS
from storygan.text.clevr_encoder import ClevrEncoder

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained model."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    StoryGAN(ModelConfig(noise_dim=10), ClevrEncoder()).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def no_slow_networks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of KID and FID are tested in test_distances, that of ST-LPIPS in test_st_lpips and by request."""
    monkeypatch.setattr(distances, "feature_extractors", dict)
    if "st_lpips_network" not in request.fixturenames:
        monkeypatch.setattr(st_lpips, "find_weights", lambda: None)


@pytest.fixture
def st_lpips_network() -> None:
    """Measure ST-LPIPS in this test, or skip it."""
    if st_lpips.find_weights() is None:
        pytest.skip("needs the package stlpips-pytorch")


def test_json_has_all_metrics_of_all_methods(model: Path, sample: Path, capsys: Output) -> None:
    assert main(["evaluate", "--model", str(model), "--data", str(sample), "--json", "--seed", "3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["data"], report["split"]) == (str(model), "sample", "test")
    assert (report["stories"], report["seed"]) == (16, 3)
    assert set(report["metrics"]) == set(METHODS)
    everywhere = {"object_accuracy", "story_consistency", "no_false_positives", "colour_accuracy", "label_micro_f1"}
    everywhere |= {"ssim_01_gauss11", "ssim_pm1_range1_gauss11", "psnr_01"}
    for values in report["metrics"].values():
        assert everywhere <= set(values)
        for value in values.values():
            assert value["low"] <= value["mean"] + 1e-6
            assert value["mean"] <= value["high"] + 1e-6
            assert value["stories"] == 16
    of_noise = {"diversity_rms_01", *(f"sensitivity_{name}_rms_01" for name in ("eps", "eps_0", "h_0"))}
    assert of_noise <= set(report["metrics"]["model"])
    assert not of_noise & set(report["metrics"]["real_frames"])


def test_id_prefix_selects_stories(sample: Path) -> None:
    ids = open_split(sample, "test").story_ids
    prefix = ids[0][:-1]
    report = evaluate("mean-image", sample, id_prefix=prefix)
    assert 2 <= report.stories == sum(story_id.startswith(prefix) for story_id in ids) < len(ids)
    assert f"ids that begin with {prefix}" in report.notes[0]
    assert report.to_dict()["id_prefix"] == prefix
    with pytest.raises(UsageError, match="no story's id begins with 'toon'"):
        evaluate("mean-image", sample, id_prefix="toon")


def test_a_baseline_can_be_the_model_and_baselines_rank_as_expected(sample: Path) -> None:
    metrics = evaluate("mean-image", sample).to_dict()["metrics"]
    assert metrics["model"] == metrics["mean_image"]
    for name in ("object_accuracy", "story_consistency"):
        mean = {method: values[name]["mean"] for method, values in metrics.items()}
        assert mean["real_frames"] > 0.8
        assert mean["mean_image"] < 0.1
        assert mean["another_story"] < 0.1
        assert mean["real_frames"] - metrics["real_frames"][name]["low"] < 0.2
    assert metrics["previous_real_frame"]["object_accuracy"]["mean"] < 0.1, "it lacks the new object"
    assert metrics["previous_real_frame"]["story_consistency"]["mean"] > 0.8
    assert metrics["mean_image"]["ssim_01_gauss11"]["mean"] > 0.7, "SSIM is high for trivial baselines too"


def test_the_shipped_clevr_model_is_accurate(sample: Path) -> None:
    """On the 16 test stories of the sample; docs/results/clevr-sv.md has 3,000."""
    metrics = evaluate("clevr-sv", sample).to_dict()["metrics"]
    for name in ("object_accuracy", "story_consistency"):
        real, generated, mean = (metrics[method][name]["mean"] for method in ("real_frames", "model", "mean_image"))
        assert real > generated > mean, name
    assert metrics["model"]["object_accuracy"]["mean"] > 0.8
    assert metrics["model"]["story_consistency"]["mean"] > 0.7
    assert metrics["model"]["no_false_positives"]["mean"] > 0.9


def test_the_shipped_toon_model_is_accurate(tmp_path: Path) -> None:
    """On test stories of another seed; docs/results/toon-sv.md has those of the data set."""
    render_toon(tmp_path, train=1, test=24, seed=1)
    metrics = evaluate("toon-sv", tmp_path, id_prefix="toon-test-plain").to_dict()["metrics"]["model"]
    assert metrics["label_micro_f1"]["mean"] > 0.88
    assert metrics["label_micro_f1_character"]["mean"] > 0.88
    assert metrics["label_consistency_place"]["mean"] > 0.85


@pytest.mark.usefixtures("st_lpips_network")
def test_text_has_a_column_a_method_and_a_row_a_metric(sample: Path, capsys: Output) -> None:
    assert main(["evaluate", "--model", "real frames", "--data", str(sample), "--stories", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "method",
        "object_accuracy",
        "story_consistency",
        "no_false_positives",
        "ssim",
        "psnr",
        "st_lpips",
    ]
    full = lines[lines.index("") + 1 :]
    assert all(title in full[0] for title in METHODS.values())
    assert sum(line.startswith("object_accuracy ") for line in lines) == 1
    assert any(line.startswith("4 stories of sample, split test; seed 0") for line in lines)


def test_distances_on_the_classifiers_features(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`another_story` has the distance of real frames: it shows no frame of the stories that it is compared with."""
    monkeypatch.setattr(distances, "MIN_STORIES", 5)
    report = evaluate("mean-image", sample)
    assert any(note.startswith("kid, fid: 8 stories of the second half") for note in report.notes)
    assert any("ssim is ssim_01_gauss11, frames in [0, 1], data range 1" in note for note in report.notes)
    metrics = report.to_dict()["metrics"]
    for name in ("kid_attribute_classifier", "fid_attribute_classifier"):
        assert metrics["real_frames"][name]["mean"] < metrics["mean_image"][name]["mean"]
        assert metrics["another_story"][name]["mean"] == pytest.approx(metrics["real_frames"][name]["mean"])


def test_systems_are_columns_with_paired_differences(model: Path, sample: Path, tmp_path: Path, capsys: Output) -> None:
    """Planted faults: `swapped` has frames 2 and 3 exchanged, `shuffled` has each frame in another story."""
    dataset = open_split(sample, "test")
    real = dataset.batch(range(16))
    write_folder(tmp_path / "copy", dataset.story_ids, real)
    write_folder(tmp_path / "swapped", dataset.story_ids, real[:, [0, 2, 1, 3]])
    write_parquet(tmp_path / "shuffled.parquet", dataset, np.roll(real, 1, 0))
    frames = [f"copy={tmp_path}/copy", f"swapped={tmp_path}/swapped", f"shuffled={tmp_path}/shuffled.parquet"]
    assert main(["evaluate", "--frames", *frames, "--data", str(sample), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    metrics, differences = report["metrics"], report["differences"]
    assert report["model"] == ""
    assert list(report["systems"]) == ["copy", "swapped", "shuffled"]
    assert list(metrics) == [*BASELINES, "copy", "swapped", "shuffled"]
    assert metrics["copy"] == metrics["real_frames"], "the PNG files hold the same pixels"
    assert list(differences) == ["swapped", "shuffled"]
    for name in differences["swapped"]:
        means = [metrics[method][name]["mean"] for method in ("copy", "swapped")]
        assert differences["swapped"][name]["mean"] == pytest.approx(means[0] - means[1])
    assert differences["swapped"]["object_accuracy"]["low"] > 0.1
    assert differences["swapped"]["no_false_positives"]["low"] > 0.1
    assert differences["shuffled"]["object_accuracy"]["low"] > 0.7
    assert differences["shuffled"]["story_consistency"]["low"] > 0.7

    few = ["--data", str(sample), "--stories", "4"]
    assert main(["evaluate", "--model", str(model), "--frames", frames[0], *few]) == 0
    text = capsys.readouterr().out
    assert any("the model" in line and "copy" in line for line in text.splitlines())
    assert "model - copy" in text
    assert ": worse" in text


def test_stories_without_labels_have_pixel_metrics_alone(tiny_dataset: Path, tmp_path: Path) -> None:
    stories = [Story(s.story_id, ["Pororo sings."] * 4, s.frames) for s in read_stories(tiny_dataset, "train")]
    write_shard(tmp_path / shard_name("test", 0, 1), stories, None)
    report = evaluate("mean-image", tmp_path)
    assert set(report.to_dict()["metrics"]["model"]) == {"ssim_01_gauss11", "ssim_pm1_range1_gauss11", "psnr_01"}
    assert any("train-classifier" in note for note in report.notes)
    assert any("storygan[lpips]" in note for note in report.notes)
    assert "mean image: of the evaluated frames, as there is no training split of this size" in report.notes
    with pytest.raises(UsageError, match="fits neither the locations nor the labels"):
        evaluate("mean-image", tmp_path, classifiers=[SHIPPED])


def test_stories_longer_than_those_of_training(sample: Path, tmp_path: Path) -> None:
    StoryGAN(ModelConfig(T=2), ClevrEncoder()).save_pretrained(tmp_path)
    report = evaluate(str(tmp_path), sample, stories=3)
    assert {"story_consistency_k3", "sensitivity_h_0_rms_01"} < set(report.metrics["model"])
    assert "the stories have 4 sentences, those of the model's training 2" in report.notes


def test_errors(sample: Path, tmp_path: Path, capsys: Output) -> None:
    with pytest.raises(UsageError, match="-1 stories"):
        evaluate("real-frames", sample, stories=-1)
    with pytest.raises(UsageError, match="2 stories"):
        evaluate("real-frames", sample, stories=1)
    with pytest.raises(StoryganError, match="no model 'nothing'"):
        evaluate("nothing", sample)
    with pytest.raises(StoryganError, match="no-classifier"):
        evaluate("real-frames", sample, classifiers=["no-classifier"])
    StoryGAN(ModelConfig(T=1), ClevrEncoder()).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="1 to 2 sentences; this one has 4"):
        evaluate(str(tmp_path), sample)
    with pytest.raises(UsageError, match="give a model or frames"):
        evaluate(None, sample)
    assert main(["evaluate", "--frames", "theirs=nowhere", "--data", str(sample), "--card"]) == 2
    assert "--model" in capsys.readouterr().err
    assert main(["evaluate", "--frames", "theirs=nowhere", "--data", str(sample)]) == 1
    assert "theirs: there is no nowhere" in capsys.readouterr().err
    assert main(["evaluate", "--data", "nowhere", "--model", "real-frames"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_headline_table_has_eight_columns_at_most() -> None:
    value = Estimate(0.5, 0.4, 0.6, 9)
    names = [*OBJECT_METRICS, *LABEL_METRICS, *HEADLINE, "fid_x", "diversity_rms_01"]
    table = headline_table("T", {"real_frames": dict.fromkeys(names, value), "a": {"psnr_01": value}}, METHODS)
    assert table.cells[0][1:] == [*OBJECT_METRICS, "r_precision", "ssim", "psnr", "st_lpips", "kid"]
    assert table.cells[1][0] == "real frames"
    assert table.cells[2] == ["a", "-", "-", "-", "-", "-", "0.500", "-", "-"]
    labels = headline_table("T", {"a": dict.fromkeys([*LABEL_METRICS, *HEADLINE], value)}, {})
    assert labels.cells[0][1:4] == [*LABEL_METRICS]


def test_a_second_classifier_is_reported_beside_the_first(sample: Path, tmp_path: Path) -> None:
    """The shipped ResNet; in place of it one that knows nothing yet."""
    torch.manual_seed(0)
    AttributeClassifier(LABELS, {"locations": True}, architecture="resnet").save(tmp_path)
    shipped, untrained = (evaluate("real-frames", sample, classifiers=each) for each in ((), (SHIPPED, tmp_path)))
    metrics = [report.metrics["model"] for report in (shipped, untrained)]
    assert metrics[0]["object_accuracy"] == metrics[1]["object_accuracy"]
    assert metrics[0]["object_accuracy_2"].mean > 0.9
    assert metrics[1]["object_accuracy_2"].mean < 0.2
    assert "classifier 2: resnet, trained on 4000 stories of clevr-sv-2, seed 2" in shipped.notes


def test_two_classifiers_that_disagree_on_a_ranking_are_named() -> None:
    first = {
        "a": {"object_accuracy": per_story(np.array([1, 1]))},
        "b": {"object_accuracy": per_story(np.array([0, 1]))},
    }
    second = {
        "a": {"object_accuracy": per_story(np.array([0, 0]))},
        "b": {"object_accuracy": per_story(np.array([0, 1]))},
    }
    (line,) = describe_disagreements(first, second, ["a", "b"], 2)
    assert line == (
        "the classifiers disagree on the ranking of a and b by object_accuracy: 1.000 and 0.500 by the first, "
        "0.000 and 0.500 by classifier 2"
    )
    assert describe_disagreements(first, first, ["a", "b"], 2) == []
