"""The command line: output, files, exit codes. `main` is called in this process, for speed."""

import ast
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tiny_run import TINY

from storygan.cli import commands, main
from storygan.config import ModelConfig
from storygan.data.dataset import open_split
from storygan.errors import StoryganError
from storygan.files import user_cache
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder

STORY = [
    "large red rubber cube at (-1.8, 1.5)",
    "small blue metal cylinder at (1.2, 1.9)",
    "large green metal sphere at (0.4, -1.1)",
    "small yellow rubber sphere at (2.3, -0.6)",
]
BASE = {"storygan", "huggingface_hub", "jsonargparse", "numpy", "PIL", "yaml", "safetensors", "torch", "tqdm"}
STANDALONE = ("blender_worker", "denoiser")
"""Run by another Python."""
Errors = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of an untrained model."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    model = StoryGAN(ModelConfig(noise_dim=10), ClevrEncoder())
    model.aspect_ratio = 4 / 3
    model.save_pretrained(folder)
    return str(folder)


def fails(capsys: Errors, code: int, *arguments: str) -> str:
    """Run, expect the exit code, and return the error, which must be one line."""
    try:
        returned: object = main(arguments)
    except SystemExit as stop:  # the parser's own errors
        returned = stop.code
    error = capsys.readouterr().err
    assert returned == code, error
    assert len(error.strip().splitlines()) == 1, error
    assert error.startswith("storygan: ")
    return error


def test_generate_with_the_same_seed_writes_the_same_picture(model: str, tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("1.png", "2.png", "3.png"))
    assert main(["generate", *STORY, "--model", model, "--samples", "4", "--seed", "7", "--out", str(one)]) == 0
    assert main(["generate", *STORY, "--model", model, "--samples", "4", "--seed", "7", "--out", str(two)]) == 0
    assert main(["generate", *STORY, "--model", model, "--samples", "4", "--seed", "8", "--out", str(other)]) == 0
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    with Image.open(one) as picture:
        assert picture.width == 4 * (256 + 6) + 6  # three times enlarged, at the 4:3 of CLEVR-SV


def test_raw_pictures_have_the_pixels_of_the_frames(model: str, tmp_path: Path) -> None:
    call = ["generate", *STORY, "--model", model, "--raw", "--out"]
    assert main([*call, str(tmp_path / "raw.png")]) == 0
    assert main([*call, str(tmp_path / "frames")]) == 0
    strip = np.asarray(Image.open(tmp_path / "raw.png"))
    assert strip.shape == (64 + 4, 4 * 66 + 2, 3)
    for t in range(4):
        frame = np.asarray(Image.open(tmp_path / "frames" / f"story-1-frame-{t + 1}.png"))
        assert np.array_equal(strip[2:66, 2 + 66 * t :][:, :64], frame)


def test_no_captions_and_scale(model: str, tmp_path: Path) -> None:
    sizes = {}
    for name, options in (("with", []), ("without", ["--no-captions"]), ("small", ["--no-captions", "--scale", "1"])):
        assert main(["generate", *STORY, "--model", model, *options, "--out", str(tmp_path / f"{name}.png")]) == 0
        with Image.open(tmp_path / f"{name}.png") as picture:
            sizes[name] = picture.size
    assert sizes["without"] == (4 * 262 + 6, 192 + 12)
    assert sizes["with"][0] == sizes["without"][0]
    assert sizes["with"][1] > sizes["without"][1]
    assert sizes["small"] == (4 * (85 + 2) + 2, 64 + 4)


