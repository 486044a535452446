"""Every reader of a user's file, as a target: a folder with a sound layout, and a reader of one file's content in it.

What a reader may do with hostile content is to read it or to raise StoryganError with one printable line. The fast
tests and `scripts/fuzz.py` both go through `judge`.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import functools
import io
import json
import os
import pickle
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from PIL import Image
from safetensors.numpy import save as save_tensors
from tests.fuzz.mutate import grafted, nested
from torch import nn
from torch.optim.swa_utils import AveragedModel

from storygan.cli.generate import read_story
from storygan.cli.parser import Parser
from storygan.cli.train import read_contenders, require_stages, train_options, training_config
from storygan.compare.page import draw_curves, read_curves
from storygan.compare.round_robin import Run
from storygan.config import GeneratorConfig, GeneratorLoss, ModelConfig, StageConfig, TrainConfig
from storygan.data.check import check_dataset
from storygan.data.dataset import open_split
from storygan.data.images import decode_frame, encode_png
from storygan.data.importers.clevr_sv import import_clevr_sv
from storygan.data.importers.flintstones_sv import import_flintstones_sv
from storygan.data.importers.own_stories import import_own_stories
from storygan.data.importers.pororo_sv import import_pororo_sv
from storygan.data.render_config import read_plan
from storygan.data.restricted_pickle import load_pickle
from storygan.data.schema import NuisanceColumns, Story, write_shard
from storygan.data.toon.render import ToonPlan
from storygan.errors import StoryganError
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.model_card import add_results, make_card, read_card
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.encoder import load_sentence_encoder
from storygan.training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from storygan.training.distributed import Processes
from storygan.training.networks import AdversarialRatio, Networks
from storygan.training.run_folder import RunFolder
from storygan.training.trainer import StageTrainer

PLANTED = Path(tempfile.gettempdir()) / f"fuzz-was-here-{os.getpid()}"
"""What hostile contents would write if something in them were run, or a name led out of its folder."""
LONGEST = 4000
"""Characters of an error line."""
_ROW = {"object_accuracy": {"mean": 0.5, "low": 0.4, "high": 0.6}}
RESULTS = {"data": "x", "split": "test", "stories": 2, "seed": 0, "rows": {"model": _ROW}}
SENTENCES = ["large red rubber cube at (2.18, -2.85)", "a small, grey metallic sphere (0,1)."]


@dataclass(frozen=True)
class Target:
    """One reader."""

    prepare: Callable[[Path], Iterable[bytes]]
    """Fills a new folder with all else that the reader needs; sound and hostile contents to start from."""
    read: Callable[[Path, bytes], object]
    """Puts the content in its place in the folder, and reads it."""


class Finding(AssertionError):
    """A reader did what it must not."""


def judge(target: Target, folder: Path, content: bytes) -> bool:
    """Read the content. True: it was read; False: it was refused in one printable line.

    Raises:
        Finding: anything else.
    """
    try:
        return _judged(target, folder, content)
    finally:
        if PLANTED.exists():
            PLANTED.unlink()
            raise Finding(f"it wrote {PLANTED}")


def _judged(target: Target, folder: Path, content: bytes) -> bool:
    try:
        target.read(folder, content)
    except StoryganError as error:
        line = str(error)
        if not line.isprintable() or not line.strip() or len(line) > LONGEST:
            raise Finding(f"not one printable line: {line[:300]!r} ({len(line)} characters)") from error
        return False
    except MemoryError as error:
        raise Finding("it ran out of memory") from error
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:300]}") from error
    return True


TARGETS: dict[str, Target] = {}


def target(name: str, prepare: Callable[[Path], Iterable[bytes]]) -> Callable[[Any], Any]:
    """Register a reader under its name."""

    def register(read: Callable[[Path, bytes], object]) -> Callable[[Path, bytes], object]:
        TARGETS[name] = Target(prepare, read)
        return read

    return register


def jsons(value: Any) -> Iterator[bytes]:
    """A JSON file, and what can be wrong in it."""
    yield json.dumps(value).encode()
    for other in grafted(value):
        yield json.dumps(other).encode()
    yield b"[" * 100_000
    yield b'{"a":' * 100_000


def pickles(value: Any) -> Iterator[bytes]:
    """A pickle, and what can be wrong in it; the first in every protocol."""
    arrays = (np.zeros(3), np.array(["x"]), np.array(None, object), np.array(7), np.zeros((0, 4)), b"../x", ("a", ()))
    yield from (pickle.dumps(value, protocol) for protocol in range(6))
    for other in [*grafted(value), *grafted(value, arrays)]:
        yield pickle.dumps(other, 2)
    yield HASH_BOMB
    yield EXPLOIT


def npys(value: Any) -> Iterator[bytes]:
    """The same in a .npy file with a 0-d object array, as the public files are."""

    yield sound_npy(value)
    for stranger in (np.zeros(3), np.array(["x"]), np.array(7), np.zeros((2, 4)), ("a", ("b",))):
        yield sound_npy(stranger)
        file = io.BytesIO()
        np.save(file, np.asarray(stranger, None if isinstance(stranger, np.ndarray) else object))
        yield file.getvalue()
    yield from map(sound_npy, grafted(value))
    for descr in ("-" * 9000 + "1", "(" * 150 + ")" * 150, "'f8', (" * 20, "'O', 'O'", "'<f8'*9**9**9"):
        yield npy_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': ()}}")
    yield npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}")
    yield npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000,)}")
    yield npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 64, 64, 3)}")
    yield npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 0, 64, 3)}")
    yield npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 64, 0, 3)}")
    yield npy_header("{'descr': '|u1', 'fortran_order': True, 'shape': (1, 1, 1, 3)}") + b"abc"
    yield npy_header("{'descr': '|O', 'fortran_order': False, 'shape': ()}") + HASH_BOMB
    yield npy_header("{'descr': '|O', 'fortran_order': False, 'shape': ()}") + MEMO_BOMB
    yield npy_header("{'descr': '|O', 'fortran_order': False, 'shape': ()}") + EXPLOIT


def sound_npy(content: object) -> bytes:
    """A .npy file with a 0-d object array."""
    array = np.empty((), dtype=object)
    array[()] = content
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_header(text: str) -> bytes:
    """The first bytes of a .npy file of version 1."""
    return b"\x93NUMPY\x01\x00" + len(text + "\n").to_bytes(2, "little") + text.encode() + b"\n"


HASH_BOMB = (
    b"\x80\x02)q\x00" + b"".join(bytes([104, k, 104, k, 0x86, 113, k + 1]) for k in range(60)) + b"}h\x3cK\x01s."
)
"""A dict whose key is a tuple of tuples of ..., 60 deep: its hash takes 2**60 steps."""
EXPLOIT = f"cos\nsystem\n(S'touch {PLANTED}'\ntR.".encode()
"""A pickle that runs a command where it is read by Python's own `pickle.load`."""
MEMO_BOMB = b"\x80\x02Nr\xff\xff\xff\x7f."
"""A memo of two thousand million places."""


