"""READERS: all readers of files from users, with example contents, and contents that they must refuse."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.fuzz import contents as c
from tests.fuzz import model_readers  # noqa: F401  # registers readers
from tests.fuzz.harness import READERS, Examples, Finding, in_file, printable, reader, write  # noqa: F401

from storygan.cli.generate import read_story
from storygan.data.check import check_dataset
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.images import decode_frame, read_frame
from storygan.data.importers.clevr_sv import import_clevr_sv
from storygan.data.importers.flintstones_sv import import_flintstones_sv
from storygan.data.importers.own_stories import import_own_stories
from storygan.data.importers.pororo_sv import import_pororo_sv
from storygan.data.render_config import read_render_config
from storygan.data.restricted_pickle import load_pickle
from storygan.data.schema import NuisanceColumns, Story, write_shard
from storygan.data.toon.render import ToonConfig
from storygan.errors import StoryganError
from storygan.evaluation.system_frames import read_system_frames
from storygan.text.clevr_encoder import ClevrEncoder

SENTENCES = ["large red rubber cube at (2.18, -2.85)", "a small, grey metallic sphere (0,1)."]

# ---- sentences and images ----

PIXELS = {"png_bomb": c.png_bomb(), "webp_bomb": c.WEBP_BOMB, "webp_81_megapixels": c.WEBP_81_MEGAPIXELS}
PIXELS |= {"no_pixels": c.png(0, 0), "postscript": c.EPS}


@reader(
    "sentence", lambda folder: [*map(str.encode, SENTENCES), b"(,)", b"a (1,2) (3,4)", b"red " * 40_000, b"(" * 300]
)
def _(folder: Path, content: bytes) -> None:
    ClevrEncoder().encode([content.decode("utf-8", "surrogateescape")])


@reader("story file", lambda folder: ["\n".join(SENTENCES).encode(), b"\x00\n\x1b", b"\xff", b"\r\n\x85\n"])
def _(folder: Path, content: bytes) -> None:  # which may be a pipe
    write(folder / "story.txt", content)
    ClevrEncoder().encode(read_story([], str(folder / "story.txt")))


@reader("frame", lambda folder: c.images(), **PIXELS)
def _(folder: Path, content: bytes) -> None:
    try:
        decode_frame(content)
    except ValueError as error:  # which a data set turns into StoryganError
        raise StoryganError(str(error)) from error


@reader("frame of another system", lambda folder: c.images(), **PIXELS)
def _(folder: Path, content: bytes) -> None:
    try:
        assert read_frame(content, 64)[0].shape == (64, 64, 3)
    except ValueError as error:  # which `read_system_frames` turns into StoryganError
        raise StoryganError(str(error)) from error


# ---- data sets ----


def shards(folder: Path) -> Iterator[bytes]:
    """Yield Parquet shards, valid ones and those that another program might write."""
    story = Story("a", ["x"], [c.image()], [[1, 0]])
    extra = {"story_nuisance": [0.5], "frame_nuisance": [[None, 1.0]], "foreground": [c.image("1")]}
    nuisance = NuisanceColumns(("camera x",), ("cosine", "sine"), foreground=True)
    for each, columns in ((story, NuisanceColumns()), (replace(story, **extra), nuisance)):
        write_shard(folder / "valid.parquet", [each, each], ("p", "q"), columns)
        yield (folder / "valid.parquet").read_bytes()
    (folder / "valid.parquet").unlink()
    yield parquet()
    yield from (parquet(story_id=ids) for ids in ([None, "b"], ["a\n\x1b[31m", "a\n\x1b[31m"]))
    yield from (parquet(sentences=s) for s in ([None, []], [[None, "x"], ["", " "]]))
    good = {"bytes": c.image(size=(64, 64)), "path": None}
    yield from (parquet(frames=f) for f in ([[None, good], None], [[{"bytes": None, "path": "/etc/passwd"}, good], []]))
    yield from (parquet(frames=[[{"bytes": data, "path": None}] * 2, [good, good]]) for data in PIXELS.values())
    for names in (["p"], "pq", None, 5, c.NESTED, ["\x1b[31m", 7]):
        yield parquet(json.dumps({"format": 1, "label_names": names}), labels=[[[0, 1], [0, 9]], None])
    yield from (parquet(text) for text in (c.DEEP, b"[]", b"\xff", b"", b"5"))


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TYPES = {"story_id": pa.string(), "sentences": pa.list_(pa.string()), "frames": pa.list_(IMAGE)}
TYPES["labels"] = pa.list_(pa.list_(pa.int8()))


def parquet(metadata: str | bytes | None = None, **changed: Any) -> bytes:
    """Return two stories as Parquet."""
    frame = {"bytes": c.image(size=(64, 64)), "path": None}
    values = {"story_id": ["a", "b"], "sentences": [["x", "y"], ["z", "w"]], "frames": [[frame, frame]] * 2, **changed}
    columns = {n: v if isinstance(v, pa.Array) else pa.array(v, TYPES[n]) for n, v in values.items()}
    table = pa.table(columns).replace_schema_metadata(None if metadata is None else {"storygan": metadata})
    file = io.BytesIO()
    pq.write_table(table, file, store_schema=False)  # which would make `repeated` a dictionary, refused at once
    return file.getvalue()


def repeated(value: str, times: int) -> pa.Array:
    """Return two lists of one value, a few bytes in the file."""
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), pa.array([value]))
    return pa.ListArray.from_arrays(pa.array([0, times // 2, times], pa.int32()), values)


TERABYTE = parquet(sentences=repeated("x" * 10**6, 2 * 10**6))


@reader("shard", shards, a_terabyte_of_sentences=TERABYTE, a_pipe=b"a pipe")
def _(folder: Path, content: bytes) -> None:
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    write(data / "train-00000-of-00001.parquet", content)
    printable(check_dataset(data))
    dataset = open_split(data, "train")
    if dataset.has_foreground:
        dataset.foreground([0])


STORIES = StoryDataset(np.zeros((2, 2, 64, 64, 3), np.uint8), [["x", "y"]] * 2, None, None, ["a", "b"], "")

in_file(
    "shard of another system",
    "theirs.parquet",
    lambda folder: [parquet(), *shards(folder)],
    lambda folder: read_system_frames("theirs", folder / "theirs.parquet", STORIES, "test"),
)


def memory_maps(folder: Path) -> Iterator[bytes]:
    """Yield memory maps with other headers."""
    write_shard(folder / "data" / "train-00000-of-00001.parquet", [Story("a", ["x"], [c.image()])], None)
    open_split(folder / "data", "train")
    (path,) = (folder / "data" / ".cache").glob("*.npy")
    (folder / "name").write_text(path.name)
    content = path.read_bytes()
    yield content
    yield c.npy_header(shape="(1, 1, 8, 8, 3)") + content[128:]
    for shape in ("(1, 1, 10**9, 8, 3)", "(1, 1, 1000000000, 1000000000, 3)", "(1, 1, -1, 8, 3)", "(1, 1, 0, 0, 3)"):
        yield c.npy_header("'|u1'", shape) + content[128:]


@reader("memory map", memory_maps)
def _(folder: Path, content: bytes) -> None:
    (folder / "data" / ".cache" / (folder / "name").read_text()).write_bytes(content)
    if (shape := open_split(folder / "data", "train").frames.shape) != (1, 1, 8, 8, 3):
        raise Finding(f"frames {shape}")


RENDER_CONFIG = {"train": 1, "validation": 0, "test": 0, "seed": 0, "T": 5, "size": 64, "renderer": 1}
in_file(
    "render.json",
    "render.json",
    lambda folder: c.jsons(RENDER_CONFIG),
    lambda folder: read_render_config(folder, ToonConfig),
    numbers_that_are_words=b'{"train": "x", "validation": 0, "test": 0}',
)


# ---- importers ----


def importer(importer: Callable[..., object]) -> Callable[[Path], None]:
    """Return a function that imports FOLDER/root to FOLDER/out."""

    def read(folder: Path) -> None:
        shutil.rmtree(folder / "out", ignore_errors=True)
        printable(importer(folder / "root", folder / "out"))

    return read


reader(
    "pickle",
    lambda folder: c.pickles({"a": [np.arange(3.0), b"x"], "b": ({1}, 2.5, "y"), "c": np.array(["u"])}),
    hash_bomb=c.HASH_BOMB,
    exploit=c.EXPLOIT,
)(lambda folder, content: load_pickle(io.BytesIO(content), "file.pkl"))


def clevr_sv(folder: Path) -> Iterator[bytes]:
    """Write images; yield CLEVR_dict.npy."""
    described = {}
    for k in range(1, 5):
        write(folder / f"root/images/CLEVR_new_000000_{k}.png", c.image("RGBA", (32, 24)))
        one_hots = [float(n in (0, 3, 11, 13)) for n in range(15)]
        described[f"CLEVR_new_000000_{k}.png"] = np.array([*one_hots, 1.0, 2.0, 0.7] * 4 + [0.0] * 3)
    yield from c.npys(described)
    for bad in (np.nan, np.inf, 1e300, -1.0):
        yield c.npy({name: np.where(vector > 0, bad, vector) for name, vector in described.items()})


in_file(
    "clevr-sv CLEVR_dict.npy",
    "root/CLEVR_dict.npy",
    clevr_sv,
    importer(import_clevr_sv),
    hash_bomb=c.npy_header() + c.HASH_BOMB,
    memo_bomb=c.npy_header() + c.MEMO_BOMB,
    exploit=c.npy_header() + c.EXPLOIT,
    minus_signs=c.npy_header(shape="-" * 9000 + "1"),
    eight_terabytes=c.npy_header("'<f8'", "(1000000000000,)"),
    names_of_two_types=c.npy({"x": np.zeros(75), 5: np.zeros(75)}),
)


def pororo_sv(name: str, examples: Callable[[], Examples], **refused: bytes) -> None:
    """Register the reader of one file of Pororo-SV."""

    def prepare(folder: Path) -> Iterator[bytes]:
        for n in range(1, 7):
            write(folder / f"root/S/E/{n}.png", c.image(size=(8, 16)))
        if not name.startswith("descriptions"):
            write(folder / "root/descriptions.csv", PORORO_CSV)
        if name == "following_cache4.npy":
            np.save(folder / "root/img_cache4.npy", np.array(["E/1.png", "E/2.png"]))
        yield from examples()

    in_file(f"pororo-sv {name}", f"root/{name}", prepare, importer(import_pororo_sv), **refused)


PORORO = {f"E/{n}": [f"Frame {n}."] for n in range(1, 7)}
PORORO_CSV = "".join(f"E,{n},Frame {n}.\r\n" for n in range(1, 7)).encode()
PORORO_ROWS = (b"a/b,1,x", b"E,1e5,x", "E,\u0661,x".encode(), b"E," + b"1" * 5000 + b",x", b'E,1,"', b"\xff", b"E,1")
pororo_sv(
    "descriptions.csv", lambda: [PORORO_CSV, *(PORORO_CSV + row + b"\n" for row in PORORO_ROWS)], slash=b"a/b,1,x\n"
)
pororo_sv("descriptions.npy", lambda: c.npys(PORORO), surrogate=c.npy({**PORORO, "E/1": ["a \ud800"]}))
pororo_sv("labels.npy", lambda: c.npys({f"E/{n}": [0, 1] * 4 + [0] for n in range(1, 7)}))
pororo_sv("following_cache4.npy", lambda: c.npys([[f"E/{n}" for n in range(k, k + 4)] for k in (2, 3)]))
pororo_sv("train_test_ids.npy", lambda: c.npys([[0], [1]]), a_number=c.npy([np.array(7)]))

FLINTSTONES = [f"s_01_e_02_shot_{n:06d}" for n in range(6)]
ANNOTATION = {"description": "Hello.", "setting": "x", "characters": [{"entityLabel": "fred"}]}
ANNOTATIONS = [{"globalID": name, **ANNOTATION} for name in FLINTSTONES]
SPLIT = {"train": FLINTSTONES[:1], "val": [], "test": FLINTSTONES[1:]}
LABELS = {name: [0, 1, 0, 0, 0, 0, 0] for name in FLINTSTONES}


def flintstones_sv(name: str, examples: Callable[[], Examples], **refused: bytes) -> None:
    """Register the reader of one file of Flintstones-SV."""

    def prepare(folder: Path) -> Iterator[bytes]:
        write(folder / "root/flintstones_annotations_v1-0.json", json.dumps(ANNOTATIONS).encode())
        write(folder / "root/train-val-test_split.json", json.dumps(SPLIT).encode())
        for clip in FLINTSTONES:
            write(folder / f"root/video_frames_sampled/{clip}.npy", c.npy_of_array(np.zeros((1, 8, 8, 3), np.uint8)))
        yield from examples()

    label = f"flintstones-sv {name.partition('/')[0]}"
    in_file(label, f"root/{name}", prepare, importer(import_flintstones_sv), **refused)


flintstones_sv(
    "flintstones_annotations_v1-0.json",
    lambda: c.jsons(ANNOTATIONS),
    characters_no_list=json.dumps([{**ANNOTATIONS[0], "characters": 5}]).encode(),
)
flintstones_sv("train-val-test_split.json", lambda: c.jsons(SPLIT), a_number=b'{"train": 5}', deep=c.DEEP)
flintstones_sv(
    "labels.pkl",
    lambda: c.pickles(LABELS),
    exploit=c.EXPLOIT,
    arrays=pickle.dumps({**LABELS, FLINTSTONES[0]: [np.zeros(3)] * 7}),
)
flintstones_sv(
    "following_cache4.pkl",
    lambda: c.pickles({FLINTSTONES[0]: FLINTSTONES[1:5]}),
    names_of_two_types=pickle.dumps({FLINTSTONES[0]: ["a", ["b"], "c"]}),
)
flintstones_sv(
    f"video_frames_sampled/{FLINTSTONES[2]}.npy",
    lambda: [c.npy_of_array(np.zeros((1, 8, 8, 3), np.uint8)), *c.npys(np.zeros((1, 8, 8, 3), np.uint8))],
)


def own_stories(name: str, content: bytes, examples: Callable[[], Examples], **refused: bytes) -> None:
    """Register a reader of a folder of own stories, which has the frame a.png."""

    def prepare(folder: Path) -> Iterator[bytes]:
        write(folder / "root/a.png", c.image())
        write(folder / "root/stories.csv", content)
        yield from examples()

    in_file(f"own {name}", f"root/{name}", prepare, importer(import_own_stories), **refused)


STORY = {"story": "x", "frame": "a.png", "sentence": "hello", "labels": ["p", "q"]}
CSV = b"story,frame,sentence,labels\nx,a.png,hello,p;q\n"
OWN_ROWS = (b"x,../a.png,hi", b"x,/etc/passwd,hi", b"x,a\x00.png,hi", b'x,"a.png', b"x,a.png,hi,p,q,r", b"\xff,,")
own_stories("stories.csv", CSV, lambda: [CSV, *(CSV + row + b"\n" for row in (*OWN_ROWS, b"\x1b[31m,a.png\x1b,\x07"))])
own_stories(
    "a.png", CSV, c.images, **{name: PIXELS[name] for name in ("webp_bomb", "webp_81_megapixels", "postscript")}
)
reader(
    "own stories.jsonl",
    lambda folder: (write(folder / "root/a.png", c.image()), c.jsons(STORY))[1],
    long_name=json.dumps({**STORY, "frame": "x" * 100_000}).encode(),
    surrogate=json.dumps({**STORY, "story": "a\ud800"}).encode(),
)(lambda folder, content: (write(folder / "root/stories.jsonl", content), importer(import_own_stories)(folder)))