def test_generate_from_a_file_and_from_stdin(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(STORY) + "\n\n"
    (tmp_path / "story.txt").write_text(text)
    outs = [tmp_path / name for name in ("a.png", "b.png", "c.png", "d.png")]
    assert main(["generate", *STORY, "--model", model, "--out", str(outs[0])]) == 0
    assert main(["generate", "--file", str(tmp_path / "story.txt"), "--model", model, "--out", str(outs[1])]) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["generate", "--model", model, "--out", str(outs[2])]) == 0
    read, write = os.pipe()  # as `--file <(...)` gives
    os.write(write, text.encode())
    os.close(write)
    assert main(["generate", "--file", f"/dev/fd/{read}", "--model", model, "--out", str(outs[3])]) == 0
    os.close(read)
    pictures = [np.asarray(Image.open(out)) for out in outs]
    assert all(np.array_equal(pictures[0], picture) for picture in pictures)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*STORY * 2, STORY[0]], "stories of 1 to 8 sentences; this one has 9"),
        (["large red cube", "behind the ball a cube"], "there is no sphere before 'behind the ball a cube'"),
        ([*STORY[:3], "small pink metal cube at (0, 0)"], "pink"),
        ([*STORY[:3], "small red metal cube at (0, 3.01)"], "3.01"),
        ([*STORY, "--file", "story.txt"], "not both"),
        (["--file", "no-such.txt"], "no-such.txt"),
        ([*STORY, "--samples", "0"], "at least 1"),
        ([*STORY, "--samples", "many"], "--samples many: give a whole number (see storygan generate --help)"),
        ([*STORY, "--scale", "65"], "--scale is 65: it must be at most 64"),
        ([*STORY, "--out", "story.bmp"], "story.bmp"),
        ([*STORY, "--colour", "red"], "--colour"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(model: str, capsys: Errors, arguments: list[str], message: str) -> None:
    assert message in fails(capsys, 2, "generate", "--model", model, *arguments)


def test_generate_says_what_it_understood(model: str, tmp_path: Path, capsys: Errors) -> None:
    story = [STORY[0], "a small shiny blue can behind it"]
    assert main(["generate", *story, "--model", model, "--out", str(tmp_path / "free.png")]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"1 x 2 frames in {tmp_path / 'free.png'}\n"
    assert re.fullmatch(r"storygan: sentence 2: small blue metal cylinder at \(.*\)\n", captured.err)


def test_parse_prints_canonical_sentences(capsys: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["parse", STORY[0], "two steps in front of it a small matte box"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == STORY[0]
    assert second.startswith("small gray rubber cube at (")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{STORY[0]}\nanother one\n"))
    assert main(["parse"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert fails(capsys, 2, "parse", STORY[0], "a pink ball") == (
        "storygan: unknown word 'pink' in 'a pink ball': nearest are red, purple\n"
    )


def test_unknown_words_are_named_before_generating(
    model: str, tmp_path: Path, capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClevrEncoder, "vocabulary", ("large", "red", "rubber", "cube"))
    call = ["generate", STORY[0], STORY[1], "--model", model, "--out"]
    assert main([*call, str(tmp_path / "warned.png")]) == 0
    line = f"storygan: 'small', 'blue', 'metal', 'cylinder': not in the training sentences of {model}; known: large, "
    assert capsys.readouterr().err.startswith(line)
    assert fails(capsys, 2, *call, str(tmp_path / "refused.png"), "--strict").startswith(line)
    assert [path.name for path in tmp_path.iterdir()] == ["warned.png"]


HUGE = str(2**63)
TINY_TRAIN = ["train", str(TINY), "--data.path", "x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", *STORY, "--seed", HUGE], "seed 9223372036854775808: use 0 to 9223372036854775807"),
        (["generate", *STORY, "--seed=-1"], "seed -1"),
        (["generate", *STORY, "--samples", "10001"], "samples is 10001: it must be at most 10,000"),
        (["edit", "resample", *STORY, "--new-seed", HUGE], "seed 9"),
        (["edit", "attribution", *STORY, "--samples", "2"], "--samples"),
        (["edit", "sentence", *STORY, "--at", "1", "--to", STORY[1], "--samples", "10001"], "samples is 10001"),
        (["edit", "interpolate", *STORY, "--new-seed", "1", "--steps", "10001"], "steps is 10001"),
        (["edit", "extend", *STORY, "--seed", HUGE, "--add", STORY[0]], "seed 9"),
        (["train", "--data.path", "x", "--seed", HUGE], "seed 9"),
        (["compare", "--data.path", "x", "--out", "y", "--seed", HUGE], "seed 9"),
        (["evaluate", "--data", "x", "--seed", HUGE], "seed 9"),
        (["train-classifier", "--data", "x", "--out", "y", "--seed", HUGE], "seed 9"),
        (["data", "render-toon", "x", "--train", "1", "--seed", HUGE], "seed 9"),
        (["data", "render-clevr", "x", "--train", "1", "--seed", HUGE], "seed 9"),
        (["data", "render-clevr", "x", "--train", "1", "--workers=-1"], "--workers is -1: give 1 to 1,024"),
        (["data", "import", "clevr-sv", "y", "x", "--train-below=-3"], "train_below is -3: it must be at least 0"),
        (["train-classifier", "--data", "x", "--out", "y", "--epochs", "0"], "epochs is 0: it must be at least 1"),
        ([*TINY_TRAIN, "--stages.adversarial.G.lr=-1"], "stages.adversarial.G.lr is -1.0: it must be 0 or more"),
        ([*TINY_TRAIN, "--checkpoint_every", "0"], "checkpoint_every is 0: it must be at least 1"),
    ],
)
def test_a_number_out_of_range_is_refused_before_anything_is_written(
    capsys: Errors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, 2, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_compare_refuses_fields_that_it_sets(capsys: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["compare", "--data.path", "x", "--out", "y", "--run=z", "--model.variant", "svc"]
    monkeypatch.setattr("sys.argv", ["storygan", *arguments])
    assert "the comparison sets --model.variant, --run: use --out" in fails(capsys, 2, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", *STORY, "--out", ""],
        ["generate", "--file", ""],
        ["edit", "resample", *STORY, "--new-seed", "1", "--out", " "],
        ["data", "check", ""],
        ["data", "merge", "x", ""],
        ["data", "import", "stories", "", "x"],
        ["evaluate", "--data", ""],
        ["export", "clevr-sv", "--onnx", "--out", ""],
        ["train", "--data.path", "x", "--run", ""],
        ["train", "--resume", ""],
        ["compare", "--data.path", "x", "--out", ""],
        ["demo", "--model", ""],
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    capsys: Errors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is empty: name a" in fails(capsys, 2, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edit", "sentence", *STORY, "--at", "3"], "give --to (see storygan edit sentence --help)"),
        (["edit", "resample", *STORY], "give --new-seed (see storygan edit resample --help)"),
        (["evaluate"], "give --data (see storygan evaluate --help)"),
        (["data", "import", "stories", "x"], "give OUT (see storygan data import stories --help)"),
        (["data", "import"], "clevr-sv, pororo-sv, flintstones-sv, stories (see storygan data import --help)"),
    ],
)
def test_a_missing_argument_is_named_as_on_the_command_line(capsys: Errors, arguments: list[str], message: str) -> None:
    assert message in fails(capsys, 2, *arguments)


def test_every_package_of_an_extra_is_in_extras() -> None:
    """EXTRAS has every import that the base install lacks, for the hint if it is missing."""
    source = Path(commands.__file__).parents[1]
    trees = [ast.parse(path.read_text()) for path in source.rglob("*.py") if path.stem not in STANDALONE]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    optional = {"torch_fidelity"}  # of no extra: used if it is installed
    others = {name.split(".")[0] for name in names} - sys.stdlib_module_names - BASE - optional
    assert others <= set(commands.EXTRAS), others - set(commands.EXTRAS)


def test_a_missing_module_of_an_extra_is_one_line(capsys: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise ModuleNotFoundError("No module named 'sentence_transformers'", name="sentence_transformers.models")

    options, _, description = commands.COMMANDS["data"]
    monkeypatch.setitem(commands.COMMANDS, "data", (options, missing, description))
    assert "pip install 'storygan[sentence]'" in fails(capsys, 1, "data", "check", "x")


def test_a_missing_model_is_exit_2(capsys: Errors) -> None:
    assert "no model 'nothing'" in fails(capsys, 2, "generate", *STORY, "--model", "nothing")


@pytest.fixture
def two_stages(tiny_dataset: Path, tmp_path: Path) -> list[str]:
    """Return the arguments of a training of two stages of one iteration."""
    stage = "{iterations: 1, batch_size: 2, G: {loss: {mse: 1}}}"
    (tmp_path / "c.yaml").write_text(f"threads: 1\nstages: {{one: {stage}, two: {stage}}}\n")
    return ["train", str(tmp_path / "c.yaml"), "--data.path", str(tiny_dataset), "--run"]


def logged(run: Path) -> list[tuple[int, int]]:
    """Return iteration and stage of each line of the metrics."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line["stage"]) for line in lines]


def test_train_and_resume(two_stages: list[str], tmp_path: Path, capsys: Errors) -> None:
    run, train = str(tmp_path / "run"), [*two_stages, str(tmp_path / "run")]
    assert main(train) == 0
    assert f"storygan generate --model {run}/model" in capsys.readouterr().out
    assert "holds a run already: go on with --resume" in fails(capsys, 2, *train)
    assert main(["train", "--resume", run, "--stages.two.iterations", "2"]) == 0
    assert logged(tmp_path / "run") == [(1, 1), (2, 2), (3, 2)]
    config = (tmp_path / "run" / "config.yaml").read_text()
    capsys.readouterr()
    said = fails(capsys, 2, "train", "--resume", run, "--stages.two.iterations", "1")
    assert "has done 2 iterations of the stage 'two': give it as many or more" in said
    assert (tmp_path / "run" / "config.yaml").read_text() == config
    assert main(["generate", *STORY, "--model", f"{run}/model", "--out", str(tmp_path / "s.png")]) == 0


def test_train_from_a_stage(two_stages: list[str], tmp_path: Path, capsys: Errors) -> None:
    """The weights equal those of the run from the start."""
    one, two, other = (tmp_path / name for name in ("run", "again", "other"))
    assert main([*two_stages, str(one)]) == 0
    assert main([*two_stages, str(two), "--from-stage", "two", f"{one}/stages/1-one"]) == 0
    assert logged(two) == [(2, 2)]
    weights = "model/model.safetensors"
    assert (two / weights).read_bytes() == (one / weights).read_bytes()
    capsys.readouterr()
    for name in ("none", "one"):
        said = fails(capsys, 2, *two_stages, str(other), "--from-stage", name, f"{one}/stages/1-one")
        assert f"--from-stage {name}: name a stage after the first: two" in said
    fails(capsys, 2, *two_stages, str(other), "--from-stage", "two", "nowhere")
    resumed = ["train", "--resume", str(one), "--from-stage", "two", f"{one}/stages/1-one"]
    assert "give one of them" in fails(capsys, 2, *resumed)
    assert not (other / "config.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "--data.path"),
        (("--data.path", "nowhere"), 1, "nowhere"),
        (("--config", "no.yaml"), 2, "--config: File does not exist: '"),
        (("no.yaml",), 2, "there is no no.yaml: name a YAML file"),
        (("--resume", "no-run"), 2, "no-run holds no run to resume: name one, --resume RUN_FOLDER"),
        (("--resume",), 2, "holds no run to resume: name one, --resume RUN_FOLDER"),
        (("--seed", "1e3"), 2, "--seed 1000.0: give a whole number (see storygan train --help)"),
        (("--discriminator.label_head", "3"), 2, "--discriminator.label_head 3: give true or false (see"),
        (("--model.variant", "dcgan"), 2, "--model.variant dcgan: give one of storygan, imagegan, svc, svfn (see"),
        (("--iterations", "3"), 2, "--iterations"),
        (("--from-stage", "adversarial"), 2, "--from-stage: expected 2 arguments"),
    ],
)
def test_bad_training_is_one_line(capsys: Errors, arguments: tuple[str, ...], code: int, message: str) -> None:
    assert message in fails(capsys, code, "train", *arguments)


def test_training_without_stages_names_a_configuration_with_stages(
    tiny_dataset: Path, tmp_path: Path, capsys: Errors
) -> None:
    train = ["train", "--data.path", str(tiny_dataset), "--run", str(tmp_path / "run")]
    assert "has no stages: give a file that has some, such as configs/quickstart.yaml" in fails(capsys, 2, *train)
    assert not (tmp_path / "run").exists()


def test_data_check(tiny_dataset: Path, capsys: Errors) -> None:
    assert main(["data", "check", str(tiny_dataset), "--json"]) == 0
    report = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert report["T"] == 4
    assert report["splits"]["train"]["stories"] == 8
    assert "nowhere" in fails(capsys, 1, "data", "check", "nowhere")


def test_data_render_refuses_a_shard_without_a_total(capsys: Errors, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert "--shard 3" in fails(capsys, 2, "data", "render-clevr", out, "--train", "2", "--shard", "3")
    assert not (tmp_path / "out").exists()


def test_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    try:
        assert main(["generate", *STORY, "--threads", "1", "--out", str(tmp_path / "one.png")]) == 0
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (1, "1")
        assert main(["generate", *STORY, "--threads", "2", "--out", str(tmp_path / "two.png")]) == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    one, two = (np.asarray(Image.open(tmp_path / f"{n}.png")).astype(int) for n in ("one", "two"))
    assert np.abs(one - two).max() <= 1, "threads change rounding only"
    assert main(["edit", "attribution", *STORY, "--threads=-1", "--out", str(tmp_path / "x.png")]) == 2
    assert "--threads is -1" in capsys.readouterr().err


def broken(args: object) -> None:
    raise TypeError("no such thing\nat all")


def test_an_unexpected_error_is_one_line_with_the_way_to_its_details(
    capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(commands.COMMANDS, "export", (commands.export_options, broken, "export"))
    error = fails(capsys, 1, "export", "x")
    assert error == (
        "storygan: unexpected error, TypeError: no such thing: storygan --debug COMMAND shows the details\n"
    )
    assert main(["--debug", "export", "x"]) == 1
    assert "in broken" in capsys.readouterr().err


@pytest.mark.parametrize(("streams", "code"), [("2>/dev/full", 0), (">/dev/full", 1), (">&- 2>&-", 0)])
def test_streams_that_cannot_be_written(model: str, tmp_path: Path, streams: str, code: int) -> None:
    out = tmp_path / "bad\udcff.png"
    command = shlex.join([sys.executable, "-m", "storygan", "generate", *STORY, "--model", model, "--out", str(out)])
    done = subprocess.run(f"{command} {streams}", shell=True, capture_output=True, text=True)
    assert (done.returncode, out.exists()) == (code, True)
    assert done.stdout + done.stderr in (
        f"1 x 4 frames in {tmp_path}/bad\\udcff.png\n",
        "storygan: [Errno 28] No space left on device\n",
        "",
    )


GOOD_TRAIN = ["train", "--data.path", "x", "--stages.a.G.loss.mse", "1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", *STORY, "--model", "nothing"], "no model 'nothing'"),
        (["generate", *STORY, "--model", "runs/secret"], "no model 'runs/secret'"),
        (["generate", *STORY, "--model", "folder/secret"], "no model 'folder/secret'"),
        (["generate", *STORY, "--out", "folder.png"], "cannot write folder.png: it is a folder"),
        (["generate", *STORY, "--out", "file"], "cannot write file: it is a file"),
        (["generate", *STORY, "--samples", "2000"], "the picture has"),
        (["generate", *STORY, "--samples", "400", "--out", "x.jpg"], "the picture has"),
        (["edit", "resample", *STORY, "--new-seed", "1", "--samples", "1000"], "the picture has"),
        (["generate", *STORY[:3], "large red rubber cube at (3.0000000001, 0)"], "x = 3.0000000001 is outside"),
        (["generate", *STORY, "--threads", "5000"], "--threads is 5000: give 1 to 1,024"),
        (["train", "--config", "pipe"], "pipe is not a regular file"),
        (["train", "integer.yaml"], "Problems parsing config"),
        (["train", "stamp.yaml"], "Problems parsing config"),
        (["train", "keys.yaml"], "the limit is 400,000"),
        (["train", "mapping.yaml"], "--stages: C 5: give names with values"),
        (["train", "empty.yaml"], "loss '': give names with values"),
        ([*GOOD_TRAIN, "--stages", "5"], "--stages 5: give names with values"),
        (["compare", *GOOD_TRAIN[1:], "--out", "y", "--minutes", ".nan"], "--minutes nan: give 0 or more"),
        (["demo", "--host", "ü" * 70], "cannot serve at"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    capsys: Errors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("storygan.models.storygan.StoryGAN.sample", None)  # nothing is generated
    for name in ("folder", "folder.png"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "integer.yaml").write_text('stages: !!int ""\n')
    (tmp_path / "stamp.yaml").write_text("stages: !!timestamp x\n")
    (tmp_path / "mapping.yaml").write_text("stages: {a: {C: 5}}\n")
    (tmp_path / "empty.yaml").write_text("stages: {a: {G: {loss: ''}}}\n")
    (tmp_path / "keys.yaml").write_text("".join(f"k{n}: 1\n" for n in range(90_000)))
    assert message in fails(capsys, 2, *arguments)


def test_a_closed_standard_input_holds_no_story(capsys: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "no story" in fails(capsys, 2, "generate")


def test_a_user_without_a_home_reads_a_data_set(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", fail)
    assert len(open_split(tiny_dataset, "train")) == 8
    with pytest.raises(StoryganError, match="set XDG_CACHE_HOME"):
        user_cache()


def test_what_the_package_logs_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: Errors) -> None:
    monkeypatch.setattr(commands, "run", lambda _: logging.getLogger("storygan.training").info("a message"))
    assert [main([]), main([])] == [0, 0]
    assert capsys.readouterr().err == "a message\n" * 2
    logging.getLogger("storygan.training").info("later")
    assert capsys.readouterr().err == ""


def test_generate_writes_every_out_and_opens_the_first(
    model: str, tmp_path: Path, capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    outs = [tmp_path / name for name in ("one.png", "two.gif")]
    call = ["generate", *STORY, "--model", model, "--show", "--open"]
    assert main([*call, "--out", str(outs[0]), "--out", str(outs[1])]) == 0
    assert [out.read_bytes()[:4] for out in outs] == [b"\x89PNG", b"GIF8"]
    assert opened == [outs[0].as_uri()]
    printed = capsys.readouterr().out
    assert printed.count("1 x 4 frames in") == 2
    assert "\x1b[38;2;" in printed or "\x1b_G" in printed
    for bad in ("three.bmp", ""):
        fails(capsys, 2, *call, "--out", str(tmp_path / "three.png"), "--out", bad)
    assert not (tmp_path / "three.png").exists()