# ---- text ----


def _sentences(folder: Path) -> Iterator[bytes]:
    yield from (sentence.encode() for sentence in SENTENCES)
    yield from (b"", b".", b"(", b"()", b"(,)", b"a (1,2) (3,4)", b"red " * 40_000, b"(" * 300, b"9" * 300, b",.,(,),")
    yield from ("LARGE \u0130 \ufb01 (\u0661,\u0662)".encode(), b"\xff\xfe\x00", b"large (1e5,nan)", b"(\x00,\x1b[2J)")


@target("sentence", _sentences)
def _(folder: Path, content: bytes) -> None:
    ClevrEncoder().encode([content.decode("utf-8", "surrogateescape")])


@target("story file", lambda folder: [b"\n".join(s.encode() for s in SENTENCES), b"\x00\n\x1b", b"\xff", b"\r\n\x85\n"])
def _(folder: Path, content: bytes) -> None:
    (folder / "story.txt").write_bytes(content)
    ClevrEncoder().encode(read_story([], str(folder / "story.txt")))


# ---- pictures ----


def picture(mode: str = "RGB", size: tuple[int, int] = (8, 8), format: str = "PNG", **options: Any) -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, format, **options)
    return file.getvalue()


def png(width: int, height: int, *, bits: int = 8, colour: int = 2, data: bytes = b"", chunks: bytes = b"") -> bytes:
    """A PNG that says of itself what one likes, with right checksums."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunks, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


@functools.cache
def bomb() -> bytes:
    """12,000 x 12,000 pixels in 52 kB."""
    return png(12_000, 12_000, bits=1, colour=0, data=bytes(1501 * 12_000))


@functools.cache
def webp_bomb() -> bytes:
    """16,383 x 16,383 pixels, as many as the format has, of one colour in a few bytes."""
    return lossless_webp(16_383, 16_383)


def lossless_webp(width: int, height: int) -> bytes:
    """A WebP of one colour, its bits written by hand: no encoder's time and memory for the pixels."""
    fields = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3)]  # signature, size, no alpha, version
    fields += [(0, 1), (0, 1), (0, 1)]  # no transforms, no cache of colours, one set of codes
    fields += [(0b0001, 4)] * 5  # a code of one symbol, 0, takes no bits a pixel: green, red, blue, alpha, distance
    bits, at = 0, 0
    for value, n in fields:
        bits, at = bits | value << at, at + n
    data = bits.to_bytes(at // 8 + 2, "little")
    data += bytes(len(data) % 2)
    body = b"WEBPVP8L" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _pictures(folder: Path) -> Iterator[bytes]:
    for mode in ("RGB", "1", "L", "LA", "P", "RGBA", "I;16"):
        yield picture(mode)
    yield from (picture(format="WEBP", lossless=True), picture("RGBA", format="WEBP"), picture(size=(1, 500)))
    for other in ("JPEG", "GIF", "BMP", "TIFF", "PPM", "ICO"):
        yield picture(format=other)
    yield from (picture("CMYK", format="JPEG"), picture("F", format="TIFF"), picture("LAB", format="TIFF"))
    yield from (png(0, 0), png(0, 8), png(8, 0), png(8, 8), png(2**31 - 1, 1), png(20_000, 20_000), bomb())
    yield from (webp_bomb(), lossless_webp(9_000, 9_000), lossless_webp(8, 8))
    yield png(9_000, 9_000, bits=1, colour=0, data=bytes(1126 * 9_000))  # between Pillow's warning and its error
    yield png(8, 8, data=bytes(25 * 8), chunks=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3 * 10**7))))
    yield png(8, 8, data=bytes(25 * 8), chunks=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(3 * 10**7))))
    for kind in (b"\0\x03\0\0\0\x01\0\x63\0\0", b"\0\x05\0\0\0\x01\0\0\0\0", b"\0\x02\xff\xff\xff\xff\0\0\0\0"):
        exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12" + kind + bytes(4)
        yield png(8, 8, data=bytes(25 * 8), chunks=chunk(b"eXIf", exif))
    yield png(8, 8, data=bytes(25 * 8), chunks=chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"))
    yield png(8, 8, data=bytes(3 * 10**7))
    yield b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@target("frame", _pictures)
def _(folder: Path, content: bytes) -> None:
    """What a data set gives to `decode_frame`, which speaks in ValueErrors."""
    try:
        decode_frame(content)
    except ValueError as error:
        raise StoryganError(str(error)) from error


@target("picture", _pictures)
def _(folder: Path, content: bytes) -> None:
    write(folder / "root" / "a.png", content)
    write(folder / "root" / "stories.csv", b"story,frame,sentence\nx,a.png,hello\n")
    import_anew(import_own_stories, folder)


def write(path: Path, content: bytes) -> None:
    """A file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def import_anew(importer: Callable[..., object], folder: Path) -> None:
    """FOLDER/root -> FOLDER/out; the summary is printed as the command line prints it."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    summary = str(importer(folder / "root", folder / "out"))
    if not all(line.isprintable() for line in summary.split("\n")):
        raise Finding(f"the summary holds what is not printable: {summary[:300]!r}")


# ---- data sets ----


def tables() -> Iterator[pa.Table]:
    """As another program might write stories."""
    good = {"bytes": picture(size=(64, 64)), "path": None}
    small = {"bytes": picture(size=(8, 8)), "path": None}
    rows = {"story_id": ["a", "b"], "sentences": [["x", "y"], ["z", "w"]], "frames": [[good, good], [good, small]]}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    types = {"story_id": pa.string(), "sentences": pa.list_(pa.string()), "frames": pa.list_(image)}

    def table(**changed: Any) -> pa.Table:
        values = rows | changed
        return pa.table({name: pa.array(values[name], types[name]) for name in types})

    yield table(frames=[[good, good], [good, good]])
    yield table()
    yield table(story_id=[None, "b"])
    yield table(story_id=["a\n\x1b[31m", "a\n\x1b[31m"])
    yield table(sentences=[None, []])
    yield table(sentences=[[None, "x"], ["", " "]])
    yield table(frames=[[None, good], None])
    yield table(frames=[[{"bytes": None, "path": "/etc/passwd"}, good], []])
    yield table(sentences=[[], []], frames=[[], []])
    for data in (bomb(), png(0, 0), b"", picture("L"), picture(size=(64, 32))):
        yield table(frames=[[{"bytes": data, "path": None}] * 2, [good, good]])
    labels = table().append_column("labels", pa.array([[[0, 1], [0, 9]], None], pa.list_(pa.list_(pa.int8()))))
    yield labels
    for names in (["p", "q"], ["p"], "pq", None, 5, {}, nested(50), ["\x1b[31m", 7]):
        yield labels.replace_schema_metadata({"storygan": json.dumps({"format": 1, "label_names": names})})
    for text in (b"[" * 100_000, b"[]", b"\xff", b"", b'"x"', b"5"):
        yield table().replace_schema_metadata({"storygan": text})
    yield table().set_column(1, "sentences", repeated(pa.array(["x" * 10**6]), 2 * 10**6))
    pictures = pa.StructArray.from_arrays(
        [repeated(pa.array([bytes(10**6)]), 2 * 10**4).flatten(), pa.nulls(2 * 10**4, pa.string())], ["bytes", "path"]
    )
    halves = pa.array([0, 10**4, 2 * 10**4], pa.int32())
    yield table().set_column(2, "frames", pa.ListArray.from_arrays(halves, pictures))


def repeated(value: pa.Array, times: int) -> pa.Array:
    """Two rows, lists of one and the same value: a few bytes in the file."""
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), value)
    return pa.ListArray.from_arrays(pa.array([0, times // 2, times], pa.int32()), many)


def _shards(folder: Path) -> Iterator[bytes]:
    story = Story("a", ["x"], [encode_png(Image.new("RGB", (8, 8)))], [[1, 0]])
    write_shard(folder / "sound.parquet", [story, story], ("p", "q"))
    yield (folder / "sound.parquet").read_bytes()
    mask = encode_png(Image.new("1", (8, 8), 1))
    story = replace(story, story_nuisance=[0.5], frame_nuisance=[[None, 1.0]], foreground=[mask])
    nuisance = NuisanceColumns(("camera x",), ("cosine", "sine"), foreground=True)
    write_shard(folder / "sound.parquet", [story, story], ("p", "q"), nuisance)
    yield (folder / "sound.parquet").read_bytes()
    (folder / "sound.parquet").unlink()
    for table in tables():
        for options in ({"compression": "none"}, {"compression": "zstd", "store_schema": False}):
            file = io.BytesIO()
            with contextlib.suppress(pa.ArrowException):
                pq.write_table(table, file, **options)
                yield file.getvalue()


@target("shard", _shards)
def _(folder: Path, content: bytes) -> None:
    """Checked, then opened as training opens it."""
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    write(data / "train-00000-of-00001.parquet", content)
    report = check_dataset(data)
    if not all(line.isprintable() for line in str(report).split("\n")):
        raise Finding(f"the report holds what is not printable: {str(report)[:300]!r}")
    dataset = open_split(data, "train")
    if dataset.has_foreground:
        dataset.foreground([0])


def _memory_maps(folder: Path) -> Iterator[bytes]:
    write_shard(folder / "data" / "train-00000-of-00001.parquet", [Story("a", ["x"], [picture()])], None)
    open_split(folder / "data", "train")
    (path,) = (folder / "data" / ".cache").glob("*.npy")
    (folder / "name").write_text(path.name)
    content = path.read_bytes()
    yield content
    for text in ("-" * 9000 + "1", "{}", "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 8, 8, 3)}"):
        yield npy_header(text) + content[128:]
    for shape in ("(1, 1, 10**9, 8, 3)", "(1, 1, 1000000000, 1000000000, 3)", "(1, 1, -1, 8, 3)", "(1, 1, 0, 0, 3)"):
        yield npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}") + content[128:]


@target("memory map", _memory_maps)
def _(folder: Path, content: bytes) -> None:
    """One that came with a data set."""
    (folder / "data" / ".cache" / (folder / "name").read_text()).write_bytes(content)
    frames = open_split(folder / "data", "train").frames
    if frames.shape != (1, 1, 8, 8, 3):
        raise Finding(f"frames {frames.shape}")


PLAN = {"train": 1, "validation": 0, "test": 0, "seed": 0, "T": 5, "size": 64, "renderer": 1}


@target("render.json", lambda folder: jsons(PLAN))
def _(folder: Path, content: bytes) -> None:
    (folder / "render.json").write_bytes(content)
    read_plan(folder, ToonPlan)


# ---- importers ----


@target("pickle", lambda folder: pickles({"a": [np.arange(3.0), b"x"], "b": ({1}, 2.5, "y"), "c": np.array(["u"])}))
def _(folder: Path, content: bytes) -> None:
    load_pickle(io.BytesIO(content), "file.pkl")


def _clevr(folder: Path) -> Iterator[bytes]:
    described = {}
    for k in range(1, 5):
        write(folder / f"root/images/CLEVR_new_000000_{k}.png", picture("RGBA", (32, 24)))
        one_hots = [float(n in (0, 3, 11, 13)) for n in range(15)]
        described[f"CLEVR_new_000000_{k}.png"] = np.array([*one_hots, 1.0, 2.0, 0.7] * 4 + [0.0] * 3)
    yield from npys(described)
    for bad in (np.nan, np.inf, 1e300, -1.0):
        yield sound_npy({name: np.where(vector > 0, bad, vector) for name, vector in described.items()})


@target("clevr-sv CLEVR_dict.npy", _clevr)
def _(folder: Path, content: bytes) -> None:
    write(folder / "root/CLEVR_dict.npy", content)
    import_anew(import_clevr_sv, folder)


def _clevr_pictures(folder: Path) -> Iterator[bytes]:
    (folder / "root").mkdir()
    write(folder / "root/CLEVR_dict.npy", next(iter(_clevr(folder))))
    yield from _pictures(folder)


@target("clevr-sv picture", _clevr_pictures)
def _(folder: Path, content: bytes) -> None:
    write(folder / "root/images/CLEVR_new_000000_2.png", content)
    import_anew(import_clevr_sv, folder)


PORORO = {f"E/{n}": [f"Frame {n}."] for n in range(1, 7)}


def _pororo(folder: Path) -> None:
    for n in range(1, 7):
        write(folder / f"root/S/E/{n}.png", picture(size=(8, 16)))
    with (folder / "root/descriptions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["E", n, f"Frame {n}."] for n in range(1, 7)])


def _pororo_table(folder: Path) -> Iterator[bytes]:
    _pororo(folder)
    sound = (folder / "root/descriptions.csv").read_bytes()
    yield sound
    for line in (b"a/b,1,x", b"E,1e5,x", "E,\u0661,x".encode(), b"E," + b"1" * 5000 + b",x", b'E,1,"', b"\xff", b"E,1"):
        yield sound + line + b"\n"
    yield sound + b"E,1," + b"x" * 200_000
    yield b"\x00" + sound


@target("pororo-sv descriptions.csv", _pororo_table)
def _(folder: Path, content: bytes) -> None:
    write(folder / "root/descriptions.csv", content)
    import_anew(import_pororo_sv, folder)


def pororo_file(name: str, value: object) -> None:
    """One of the .npy files of Pororo-SV."""

    def prepare(folder: Path) -> Iterator[bytes]:
        _pororo(folder)
        if name == "descriptions.npy":
            (folder / "root/descriptions.csv").unlink()
        if name == "following_cache4.npy":
            np.save(folder / "root/img_cache4.npy", np.array(["E/1.png", "E/2.png"]))
        file = io.BytesIO()
        np.save(file, np.asarray(value, object if isinstance(value, dict) else None))
        yield file.getvalue()
        yield from npys(value)

    @target(f"pororo-sv {name}", prepare)
    def _(folder: Path, content: bytes) -> None:
        write(folder / "root" / name, content)
        import_anew(import_pororo_sv, folder)


pororo_file("descriptions.npy", PORORO)
pororo_file("labels.npy", {f"E/{n}": [0, 1] * 4 + [0] for n in range(1, 7)})
pororo_file("following_cache4.npy", [["E/2", "E/3", "E/4", "E/5"], ["E/3", "E/4", "E/5", "E/6"]])
pororo_file("train_test_ids.npy", [[0], [1]])


FLINTSTONES = [f"s_01_e_02_shot_{n:06d}" for n in range(6)]
ANNOTATIONS = [
    {"globalID": name, "description": "Hello.", "setting": "x", "characters": [{"entityLabel": "fred"}]}
    for name in FLINTSTONES
]
FLINTSTONES_FILES: dict[str, tuple[Any, Callable[[Any], Iterator[bytes]]]] = {
    "flintstones_annotations_v1-0.json": (ANNOTATIONS, jsons),
    "train-val-test_split.json": ({"train": FLINTSTONES[:1], "val": [], "test": FLINTSTONES[1:]}, jsons),
    "labels.pkl": ({name: [0, 1, 0, 0, 0, 0, 0] for name in FLINTSTONES}, pickles),
    "following_cache4.pkl": ({FLINTSTONES[0]: FLINTSTONES[1:5]}, pickles),
    f"video_frames_sampled/{FLINTSTONES[2]}.npy": (np.zeros((1, 8, 8, 3), np.uint8), npys),
}


def flintstones_file(name: str) -> None:
    """One of the files of Flintstones-SV."""

    def prepare(folder: Path) -> Iterator[bytes]:
        for other in ("flintstones_annotations_v1-0.json", "train-val-test_split.json"):
            write(folder / "root" / other, json.dumps(FLINTSTONES_FILES[other][0]).encode())
        for clip in FLINTSTONES:
            (folder / "root/video_frames_sampled").mkdir(exist_ok=True)
            np.save(folder / f"root/video_frames_sampled/{clip}.npy", np.zeros((1, 8, 8, 3), np.uint8))
        value, contents = FLINTSTONES_FILES[name]
        if isinstance(value, np.ndarray):
            yield (folder / "root" / name).read_bytes()
        yield from contents(value)

    @target(f"flintstones-sv {'video_frames_sampled' if '/' in name else name}", prepare)
    def _(folder: Path, content: bytes) -> None:
        write(folder / "root" / name, content)
        import_anew(import_flintstones_sv, folder)


for _name in FLINTSTONES_FILES:
    flintstones_file(_name)


def _own_tables(folder: Path) -> Iterator[bytes]:
    write(folder / "root/a.png", picture())
    yield b"story,frame,sentence,labels\nx,a.png,hello,p;q\nx,a.png,again,\n"
    for line in (b"x,../a.png,hi", b"x,/etc/passwd,hi", b"x,a\x00.png,hi", b'x,"a.png', b"x,a.png,hi,p,q,r", b"\xff,,"):
        yield b"story,frame,sentence,labels\n" + line + b"\n"
    yield b"story,frame,sentence\n\x1b[31m,a.png\x1b,\x07\n"
    yield b"story,frame,sentence\nx," + b"a" * 5000 + b",hi\n"
    yield b"story,frame,sentence\nx,a.png," + b"x" * 200_000
    yield b"story,story,frame,sentence\nx,y,a.png,z\n"


@target("own stories.csv", _own_tables)
def _(folder: Path, content: bytes) -> None:
    write(folder / "root/stories.csv", content)
    import_anew(import_own_stories, folder)


def _own_lines(folder: Path) -> Iterator[bytes]:
    write(folder / "root/a.png", picture())
    yield from jsons({"story": "x", "frame": "a.png", "sentence": "hello", "labels": ["p", "q"]})
    yield b"\x00" * 1000


@target("own stories.jsonl", _own_lines)
def _(folder: Path, content: bytes) -> None:
    write(folder / "root/stories.jsonl", content)
    import_anew(import_own_stories, folder)


# ---- models ----

CONFIG = {"variant": "imagegan", "T": 1, "noise_dim": 2}


def tensors(arrays: dict[str, np.ndarray]) -> Iterator[bytes]:
    """A safetensors file without a checksum, and what can be wrong in its header."""
    content = save_tensors(arrays)
    start = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:start]), content[start:]
    yield content
    first = next(iter(arrays))
    one = header[first]

    def file(other: object) -> bytes:
        text = json.dumps(other).encode()
        return len(text).to_bytes(8, "little") + text + data

    for part in grafted(one):
        yield file({**header, first: part})
    for name in ("", "../../x", "a\nb", "__class__", "__metadata__"):
        yield file({**header, name: one})
    yield file({**header, "__metadata__": {"sha256": "x"}})
    yield file({**header, "__metadata__": {"sha256": ["x"]}})
    yield file({**header, first: {**one, "shape": [10**6, 10**6]}})
    yield file({**header, first: {**one, "shape": [2**32, 2**32, 2**32], "data_offsets": [0, 2**62]}})
    for dtype in ("BF16", "F16", "F64", "I64", "BOOL", "U8", "F8_E4M3", "C64", "F4"):
        yield file({**header, first: {**one, "dtype": dtype}})
    for text in (b"[" * 100_000, b"null", b"[]", b"\xff\xff"):
        yield len(text).to_bytes(8, "little") + text + data
    yield (2**63).to_bytes(8, "little")
    yield save_tensors({n: np.full_like(a, np.nan) if a.dtype.kind == "f" else a for n, a in arrays.items()})
    yield save_tensors({name: np.zeros_like(array) for name, array in arrays.items()})
    yield save_tensors({name: array[None] for name, array in arrays.items()})
    yield save_tensors({name: array.astype(np.int8) for name, array in arrays.items()})


def _model(folder: Path) -> None:
    torch.manual_seed(0)
    StoryGAN(ModelConfig(**CONFIG), ClevrEncoder()).half_weights().save_pretrained(folder)  # type: ignore[arg-type]


def load_and_draw(folder: Path) -> None:
    """What `storygan generate --model FOLDER` does."""
    model = StoryGAN.from_pretrained(folder)
    model.generate(SENTENCES[: model.config.T] * 1)


def model_file(
    name: str, contents: Callable[[], Iterator[bytes]], read: Callable[[Path], object] = load_and_draw
) -> None:
    """One file of a model folder."""

    def prepare(folder: Path) -> Iterator[bytes]:
        _model(folder)
        yield (folder / name).read_bytes()
        yield from contents()

    @target(f"model {name}", prepare)
    def _(folder: Path, content: bytes) -> None:
        write(folder / name, content)
        read(folder)


def _weights() -> Iterator[bytes]:
    torch.manual_seed(0)
    state = StoryGAN(ModelConfig(**CONFIG)).half_weights().state_dict()  # type: ignore[arg-type]
    yield from tensors({name: tensor.numpy() for name, tensor in state.items()})


model_file("config.json", lambda: jsons({**CONFIG, "aspect_ratio": 1.5}))
model_file("model.safetensors", _weights)
model_file("sentence_encoder.json", lambda: jsons({"kind": "clevr", "seed": 0}), load_sentence_encoder)
model_file(
    "sentence_encoder.safetensors",
    lambda: tensors(ClevrEncoder().tensors()),
    lambda folder: load_sentence_encoder(folder).encode(SENTENCES),
)
model_file("README.md", lambda: iter([b"\xff", b"\x00", b"---\n- [" * 1000, b"# " * 10**6]))


def _cards(folder: Path) -> Iterator[bytes]:
    card = make_card(ModelConfig())
    yield add_results(card, RESULTS).encode()
    for matter in ("foo: [1, 2", "- a", "model-index: 3", "a: &a [1]\nb: *a", "model-index: [{}]", "[" * 2000):
        yield f"---\n{matter}\n---\n# A model\n".encode()
    yield b"# A model\n"


@target("model card, with results", _cards)
def _(folder: Path, content: bytes) -> None:
    """What `storygan evaluate --card` does."""
    write(folder / "README.md", content)
    add_results(read_card(folder / "README.md"), RESULTS)


def classifier_file(name: str, contents: Callable[[Path], Iterator[bytes]]) -> None:
    """One file of a classifier's folder."""

    def prepare(folder: Path) -> Iterator[bytes]:
        AttributeClassifier(["p", "q"], {"places": True, "epochs": 1}).save(folder)
        yield from contents(folder)

    @target(f"classifier {name}", prepare)
    def _(folder: Path, content: bytes) -> None:
        write(folder / name, content)
        classifier = AttributeClassifier.load(folder)
        classifier.look(np.zeros((1, 64, 64, 3), np.uint8))
        assert classifier.about.get("epochs", 0) + 1
        classifier.save(folder / "again")


classifier_file("classifier.json", lambda folder: jsons({"labels": ["p", "q"], "about": {"places": True, "epochs": 1}}))
classifier_file(
    "classifier.safetensors",
    lambda folder: tensors(
        {n: t.half().numpy() for n, t in AttributeClassifier(["p", "q"]).state_dict().items() if t.dim()}
    ),
)


# ---- runs ----


@functools.cache
def train_parser() -> Parser:
    """The options of `storygan train`."""
    parser = Parser(prog="storygan train")
    train_options(parser)
    return parser


def yamls(value: Any) -> Iterator[bytes]:
    """A YAML file, and what can be wrong in it."""
    yield yaml.safe_dump(value).encode()
    for other in grafted(value):
        with contextlib.suppress(yaml.YAMLError, UnicodeEncodeError):
            yield yaml.safe_dump(other).encode()
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}, *a{k - 1}]\n" for k in range(1, 40))
    yield laughs.encode()
    yield (laughs + "run: *a39\n").encode()
    yield b"seed: &a [*a]\n"
    yield b"stages: &a {x: *a}\n"
    yield b"stages: {x: {G: &a {loss: *a}}}\n"
    yield b"stages: {5: {G: {loss: {mse: 1}}}}\n"
    yield b"stages: {../x: {G: {loss: {mse: 1}}}}\n"
    yield b"run: &a {x: *a}\n"
    yield f"run: !!python/object/apply:os.system ['touch {PLANTED}']\n".encode()
    yield b"seed: !!python/name:os.system\n"
    yield b"[" * 3000
    yield b"{a: " * 3000
    yield b"- " * 3000
    yield b"run: 2001-01-01\nseed: 0b1\nlog_every: 1_0\nsample_every: 190:20:30\n"
    yield b"run: ${HOME}\ndata: {path: ${oc.env:HOME}}\n"
    yield b"config: config.yaml\n"
    yield b"model: config.yaml\n"
    yield b"class_path: os.system\ninit_args: {command: ls}\n"
    yield b"model: {class_path: os.system}\n"
    yield b"? [a]\n: b\n"
    yield b"\xff\xfe\x00"
    yield b"a: 1\n---\nb: 2\n"
    yield b"%YAML 9.9\n---\n"


