"""Every reader of files from users accepts a content, or refuses it in one printable line.

These tests take a few fixed mutations; `scripts/fuzz.py` is guided by coverage (docs/security.md).
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fuzz.contents import EXPLOIT, PLANTED, mutated
from tests.fuzz.harness import Finding, Reader, check
from tests.fuzz.readers import FLINTSTONES, READERS

from storygan.data.dataset import open_split
from storygan.data.images import IMPORT_FORMATS, frame_from_file
from storygan.data.importers.flintstones_sv import import_flintstones_sv
from storygan.errors import StoryganError
from storygan.files import atomic_write, read_file

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"
LARGE = {"model model.safetensors", "model README.md"}  # ten megabytes each time
REFUSED = [(name, what) for name, reader in READERS.items() for what in reader.refused]


@pytest.mark.parametrize("name", [name for name in READERS if name not in LARGE])
def test_a_reader_accepts_or_refuses_in_one_line(name: str, tmp_path: Path) -> None:
    reader, rng = READERS[name], random.Random(name)
    contents = list(itertools.islice(reader.prepare(tmp_path), 40))
    assert check(reader, tmp_path, contents[0]), "the valid content is refused"
    for _ in range(8):
        content = rng.choice(contents)
        check(reader, tmp_path, mutated(content, rng) if rng.random() < 0.7 else content)


@pytest.mark.parametrize(("name", "what"), REFUSED)
def test_it_is_refused(name: str, what: str, tmp_path: Path) -> None:
    reader = READERS[name]
    next(iter(reader.prepare(tmp_path)))
    assert not check(reader, tmp_path, reader.refused[what])


def test_code_that_is_run_is_detected(tmp_path: Path) -> None:
    unsafe = Reader(lambda folder: [], lambda folder, content: pickle.loads(content))
    with pytest.raises(Finding, match="it wrote"):
        check(unsafe, tmp_path, EXPLOIT)
    assert not PLANTED.exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_examples_with_limited_memory() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--replay"], capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fuzzing_keeps_contents_with_new_coverage(tmp_path: Path) -> None:
    """Of a reader of small files, so that 600 contents take a second. With other seeds too, the first 100 suffice."""
    pytest.importorskip("atheris")
    options = ["--runs", "600", "--seed", "1", "--seconds", "300", "--findings", str(tmp_path)]
    done = subprocess.run([sys.executable, str(SCRIPT), *options, "render.json"], capture_output=True, text=True)
    row = re.search(r"\| render.json \| \d+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", done.stdout)
    assert row is not None, done.stdout + done.stderr
    tried, accepted, first, last, new = map(int, row.groups())
    assert tried == 600
    assert 0 < accepted < tried
    assert 0 < first < last
    assert new > 0


def test_errors_are_printable_and_short() -> None:
    """A name in a file may hold escape sequences."""
    line = str(StoryganError("no \x1b]0;title\x07 here\nnor \u202e there \ud800"))
    assert line == "no \\x1b]0;title\\x07 here\\nnor \\u202e there \\ud800"
    assert len(str(StoryganError("\x1b" * 10**6))) <= 2000


def test_an_id_cannot_name_a_file_of_another_folder(tmp_path: Path) -> None:
    name = "../../s_01_e_02_shot_000000"
    root = tmp_path / "root"
    (root / "video_frames_sampled").mkdir(parents=True)
    ids = [name, *FLINTSTONES[1:5]]
    for clip in ids:
        np.save(root / "video_frames_sampled" / f"{clip}.npy", np.zeros((1, 8, 8, 3), np.uint8))
    annotations = [{"globalID": one, "description": "x", "characters": []} for one in ids]
    (root / "flintstones_annotations_v1-0.json").write_text(json.dumps(annotations))
    (root / "train-val-test_split.json").write_text(json.dumps({"train": ids[:1]}))
    (root / "following_cache4.pkl").write_bytes(pickle.dumps({name: FLINTSTONES[1:5]}))
    with pytest.raises(StoryganError, match="stories with a missing image"):
        import_flintstones_sv(root, tmp_path / "out")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    (tmp_path / ".file.tmp").symlink_to(target)
    atomic_write(tmp_path / "file", "new")
    assert (target.read_text(), (tmp_path / "file").read_text()) == ("old", "new")


def test_a_cache_that_is_a_link_is_not_used(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    (other / "train-precious.npy").write_text("old")
    for shard in tiny_dataset.glob("*.parquet"):
        (data / shard.name).write_bytes(shard.read_bytes())
    (data / ".cache").symlink_to(other)
    assert len(open_split(data, "train")) == 8
    assert [path.name for path in other.iterdir()] == ["train-precious.npy"]


def test_pipes_devices_and_large_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="is not a regular file"):
            read_file(path, 100)
        with pytest.raises(ValueError, match="is not a regular file"):
            frame_from_file(path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match="Too many levels of symbolic links"):
        frame_from_file(tmp_path / "loop")
    (tmp_path / "large").write_bytes(bytes(101))
    with pytest.raises(ValueError, match="the limit is 100"):
        read_file(tmp_path / "large", 100)


def test_image_formats_run_no_other_program(tmp_path: Path) -> None:
    for format in sorted(set(IMPORT_FORMATS) - {"AVIF"}):
        Image.new("RGB", (32, 32)).save(tmp_path / "x", format)
        assert frame_from_file(tmp_path / "x").startswith(b"\x89PNG")
    assert "EPS" not in IMPORT_FORMATS
