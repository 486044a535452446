"""The canonical form of a dataset: a folder of Parquet shards, one row a story, that `datasets.load_dataset` opens.

    FOLDER/train-00000-of-00026.parquet, ..., FOLDER/test-00000-of-00002.parquet

A folder per split (FOLDER/train/*.parquet) and FOLDER/data/ are read as well. Columns: `story_id` string, `sentences`
list of T strings, `frames` list of T images (PNG or lossless WebP bytes) and, where the dataset has them, `labels`
T x K of 0 and 1 and the columns of `NuisanceColumns`. The names of labels and nuisance values stand in the schema
metadata under b"storygan"; b"huggingface" says to the `datasets` library which columns are images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storygan.data.parquet_bounds import require_bounded, require_small, texts_and_pictures
from storygan.errors import StoryganError, reason
from storygan.files import atomic_open, parse_json

SPLITS = ("train", "validation", "test")  # the names that load_dataset recognises in file names
UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, IndexError)  # what Arrow raises on bad bytes
ROWS_PER_GROUP = 64  # a reader holds one row group at a time: 64 stories of 4 frames of 8 kB are 2 MB


@dataclass(frozen=True)
class NuisanceColumns:
    """The optional columns of a data set that describe its nuisance variables, each independent of the others."""

    story: tuple[str, ...] | None = None
    """Names of the values of `story_nuisance`; None: there is no such column."""
    frame: tuple[str, ...] | None = None
    """Names of the values of `frame_nuisance`; None: there is no such column."""
    foreground: bool = False
    """Whether there is a column `foreground`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        there = {"story_nuisance": self.story, "frame_nuisance": self.frame, "foreground": self.foreground or None}
        return tuple(name for name, value in there.items() if value is not None)

    def __str__(self) -> str:
        values = [(self.story, "a story"), (self.frame, "a sentence")]
        counts = ", ".join(f"{len(names)} values {of}" for names, of in values if names is not None)
        return "; ".join(filter(None, [counts, "foreground masks" if self.foreground else ""]))


NO_NUISANCE = NuisanceColumns()


@dataclass(frozen=True)
class Story:
    """One row: T sentences, T encoded images (PNG or WebP bytes), and the columns that not every data set has."""

    story_id: str
    sentences: list[str]
    frames: list[bytes]
    labels: list[list[int]] | None = None
    """T x K of 0 and 1."""
    story_nuisance: list[float] | None = None
    """Standard normal over the data set; single precision."""
    frame_nuisance: list[list[float | None]] | None = None
    """T rows of values that are standard normal over the data set; None where a sentence has no such value."""
    foreground: list[bytes] | None = None
    """T masks of a frame's size, PNG bytes of one channel; nonzero where an object or a character is shown."""


COLUMNS = tuple(field.name for field in fields(Story))


def story_schema(label_names: Sequence[str] | None, nuisance: NuisanceColumns = NO_NUISANCE) -> pa.Schema:
    """The Arrow schema of a shard; `labels` is a column only where there are label names."""

    def sequence(feature: object) -> dict[str, object]:
        return {"feature": feature, "_type": "Sequence"}  # understood by every version of datasets since 2

    def values(name: str) -> dict[str, object]:
        return {"dtype": name, "_type": "Value"}

    images = (pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])), sequence({"_type": "Image"}))
    columns: dict[str, tuple[pa.DataType, dict[str, object]]] = {
        "story_id": (pa.string(), values("string")),
        "sentences": (pa.list_(pa.string()), sequence(values("string"))),
        "frames": images,
    }
    if label_names is not None:
        columns["labels"] = (pa.list_(pa.list_(pa.int8())), sequence(sequence(values("int8"))))
    if nuisance.story is not None:
        columns["story_nuisance"] = (pa.list_(pa.float32()), sequence(values("float32")))
    if nuisance.frame is not None:
        columns["frame_nuisance"] = (pa.list_(pa.list_(pa.float32())), sequence(sequence(values("float32"))))
    if nuisance.foreground:
        columns["foreground"] = images
    own = {
        "format": 1,
        "label_names": None if label_names is None else list(label_names),
        "story_nuisance": nuisance.story,
        "frame_nuisance": nuisance.frame,
        "foreground": nuisance.foreground,
    }
    features = {name: feature for name, (_, feature) in columns.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}}), "storygan": json.dumps(own)}
    return pa.schema([(name, kind) for name, (kind, _) in columns.items()], metadata=metadata)


def shard_name(split: str, index: int, count: int) -> str:
    """`train-00003-of-00026.parquet` for shard 3 of 26."""
    if split not in SPLITS:
        raise StoryganError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