EXPERIMENT = {
    "run": "r",
    "data": {"path": "d", "split": "train"},
    "sentence_encoder": "clevr",
    "model": {"variant": "svc", "T": 4, "noise_dim": 5},
    "aux_classifier": "",
    "stages": {
        "a": {"iterations": 10, "batch_size": 4, "ema": 0.5, "shards": [0], "C": {"loss": {"label": 1.0}}},
        "b": {"G": {"lr": 1e-3, "betas": [0.5, 0.9], "lr_schedule": "cosine", "loss": {"mse": 1.0, "aux": 0.1}}},
    },
}


@target("config.yaml", lambda folder: yamls(EXPERIMENT))
def _(folder: Path, content: bytes) -> None:
    """Up to where training begins. The parser ends the process with 2 and its line."""
    (folder / "config.yaml").write_bytes(content)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.chdir(folder):
            args = train_parser().parse_args(["--config", str(folder / "config.yaml")])
            values = args.as_dict()
            require_stages(values, values.pop("config", None))
            values.pop("resume")
            values.pop("from_stage")
            training_config(values)
    except SystemExit as end:
        if end.code != 2 or said.getvalue().count("\n") != 1:
            raise Finding(f"exit {end.code}: {said.getvalue()[:300]!r}") from end
        raise StoryganError(said.getvalue()[:-1]) from end


