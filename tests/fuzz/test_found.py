"""What fuzzing and reading found, each with its case: refused in one line, or harmless (docs/security.md)."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save as save_tensors
from tests.fuzz.targets import (
    ANNOTATIONS,
    EXPLOIT,
    FLINTSTONES,
    HASH_BOMB,
    MEMO_BOMB,
    PLANTED,
    PORORO,
    TARGETS,
    Finding,
    Target,
    bomb,
    judge,
    lossless_webp,
    lying,
    npy_header,
    png,
    repeated,
    saved,
    sound_checkpoint,
    sound_npy,
    tables,
    webp_bomb,
    zip_bombs,
)

from storygan.data.dataset import open_split
from storygan.data.images import IMPORT_FORMATS, frame_from_file
from storygan.data.importers.flintstones_sv import import_flintstones_sv
from storygan.errors import StoryganError
from storygan.files import atomic_write, read_file
from storygan.text.clevr_encoder import ClevrEncoder

OBJECT = "{'descr': '|O', 'fortran_order': False, 'shape': ()}"
LABELS = {name: [0, 1, 0, 0, 0, 0, 0] for name in FLINTSTONES}
STORY = {"story": "x", "frame": "a.png", "sentence": "hello"}
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}, *a{k - 1}]\n" for k in range(1, 40))


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def repeated_sentence() -> bytes:
    """Two rows of a million sentences of a million letters, all the same."""
    texts = repeated(pa.array(["x" * 10**6]), 2 * 10**6)
    return parquet(next(tables()).set_column(1, "sentences", texts))


def lies(**parts: object) -> Callable[[], bytes]:
    """A checkpoint of which some parts lie, with right checksums."""
    return lambda: saved({**sound_checkpoint(), **parts})


def lying_moments(**moments: object) -> Callable[[], bytes]:
    """One whose Adam lies of its first parameter."""

    def content() -> bytes:
        sound = sound_checkpoint()
        return saved(lying(sound, {**sound["G_adam"]["state"][0], **moments}))

    return content


def without_moment() -> bytes:
    """One whose Adam has no `exp_avg`."""
    sound = sound_checkpoint()
    moments = {name: value for name, value in sound["G_adam"]["state"][0].items() if name != "exp_avg"}
    return saved(lying(sound, moments))


REFUSED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a picture of 144 million pixels in 52 kB": ("frame", bomb),
    "a picture of 268 million pixels in 30 bytes": ("frame", webp_bomb),
    "one that is imported": ("picture", webp_bomb),
    "one of 81 million pixels, of which Pillow only warns": ("picture", lambda: lossless_webp(9_000, 9_000)),
    "no pixels": ("frame", lambda: png(0, 0)),
    "a picture in PostScript, for which Pillow runs another program": (
        "picture",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    ),
    "a sentence a million times in a few bytes": ("shard", repeated_sentence),
    "a key of tuples of tuples, whose hash takes 2**60 steps": ("pickle", lambda: HASH_BOMB),
    "the same in CLEVR_dict.npy": ("clevr-sv CLEVR_dict.npy", lambda: npy_header(OBJECT) + HASH_BOMB),
    "a memo of 2,000 million places": ("clevr-sv CLEVR_dict.npy", lambda: npy_header(OBJECT) + MEMO_BOMB),
    "a header of 9,000 minus signs": (
        "clevr-sv CLEVR_dict.npy",
        lambda: npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {'-' * 9000}1}}"),
    ),
    "an array of 8 TB that is not there": (
        "clevr-sv CLEVR_dict.npy",
        lambda: npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
    ),
    "names of several types": ("clevr-sv CLEVR_dict.npy", lambda: sound_npy({"x": np.zeros(75), 5: np.zeros(75)})),
    "half a character in a description": (
        "pororo-sv descriptions.npy",
        lambda: sound_npy({**PORORO, "E/1": ["a \ud800"]}),
    ),
    "indices that are one number": ("pororo-sv train_test_ids.npy", lambda: sound_npy([np.array(7)])),
    "a slash in an episode's name": ("pororo-sv descriptions.csv", lambda: b"a/b,1,x\n"),
    "labels that are arrays": (
        "flintstones-sv labels.pkl",
        lambda: pickle.dumps({**LABELS, FLINTSTONES[0]: [np.zeros(3)] * 7}),
    ),
    "following ids of several kinds": (
        "flintstones-sv following_cache4.pkl",
        lambda: pickle.dumps({FLINTSTONES[0]: ["a", ["b"], "c"]}),
    ),
    "characters that are no list": (
        "flintstones-sv flintstones_annotations_v1-0.json",
        lambda: json.dumps([{**ANNOTATIONS[0], "characters": 5}]).encode(),
    ),
    "a split that is a number": ("flintstones-sv train-val-test_split.json", lambda: b'{"train": 5}'),
    "JSON of 100,000 brackets": ("flintstones-sv train-val-test_split.json", lambda: b"[" * 100_000),
    "a name that no file can have": (
        "own stories.jsonl",
        lambda: json.dumps({**STORY, "frame": "x" * 100_000}).encode(),
    ),
    "a story's name with half a character": (
        "own stories.jsonl",
        lambda: json.dumps({**STORY, "story": "a\ud800"}).encode(),
    ),
    "a plan of words": ("render.json", lambda: b'{"train": "x", "validation": 0, "test": 0}'),
    "a model of a million million sentences": (
        "model config.json",
        lambda: b'{"variant": "imagegan", "T": 1000000000000, "noise_dim": 2}',
    ),
    "a model of 9,999 sentences": ("model config.json", lambda: b'{"variant": "imagegan", "T": 9999, "noise_dim": 2}'),
    "true as a number of sentences": (
        "model config.json",
        lambda: b'{"variant": "imagegan", "T": true, "noise_dim": 2}',
    ),
    "a model card that is no text": ("model README.md", lambda: b"\xff"),
    "an infinite seed of the sentence encoder": (
        "model sentence_encoder.json",
        lambda: b'{"kind": "clevr", "seed": Infinity}',
    ),
    "a sentence encoder whose vectors would be infinite": (
        "model sentence_encoder.safetensors",
        lambda: save_tensors({**ClevrEncoder().tensors(), "mean": np.full(17, 1e38, np.float32)}),
    ),
    "a classifier that learned for 'x' epochs": (
        "classifier classifier.json",
        lambda: b'{"labels": ["p", "q"], "about": {"epochs": "x"}}',
    ),
    "YAML whose parts stand for 3**39 others": ("config.yaml", lambda: f"{LAUGHS}run: *a39\n".encode()),
    "a lone contender whose name is a number": ("contenders.yaml", lambda: b"2:\n"),
    "a lone contender without a name": ("contenders.yaml", lambda: b"\n?"),
    "a lone field whose name is a number": ("config.yaml", lambda: b"2:\n"),
    "contenders likewise": ("contenders.yaml", lambda: f"{LAUGHS}x: {{run: *a39}}\n".encode()),
    "a NUL where a file's name may stand": ("config.yaml", lambda: b'data: "\\0"\n'),
    "a number of 5,000 digits": ("config.yaml", lambda: b"data: " + b"1" * 5000 + b"\n"),
    "a configuration without data": ("config.yaml", lambda: b"run: r\ndata: null\n"),
    "a loss that is a list": ("config.yaml", lambda: b"run: r\nstages: {a: {G: {loss: [x]}}}\n"),
    "a configuration that is no text": ("config.yaml", lambda: b"\xff\xfe\x00"),
    "a checkpoint that unpacks to a thousand times its size": ("checkpoint", lambda: next(iter(zip_bombs()))),
    "a pickle that runs a command": ("pickle", lambda: EXPLOIT),
    "the same in labels": ("flintstones-sv labels.pkl", lambda: EXPLOIT),
    "the same in a .npy file": ("clevr-sv CLEVR_dict.npy", lambda: npy_header(OBJECT) + EXPLOIT),
    "the same in a checkpoint, and a name that leads out of its folder": ("checkpoint", lambda: list(zip_bombs())[-1]),
    "a configuration that runs a command": (
        "config.yaml",
        lambda: f"run: !!python/object/apply:os.system ['touch {PLANTED}']\n".encode(),
    ),
    "the same in a contender's folder": (
        "contender's config.yaml",
        lambda: f"run: !!python/object/apply:os.system ['touch {PLANTED}']\n".encode(),
    ),
    "a checkpoint whose network is a number": ("checkpoint with right checksums", lies(G=5)),
    "whose Adam is a number": ("checkpoint with right checksums", lies(G_adam=5)),
    "whose Adam is a tensor": ("checkpoint with right checksums", lies(G_adam=torch.zeros(2))),
    "whose Adam has no parameters": ("checkpoint with right checksums", lies(G_adam={"state": {}, "param_groups": 5})),
    "of a stage that is a number": ("checkpoint with right checksums", lies(stage=5)),
    "of another stage": ("checkpoint with right checksums", lies(stage="other")),
    "of another iteration of its stage": ("checkpoint with right checksums", lies(k=2)),
    "of stories that are a number": ("checkpoint with right checksums", lies(data=5)),
    "that took no number of seconds": ("checkpoint with right checksums", lies(seconds="x")),
    "whose best metric is a tensor": ("checkpoint with right checksums", lies(best=torch.zeros(2))),
    "of iteration 10**30": ("checkpoint with right checksums", lies(step=10**30)),
    "without a moment": ("checkpoint with right checksums", without_moment),
    "with moments of another shape, behind which fused Adam writes": (
        "checkpoint with right checksums",
        lying_moments(exp_avg=torch.zeros(1)),
    ),
    "with moments of another type": (
        "checkpoint with right checksums",
        lying_moments(exp_avg=torch.zeros(3, 2, 2, 2, dtype=torch.float64)),
    ),
    "with moments that are not finite": (
        "checkpoint with right checksums",
        lying_moments(exp_avg_sq=torch.full((3, 2, 2, 2), np.inf)),
    ),
    "a log whose line is a number": ("metrics.jsonl", lambda: b"5\n"),
    "a log of nothing": ("metrics.jsonl", lambda: b"{}\n"),
    "a log that is no text": ("metrics.jsonl", lambda: b"\xff\n"),
    "a log of 100,000 brackets": ("metrics.jsonl", lambda: b"[" * 100_000 + b"\n"),
    "a contender's configuration that is a number": ("contender's config.yaml", lambda: b"5"),
    "one that is cut off": ("contender's config.yaml", lambda: b"["),
    "one that is no text": ("contender's config.yaml", lambda: b"\xff"),
    "turns that are a number": ("contender's turns.json", lambda: b"5"),
    "turns that are words": ("contender's turns.json", lambda: b'[["x", "y"]]'),
    "turns that took no time": ("contender's turns.json", lambda: b"[[20, 0]]"),
    "turns of 100,000 brackets": ("contender's turns.json", lambda: b"[" * 100_000),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    name, content = REFUSED[what]
    target = TARGETS[name]
    next(iter(target.prepare(tmp_path)))
    assert not judge(target, tmp_path, content())


def test_a_command_that_is_run_is_noticed(tmp_path: Path) -> None:
    """What all targets assert of each content; here a reader falls for it."""
    with pytest.raises(Finding, match="it wrote"):
        judge(Target(lambda folder: [], lambda folder, content: pickle.loads(content)), tmp_path, EXPLOIT)
    assert not PLANTED.exists()


def test_errors_cannot_command_a_terminal() -> None:
    """A name in a file may hold escape sequences; a line stays one line, and short."""
    line = str(StoryganError("no \x1b]0;title\x07 here\nnor \u202e there \ud800"))
    assert line == "no \\x1b]0;title\\x07 here\\nnor \\u202e there \\ud800"
    assert len(str(StoryganError("\x1b" * 10**6))) <= 2000


def test_an_id_names_no_file_of_another_folder(tmp_path: Path) -> None:
    name = "../../s_01_e_02_shot_000000"
    root = tmp_path / "root"
    (root / "video_frames_sampled").mkdir(parents=True)
    for clip in (name, *FLINTSTONES[1:5]):
        np.save(root / "video_frames_sampled" / f"{clip}.npy", np.zeros((1, 8, 8, 3), np.uint8))
    ids = [name, *FLINTSTONES[1:5]]
    notes = [{"globalID": one, "description": "x", "characters": []} for one in ids]
    (root / "flintstones_annotations_v1-0.json").write_text(json.dumps(notes))
    (root / "train-val-test_split.json").write_text(json.dumps({"train": ids[:1]}))
    (root / "following_cache4.pkl").write_bytes(pickle.dumps({name: FLINTSTONES[1:5]}))
    with pytest.raises(StoryganError, match="stories with a picture missing"):
        import_flintstones_sv(root, tmp_path / "out")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A folder from elsewhere may hold links under the names that are written to."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".file.tmp").symlink_to(precious)
    atomic_write(tmp_path / "file", "new")
    assert (precious.read_text(), (tmp_path / "file").read_text()) == ("mine", "new")


def test_a_data_set_whose_cache_is_a_link(tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there is not removed, and nothing is put there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    (other / "train-precious.npy").write_text("mine")
    for shard in tiny_dataset.glob("*.parquet"):
        (data / shard.name).write_bytes(shard.read_bytes())
    (data / ".cache").symlink_to(other)
    assert len(open_split(data, "train")) == 8
    assert [path.name for path in other.iterdir()] == ["train-precious.npy"]


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    """A pipe that nobody writes to, a device, a file that is too large."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="is not an ordinary file"):
            read_file(path, 100)
        with pytest.raises(ValueError, match="is not a file"):
            frame_from_file(path)
    (tmp_path / "large").write_bytes(bytes(101))
    with pytest.raises(ValueError, match="at most 100 are read"):
        read_file(tmp_path / "large", 100)


def test_pictures_come_in_these_formats(tmp_path: Path) -> None:
    """All of the list are known to Pillow; none of them runs another program."""
    from PIL import Image

    for format in sorted(set(IMPORT_FORMATS) - {"AVIF"}):
        Image.new("RGB", (32, 32)).save(tmp_path / "x", format)
        assert frame_from_file(tmp_path / "x").startswith(b"\x89PNG")
    assert "EPS" not in IMPORT_FORMATS
