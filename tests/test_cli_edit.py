"""`storygan edit`: files, output and errors."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.editing.conftest import MODELS, STORY, random_model
from tests.test_cli import fails

from storygan import editing
from storygan.cli import main
from storygan.viz import save_sheet

Errors = pytest.CaptureFixture[str]
NEW = "large purple metal cube at (-0.4, 0.9)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained model's folder."""
    folder = tmp_path_factory.mktemp("model")
    model = random_model("storygan")
    model.aspect_ratio = 4 / 3
    model.save_pretrained(folder)
    return str(folder)


def frames_in(folder: Path, story: int) -> np.ndarray:
    """Return the frames of one row of a folder."""
    return np.stack([np.asarray(Image.open(folder / f"story-{story}-frame-{t}.png")) for t in range(1, 5)])


def test_sentence(folder: str, tmp_path: Path, capsys: Errors) -> None:
    call = ["edit", "sentence", *STORY, "--model", folder, "--seed", "7", "--at", "3", "--to", NEW]
    assert main([*call, "--out", str(tmp_path / "edited.png")]) == 0
    printed = capsys.readouterr().out
    assert "inside" in printed
    assert "frame 4" in printed
    before = MODELS["storygan"].generate(STORY, seed=7)
    after = editing.change_sentence(MODELS["storygan"], before, 3, NEW)
    save_sheet(editing.before_after_rows(before, after), tmp_path / "python.png", aspect_ratio=4 / 3)
    assert (tmp_path / "edited.png").read_bytes() == (tmp_path / "python.png").read_bytes()

    assert main([*call, "--keep-context", "--json", "--out", str(tmp_path / "frames")]) == 0
    change = json.loads(capsys.readouterr().out)
    assert change["overall"][:2] == [0, 0]
    assert min(change["inside"][2:]) > 0
    old, new = (frames_in(tmp_path / "frames", story) for story in (1, 2))
    assert np.array_equal(old, before.frames[0])
    assert np.array_equal(old[:2], new[:2])
    assert not np.array_equal(old[2], new[2])


def test_resample_from_standard_input(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Errors
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(STORY)))
    out = tmp_path / "frames"
    call = ["edit", "resample", "--model", folder, "--keep", "1", "3", "--new-seed", "5", "--samples", "2"]
    assert main([*call, "--out", str(out), "--json"]) == 0
    assert [change > 0 for change in json.loads(capsys.readouterr().out)["overall"]] == [False, True, False, True]
    for before, after in ((1, 2), (4, 5)):
        same = [np.array_equal(*frames) for frames in zip(frames_in(out, before), frames_in(out, after), strict=True)]
        assert same == [True, False, True, False]


def test_extend(folder: str, tmp_path: Path, capsys: Errors) -> None:
    (tmp_path / "story.txt").write_text("\n".join(STORY))
    out = tmp_path / "longer.gif"
    call = ["edit", "extend", "--file", str(tmp_path / "story.txt"), "--model", folder, "--add", NEW, STORY[0]]
    assert main([*call, "--out", str(out)]) == 0
    assert "6 frames; the model was trained on stories of 4" in capsys.readouterr().out
    with Image.open(out) as gif:
        assert gif.n_frames == 6


def test_interpolate(folder: str, tmp_path: Path) -> None:
    call = ["edit", "interpolate", *STORY, "--model", folder, "--new-seed", "5", "--steps", "3"]
    for name in ("path.gif", "path.png"):
        assert main([*call, "--out", str(tmp_path / name)]) == 0
    with Image.open(tmp_path / "path.gif") as gif:
        assert gif.n_frames == 3
    with Image.open(tmp_path / "path.png") as picture:
        assert picture.height > 3 * 192


def test_attribution(folder: str, tmp_path: Path, capsys: Errors) -> None:
    out = tmp_path / "attribution.png"
    assert main(["edit", "attribution", *STORY, "--model", folder, "--json", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentence 3: s_3 = 0"][:2] == [0, 0]
    with Image.open(out) as picture:
        assert picture.height > 14 * 192


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "edit"),
        (("sentence", *STORY, "--to", NEW), "at"),
        (("sentence", *STORY, "--at", "5", "--to", NEW), "no sentence 5"),
        (("sentence", *STORY, "--at", "2", "--to", "a cow"), "cow"),
        (("resample", *STORY, "--keep", "1", "2", "3", "4", "--new-seed", "1"), "all 4 frames"),
        (("resample", *STORY, "--keep", "one", "--new-seed", "1"), "one"),
        (("resample", *STORY, "--new-seed", "1", "--samples", "0"), "at least 1"),
        (("extend", *STORY, "--add", "a cow"), "cow"),
        (("interpolate", *STORY, "--new-seed", "1", "--steps", "1"), "at least 2"),
        (("attribution", *STORY, "--scale", "0"), "at least 1"),
        (("attribution", *STORY, "--out", "picture.bmp"), "picture.bmp"),
    ],
)
def test_bad_usage_is_one_line_and_writes_nothing(
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Errors,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    model = ("--model", folder) if arguments else ()
    assert message in fails(capsys, 2, "edit", *arguments, *model)
    assert not list(tmp_path.iterdir())