@target("contenders.yaml", lambda folder: yamls({"a": {"stages.b.G.lr": 0.1}, "b": {"model.variant": "svc"}}))
def _(folder: Path, content: bytes) -> None:
    (folder / "contenders.yaml").write_bytes(content)
    read_contenders(str(folder / "contenders.yaml"), TrainConfig.from_dict(EXPERIMENT))


# ---- run folders ----


class SmallTrainer(StageTrainer):
    """A trainer's networks with 30 numbers in place of millions; real optimizers and averages."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        G, D_I, D_S = (nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3)) for _ in range(3))
        self.config, self.name, self.k = TrainConfig(), "only", 3
        self.model: Any = G
        self.nets = Networks(G, D_I, D_S)
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
            for name, network in self.nets.each().items()
        }
        self.ema = AveragedModel(G, use_buffers=True)
        self.adversarial_ratio = AdversarialRatio(1.0, cast(Processes, None))

    def step(self) -> None:
        """What an iteration does with what a checkpoint holds."""
        for name, network in self.nets.each().items():
            network(torch.rand(8, 2, 5, 5)).square().mean().backward()
            self.optimizers[name].step()
            self.optimizers[name].zero_grad()
        assert self.ema is not None
        self.ema.update_parameters(self.model)


@functools.cache
def small_trainer() -> SmallTrainer:
    """It has been trained for a moment."""
    trainer = SmallTrainer()
    trainer.step()
    return trainer


class NoStories:
    """As much of a data set as a run folder asks for."""

    fingerprint = "x"

    def __len__(self) -> int:
        return 0


NO_STORIES: Any = NoStories()


def saved(state: Any) -> bytes:
    """A checkpoint's file."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def sound_checkpoint() -> dict[str, Any]:
    """Of the small trainer."""
    progress = {"step": 3, "data": "x", "seconds": 1.0, "best": None}
    return {**copy.deepcopy(small_trainer().state_dict()), **progress}