def write_shard(
    path: str | Path,
    stories: Sequence[Story],
    label_names: Sequence[str] | None,
    nuisance: NuisanceColumns = NO_NUISANCE,
) -> None:
    """Write one shard, whole or not at all; the same stories give the same bytes.

    Raises:
        StoryganError: a story has not exactly the columns named, or the disk is full.
    """
    path = Path(path)
    for story in stories:
        _require_consistent(story, label_names, nuisance)
    schema = story_schema(label_names, nuisance)
    columns = {name: [getattr(story, name) for story in stories] for name in schema.names}
    for name in columns.keys() & {"frames", "foreground"}:
        columns[name] = [[{"bytes": image, "path": None} for image in images] for images in columns[name]]
    table = pa.table(columns, schema=schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_open(path, path.with_name(f".{path.name}.{os.getpid()}.tmp")) as file:
        pq.write_table(table, file, row_group_size=ROWS_PER_GROUP, compression="zstd", write_page_checksum=True)


def _require_consistent(story: Story, label_names: Sequence[str] | None, nuisance: NuisanceColumns) -> None:
    t = len(story.sentences)
    for text in (story.story_id, *story.sentences):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise StoryganError(f"story {story.story_id!r}: {text!r} is no text (it has half a character)")
    if len(story.frames) != t:
        raise StoryganError(f"story {story.story_id!r} has {t} sentences but {len(story.frames)} frames: need as many")
    if (story.labels is None) != (label_names is None):
        raise StoryganError(f"story {story.story_id!r}: give labels and label names together, or neither")
    if label_names is not None and [len(row) for row in story.labels or []] != [len(label_names)] * t:
        raise StoryganError(f"story {story.story_id!r}: labels must be {t} rows of {len(label_names)} values")
    has = {
        "story_nuisance": None if story.story_nuisance is None else [len(story.story_nuisance)],
        "frame_nuisance": None if story.frame_nuisance is None else [len(row) for row in story.frame_nuisance],
        "foreground": None if story.foreground is None else len(story.foreground),
    }
    needs = {
        "story_nuisance": None if nuisance.story is None else [len(nuisance.story)],
        "frame_nuisance": None if nuisance.frame is None else [len(nuisance.frame)] * t,
        "foreground": t if nuisance.foreground else None,
    }
    for name, values in needs.items():
        if has[name] != values:
            raise StoryganError(f"story {story.story_id!r}: {name} has {has[name]} values, it needs {values}")


def splits(folder: str | Path) -> list[str]:
    """The splits that the folder holds, in the order train, validation, test."""
    found = {_split_of(path) for path in _shards(Path(folder))}
    return [split for split in SPLITS if split in found]


def shard_paths(folder: str | Path, split: str) -> list[Path]:
    """The shards of a split, sorted by name; StoryganError where there is none."""
    paths = [path for path in _shards(Path(folder)) if _split_of(path) == split]
    if not paths:
        there = ", ".join(splits(folder)) or "no story shards at all"
        raise StoryganError(f"{folder} has no split {split!r} (it has {there}): name another split or folder")
    return paths


def _shards(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise StoryganError(f"{folder} is not a folder: give the folder that holds the Parquet shards")
    paths = [path for pattern in ("*.parquet", "*/*.parquet") for path in folder.glob(pattern)]
    return sorted(p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _split_of(path: Path) -> str | None:
    """The split a file belongs to by its own name (`train-...`, `train.parquet`), else by its folder's, else None."""
    prefix = path.stem.split("-")[0]
    return next((name for name in (prefix, path.parent.name) if name in SPLITS), None)


def open_shard(path: Path) -> pq.ParquetFile:
    """The opened file; StoryganError where it is not Parquet, lacks a column of a story or has a damaged footer."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")  # a pipe would be waited for
        shard = pq.ParquetFile(path, page_checksum_verification=True)
        holds_stories, sound = _holds_stories(shard.schema_arrow), _footer_agrees(shard)
        require_bounded(shard.metadata)
    except UNREADABLE as error:
        raise StoryganError(
            f"{path} cannot be read as Parquet ({reason(error)}): delete it and make it again"
        ) from error
    if holds_stories and sound:
        return shard
    shard.close()
    if not sound:
        raise StoryganError(f"{path} is damaged (its footer contradicts itself): delete it and make it again")
    raise StoryganError(f"{path} is not a shard of stories: it needs story_id, sentences and frames (image structs)")


def _footer_agrees(shard: pq.ParquetFile) -> bool:
    """Whether the two copies of our metadata, plain and within Arrow's schema, are the same and fit the schema.

    Checksums cover a Parquet file's pages, but not the footer, where the names are.
    """
    plain, arrow = (metadata or {} for metadata in (shard.metadata.metadata, shard.schema_arrow.metadata))
    if any(plain.get(key) != arrow.get(key) for key in (b"storygan", b"huggingface")):
        return False
    if b"storygan" not in plain:
        return True  # another program's
    try:
        own = parse_json(plain[b"storygan"])
        names, nuisance = own["label_names"], _nuisance_columns(own)
        for values in (names, nuisance.story, nuisance.frame):
            if values is not None and not all(isinstance(name, str) for name in values):
                return False
        return shard.schema_arrow.equals(story_schema(names, nuisance))
    except (ValueError, TypeError, KeyError):
        return False


def _holds_stories(schema: pa.Schema) -> bool:
    try:
        story_id, sentences, frames = (schema.field(name).type for name in ("story_id", "sentences", "frames"))
        texts, image = (story_id, sentences.value_type), frames.value_type
        text = all(pa.types.is_string(t) or pa.types.is_large_string(t) for t in texts)
        return text and pa.types.is_struct(image) and image.get_field_index("bytes") >= 0
    except (KeyError, AttributeError):
        return False


def label_names(path: Path) -> tuple[str, ...] | None:
    """The K names that a shard's metadata gives its labels, or None where it has none; StoryganError: it must have."""
    with open_shard(path) as shard:
        metadata, columns = shard.schema_arrow.metadata or {}, shard.schema_arrow.names
    names = parse_json(metadata.get(b"storygan", b"{}")).get("label_names")  # `_footer_agrees` has looked at it
    if names is None and "labels" in columns:
        raise StoryganError(f"{path} has labels without names in the schema metadata: make it again")
    return None if names is None else tuple(names)


def nuisance_columns(path: Path) -> NuisanceColumns:
    """Give the nuisance columns that a shard's metadata names; StoryganError as `open_shard`."""
    with open_shard(path) as shard:
        return _named(shard.schema_arrow)


def _named(schema: pa.Schema) -> NuisanceColumns:
    """Those that a schema's metadata names, which `_footer_agrees` has looked at."""
    return _nuisance_columns(parse_json((schema.metadata or {}).get(b"storygan", b"{}")))


def _nuisance_columns(own: dict) -> NuisanceColumns:
    """Of the metadata of a shard, which may be older than these columns."""
    story, frame = (own.get(name) for name in ("story_nuisance", "frame_nuisance"))
    return NuisanceColumns(
        None if story is None else tuple(story),
        None if frame is None else tuple(frame),
        bool(own.get("foreground")),
    )


def read_rows(path: Path, columns: Sequence[str] = COLUMNS, batch_size: int = ROWS_PER_GROUP) -> Iterator[dict]:
    """The rows of one shard as they stand, unchecked, those columns that it has; of nuisance columns, those that its
    metadata names. In memory are `batch_size` rows at a time, of one row group: across two, whose dictionaries differ,
    Arrow cannot read them."""
    with (
        open_shard(path) as shard,
        pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts_and_pictures(shard.schema)) as same,
    ):
        known = {"story_id", "sentences", "frames", "labels", *_named(shard.schema_arrow).columns}
        there = [name for name in columns if name in known and name in shard.schema_arrow.names]
        rows = 0
        try:
            for group in range(same.num_row_groups):
                for batch in same.iter_batches(batch_size, row_groups=[group], columns=there):
                    rows += batch.num_rows
                    require_small(batch)
                    yield from batch.to_pylist()
        except UNREADABLE as error:
            raise StoryganError(f"{path} is damaged ({reason(error)}): delete it and make it again") from error
        if rows != shard.metadata.num_rows:
            lacks = f"{rows} of {shard.metadata.num_rows} stories can be read"
            raise StoryganError(f"{path} is damaged ({lacks}): delete it and make it again")


def _story(row: dict, path: Path) -> Story:
    sentences, frames, masks = row["sentences"] or [], _images(row, "frames", path), _images(row, "foreground", path)
    others = {name: row.get(name) for name in ("labels", "story_nuisance", "frame_nuisance")}
    return Story(row["story_id"], sentences, frames, **others, foreground=masks if "foreground" in row else None)


def _images(row: dict, column: str, path: Path) -> list[bytes]:
    images: list = [(image or {}).get("bytes") for image in row.get(column) or []]
    if None in images:
        what = f"{column} without bytes: embed the images themselves"
        raise StoryganError(f"{path}: story {row['story_id']!r} has {what}")
    return images


def read_shard(path: Path) -> Iterator[Story]:
    """The stories of one shard in stored order."""
    return (_story(row, path) for row in read_rows(path))


def read_stories(folder: str | Path, split: str) -> Iterator[Story]:
    """Every story of a split, shard by shard, in stored order."""
    for path in shard_paths(folder, split):
        yield from read_shard(path)