def lying_checkpoints() -> Iterator[Any]:
    """States that are none of the small trainer's."""
    strangers = (None, 5, "x", [], torch.zeros(2, 3))
    sound = sound_checkpoint()
    yield from ({**sound, name: stranger} for name in sound for stranger in strangers)
    changed = {name: sound.pop(name) for name in ("G", "G_adam", "stage", "k")}
    yield from ({**sound, **other} for other in grafted(changed, strangers) if isinstance(other, dict))
    sound |= changed
    moments = sound["G_adam"]["state"][0]
    for name in ("exp_avg", "exp_avg_sq"):
        shape = moments[name].shape
        for value in (torch.zeros(1), torch.zeros(1).expand(shape), torch.full(shape, -1.0), torch.full(shape, np.inf)):
            yield lying(sound, {**moments, name: value})
        for value in (torch.zeros(shape, dtype=torch.float64), torch.zeros(shape).to_sparse(), torch.zeros(10**6)):
            yield lying(sound, {**moments, name: value})
    for value in (-1.0, 0.0, 1e30, np.nan):
        yield lying(sound, {**moments, "step": torch.tensor(value)})
    for value in (-1, 10**30, 2**63, torch.zeros(2), True):
        yield {**sound, "step": value}
        yield {**sound, "k": value}


def lying(sound: dict[str, Any], moments: Any) -> dict[str, Any]:
    """The checkpoint with other moments of the generator's first parameter."""
    adam = sound["G_adam"]
    return {**sound, "G_adam": {**adam, "state": {**adam["state"], 0: moments}}}


def _checkpoints(folder: Path) -> Iterator[bytes]:
    yield save_checkpoint(folder / "sound", 3, sound_checkpoint(), keep=1).read_bytes()
    yield from map(saved, (None, [], 5, {"step": -1}, {"step": "x"}, {}))
    yield from map(saved, lying_checkpoints())
    file = io.BytesIO()
    torch.save(sound_checkpoint(), file, _use_new_zipfile_serialization=False)
    yield file.getvalue()
    yield from zip_bombs()


def zip_bombs() -> Iterator[bytes]:
    """Files that are small only until they are unpacked."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"step": 1}, 2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", bytes(3 * 10**7))
    yield file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.")
        archive.writestr("archive/version", "3\n")
    yield file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"../../..{PLANTED}", b"x")
        archive.writestr("archive/data.pkl", HASH_BOMB)
        archive.writestr("archive/version", "3\n")
    yield file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", EXPLOIT)
        archive.writestr("archive/version", "3\n")
    yield file.getvalue()


def resealed(content: bytes) -> bytes:
    """The same archive with right checksums: whoever lies writes those, too."""
    file = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
            for entry in old.infolist():
                with old.open(entry) as part:
                    part._expected_crc = None  # type: ignore[attr-defined]
                    new.writestr(entry.filename, part.read(10**7))
    except Exception:  # of zipfile, on what is no archive any more
        return content
    return file.getvalue()


@target("checkpoint", _checkpoints)
def _(folder: Path, content: bytes) -> None:
    """Read as a run that goes on reads it."""
    write(folder / "checkpoints/step-00000003.pt", content)
    load_checkpoint(folder / "checkpoints/step-00000003.pt")
    with contextlib.redirect_stderr(io.StringIO()):
        newest_checkpoint(folder / "checkpoints")


@target("checkpoint with right checksums", _checkpoints)
def _(folder: Path, content: bytes) -> None:
    """Gone on with."""
    write(folder / "config.yaml", b"")
    write(folder / "checkpoints/step-00000003.pt", resealed(content))
    stage = StageConfig(iterations=3, G=GeneratorConfig(loss=GeneratorLoss(mse=1)))
    config = TrainConfig(run=str(folder), stages={"only": stage})
    with contextlib.redirect_stderr(io.StringIO()), RunFolder(config, resume=True, dataset=NO_STORIES) as run:
        assert run.checkpoint is not None
        assert isinstance(run.checkpoint["seconds"] + (run.checkpoint["best"] or 0.0), float)
        trainer = small_trainer()
        trainer.load_state_dict(run.checkpoint)
        trainer.step()


def _logs(folder: Path) -> Iterator[bytes]:
    line = {"step": 1, "stage": 1, "G/L_KL": 17.77, "D_I/L_image": 3}
    yield b"".join(json.dumps({**line, "step": n}).encode() + b"\n" for n in range(1, 4))
    yield from (content + b"\n" for content in jsons(line))
    yield from (b"", b'{"step": 1, "G/L_KL"', b"\xff\n", b"5\n", b"{}\n", b"\x00\n", b'{"step": 1}\n', b"\n\n")


@target("metrics.jsonl", _logs)
def _(folder: Path, content: bytes) -> None:
    """Cut as a run that goes on cuts it, and drawn as a comparison draws it."""
    write(folder / "metrics.jsonl", content)
    ElementTree.fromstring(draw_curves({"a": read_curves(folder / "metrics.jsonl")}))
    run = RunFolder(TrainConfig(run=str(folder)), resume=True, dataset=NO_STORIES)
    run._cut_metrics(2)


CONTENDER = TrainConfig.from_dict(EXPERIMENT)


def run_file(name: str, sound: bytes, contents: Callable[[], Iterator[bytes]]) -> None:
    """One file of a contender's run folder, which `storygan compare` goes on with."""

    def prepare(folder: Path) -> Iterator[bytes]:
        write(folder / "config.yaml", yaml.safe_dump(CONTENDER.to_dict()).encode())
        write(folder / "checkpoints/step-00000020.pt", b"")
        yield sound
        yield from contents()

    @target(f"contender's {name}", prepare)
    def _(folder: Path, content: bytes) -> None:
        write(folder / name, content)
        run = Run(replace(CONTENDER, run=str(folder)))
        for minutes in (0, 10**6):
            run.goal(minutes)


run_file("config.yaml", yaml.safe_dump(CONTENDER.to_dict()).encode(), lambda: yamls(EXPERIMENT))
run_file("turns.json", b"[[10, 5.25], [20, 0.001]]", lambda: jsons([[20, 5.25]]))
