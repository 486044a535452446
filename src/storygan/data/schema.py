"""Read and write data sets in the canonical form: a folder of Parquet shards, one row per story.

    FOLDER/train-00000-of-00026.parquet, ..., FOLDER/test-00000-of-00002.parquet

`datasets.load_dataset(FOLDER)` opens the folder. Splits may also be folders (FOLDER/train/*.parquet). The columns are
the fields of `Story`. The schema metadata holds `Metadata` under b"storygan", and the features of datasets under
b"huggingface". The label names are a JSON list in the one place there that datasets keeps for a multi-hot column:
`json.loads(stories.features["labels"].feature.feature.id)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storygan.clevr.constants import ASPECT
from storygan.errors import StoryganError, machine_failed, reason
from storygan.files import atomic_open, parse_json
from storygan.text.clevr import LABELS as CLEVR_LABELS

SPLITS = ("train", "validation", "test")  # the names that load_dataset recognises in file names
PARQUET_ERRORS = (pa.ArrowException, OSError, ValueError, KeyError, IndexError)  # raised by Arrow on damaged files
STORIES_PER_ROW_GROUP = 64  # a reader holds one row group in memory: 64 stories of 4 frames of 8 kB are 2 MB
MAX_ROWS, MAX_BYTES = 2**24, 2**30  # of a row group, and bytes of a batch after decompression


@dataclass(frozen=True)
class NuisanceColumns:
    """The optional nuisance columns of a data set, each independent of the others."""

    story: tuple[str, ...] | None = None
    """Names of the values of `story_nuisance`; None: no such column."""
    frame: tuple[str, ...] | None = None
    """Names of the values of `frame_nuisance`; None: no such column."""
    foreground: bool = False
    """Whether there is a column `foreground`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        present = {"story_nuisance": self.story, "frame_nuisance": self.frame, "foreground": self.foreground or None}
        return tuple(name for name, value in present.items() if value is not None)

    def __str__(self) -> str:
        values = [(self.story, "story"), (self.frame, "sentence")]
        counts = ", ".join(f"{len(names)} values per {unit}" for names, unit in values if names is not None)
        return "; ".join(filter(None, [counts, "foreground masks" if self.foreground else ""]))


NO_NUISANCE = NuisanceColumns()


@dataclass(frozen=True)
class Metadata:
    """The schema metadata of a shard."""

    label_names: tuple[str, ...] | None = None
    """K names; None: no column `labels`."""
    nuisance: NuisanceColumns = NO_NUISANCE
    aspect_ratio: float = 1.0
    """Width by height at which to display a frame."""


@dataclass(frozen=True)
class Story:
    """One row: T sentences, T encoded images (PNG or lossless WebP bytes), and the optional columns."""

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
    """T masks of a frame's size, PNG bytes of one channel; nonzero where an object or a character is visible."""


COLUMNS = tuple(field.name for field in fields(Story))


def story_schema(
    label_names: Sequence[str] | None, nuisance: NuisanceColumns = NO_NUISANCE, aspect_ratio: float = 1.0
) -> pa.Schema:
    """Return the Arrow schema of a shard; `labels` is a column only where there are label names."""

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
        label = values("int8") | {"id": json.dumps(list(label_names))}
        columns["labels"] = (pa.list_(pa.list_(pa.int8())), sequence(sequence(label)))
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
        "aspect_ratio": aspect_ratio,
    }
    features = {name: feature for name, (_, feature) in columns.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}}), "storygan": json.dumps(own)}
    return pa.schema([(name, kind) for name, (kind, _) in columns.items()], metadata=metadata)


def shard_name(split: str, index: int, count: int) -> str:
    """Return `train-00003-of-00026.parquet` for shard 3 of 26. Raises StoryganError for an unknown split."""
    if split not in SPLITS:
        raise StoryganError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


def write_shard(
    path: str | Path,
    stories: Sequence[Story],
    label_names: Sequence[str] | None,
    nuisance: NuisanceColumns = NO_NUISANCE,
    aspect_ratio: float = 1.0,
) -> None:
    """Write one shard atomically. The same stories give the same bytes.

    Raises:
        StoryganError: the columns of a story are not those named, or the disk is full.
    """
    path = Path(path)
    for story in stories:
        _require_consistent(story, label_names, nuisance)
    schema = story_schema(label_names, nuisance, aspect_ratio)
    columns = {name: [getattr(story, name) for story in stories] for name in schema.names}
    for name in columns.keys() & {"frames", "foreground"}:
        columns[name] = [[{"bytes": image, "path": None} for image in images] for images in columns[name]]
    table = pa.table(columns, schema=schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_open(path) as file:
        pq.write_table(table, file, row_group_size=STORIES_PER_ROW_GROUP, compression="zstd", write_page_checksum=True)


def _require_consistent(story: Story, label_names: Sequence[str] | None, nuisance: NuisanceColumns) -> None:
    """Raise StoryganError unless the story has exactly these columns, T rows each."""
    T, name = len(story.sentences), f"story {story.story_id!r}"
    for text in (story.story_id, *story.sentences):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise StoryganError(f"{name}: {text!r} has an unpaired surrogate, which UTF-8 cannot encode")
    if len(story.frames) != T:
        raise StoryganError(f"{name} has {T} sentences but {len(story.frames)} frames: the numbers must be equal")
    if (story.labels is None) != (label_names is None):
        raise StoryganError(f"{name}: give labels and label names together, or neither")
    if label_names is not None and [len(row) for row in story.labels or []] != [len(label_names)] * T:
        raise StoryganError(f"{name}: labels must be {T} rows of {len(label_names)} values")
    columns = (
        ("story_nuisance", story.story_nuisance, nuisance.story, lambda values: [len(values)], 1),
        ("frame_nuisance", story.frame_nuisance, nuisance.frame, lambda rows: [len(row) for row in rows], T),
        ("foreground", story.foreground, () if nuisance.foreground else None, lambda masks: [0] * len(masks), T),
    )
    for column, values, names, lengths, count in columns:
        has, expected = values and lengths(values), None if names is None else [len(names)] * count
        if has != expected:
            raise StoryganError(f"{name}: {column} has lengths {has}, expected {expected}")


def splits(folder: str | Path) -> list[str]:
    """Return the splits in the folder, in the order train, validation, test."""
    found = {_split_of(path) for path in _shards(Path(folder))}
    return [split for split in SPLITS if split in found]


def shard_paths(folder: str | Path, split: str) -> list[Path]:
    """Return the shards of a split, sorted by name. Raises StoryganError where there is none."""
    paths = [path for path in _shards(Path(folder)) if _split_of(path) == split]
    if not paths:
        present = ", ".join(splits(folder)) or "no story shards at all"
        raise StoryganError(f"{folder} has no split {split!r} (it has {present}): name another split or folder")
    return paths


def _shards(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise StoryganError(f"{folder} is not a folder: give the folder that holds the Parquet shards")
    paths = [path for pattern in ("*.parquet", "*/*.parquet") for path in folder.glob(pattern)]
    return sorted(p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _split_of(path: Path) -> str | None:
    """Return the split named by the file (`train-...`, `train.parquet`), else by its folder, else None."""
    prefix = path.stem.split("-")[0]
    return next((name for name in (prefix, path.parent.name) if name in SPLITS), None)


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a shard. Raises StoryganError where it cannot be read, is damaged, too large, or holds no stories."""
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")  # opening a pipe would block
        shard = pq.ParquetFile(path, page_checksum_verification=True)
        holds_stories, consistent = _holds_stories(shard.schema_arrow), _footer_agrees(shard)
        for index in range(shard.metadata.num_row_groups):
            group = shard.metadata.row_group(index)  # not its columns: PyArrow aborts on damaged ones
            if not 0 <= group.num_rows <= MAX_ROWS or not 0 <= group.total_byte_size <= MAX_BYTES:
                raise ValueError(f"a row group has {group.num_rows:,} rows and {group.total_byte_size:,} bytes")
    except PARQUET_ERRORS as error:
        raise _unreadable(path, "cannot be read as Parquet", error) from error
    if holds_stories and consistent:
        return shard
    shard.close()
    if not consistent:
        raise StoryganError(f"{path} is damaged (its footer contradicts itself): delete it and create it again")
    raise StoryganError(f"{path} is not a shard of stories: it needs story_id, sentences and frames (image structs)")


def _unreadable(path: Path, problem: str, error: BaseException) -> StoryganError:
    if machine_failed(error):
        return StoryganError(f"{path} cannot be read: {getattr(error, 'strerror', None) or reason(error)}")
    return StoryganError(f"{path} {problem} ({reason(error)}): delete it and create it again")


def _footer_agrees(shard: pq.ParquetFile) -> bool:
    """Return whether both copies of our metadata, plain and inside Arrow's schema, agree with the columns.

    Parquet's checksums cover the pages, but not the footer.
    """
    plain, arrow = (metadata or {} for metadata in (shard.metadata.metadata, shard.schema_arrow.metadata))
    if any(plain.get(key) != arrow.get(key) for key in (b"storygan", b"huggingface")):
        return False
    if b"storygan" not in plain:
        return True  # written by another program
    try:
        own = _parse_metadata(shard.schema_arrow)
        for names in (own.label_names, own.nuisance.story, own.nuisance.frame):
            if names is not None and not all(isinstance(name, str) for name in names):
                return False
        return 0.1 <= own.aspect_ratio <= 10 and shard.schema_arrow.equals(story_schema(own.label_names, own.nuisance))
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


def read_metadata(path: Path) -> Metadata:
    """Read the metadata of a shard; empty where another program wrote it. Raises StoryganError as `open_shard`."""
    with open_shard(path) as shard:
        metadata = _parse_metadata(shard.schema_arrow)
        if metadata.label_names is None and "labels" in shard.schema_arrow.names:
            raise StoryganError(f"{path} has labels without names: write it with storygan.data.schema.write_shard")
    return metadata


def _parse_metadata(schema: pa.Schema) -> Metadata:
    """Read our metadata; keys that an older version did not write have defaults."""
    own = parse_json((schema.metadata or {}).get(b"storygan", b'{"label_names": null}'))
    labels, story, frame = (
        None if names is None else tuple(names)
        for names in (own["label_names"], own.get("story_nuisance"), own.get("frame_nuisance"))
    )
    # version 0.1 wrote no aspect ratio; only CLEVR-SV has these labels
    aspect_ratio = own.get("aspect_ratio", ASPECT if labels == CLEVR_LABELS else 1.0)
    return Metadata(labels, NuisanceColumns(story, frame, bool(own.get("foreground"))), float(aspect_ratio))


def read_rows(path: Path, columns: Sequence[str] = COLUMNS, batch_size: int = STORIES_PER_ROW_GROUP) -> Iterator[dict]:
    """Yield the rows of a shard, not validated, with those of `columns` that it has.

    Nuisance columns count only where the metadata names them. Texts and images are read as Arrow dictionaries, where a
    repeated value takes its memory once. Arrow cannot read these across row groups, so each group is read on its own.

    Raises:
        StoryganError: the shard cannot be read, is damaged, or a batch takes more than MAX_BYTES.
    """
    with open_shard(path) as shard:
        known = {"story_id", "sentences", "frames", "labels", *_parse_metadata(shard.schema_arrow).nuisance.columns}
        present = [name for name in columns if name in known and name in shard.schema_arrow.names]
        leaves = (shard.schema.column(index) for index in range(len(shard.schema)))
        dictionaries = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        stories = shard.metadata.num_rows
    rows = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=dictionaries) as shard:
            for group in range(shard.num_row_groups):
                for batch in shard.iter_batches(batch_size, row_groups=[group], columns=present):
                    rows += batch.num_rows
                    if (size := sum(map(_unpacked_bytes, batch.columns))) > MAX_BYTES:
                        raise ValueError(f"{batch.num_rows} rows take {size:,} bytes: at most {MAX_BYTES:,} are read")
                    yield from batch.to_pylist()
    except PARQUET_ERRORS as error:
        raise _unreadable(path, "is damaged", error) from error
    if rows != stories:
        raise StoryganError(f"{path} is damaged ({rows} of {stories} stories): delete it and create it again")


def _unpacked_bytes(array: pa.Array) -> int:
    """Return the bytes of an array's values, a repeated one counted each time."""
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary).cast(pa.int64())
        return pc.sum(lengths.take(array.indices)).as_py() or 0
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _unpacked_bytes(array.flatten())
    if pa.types.is_struct(array.type):
        return sum(map(_unpacked_bytes, array.flatten()))
    return array.nbytes


def _story(row: dict, path: Path) -> Story:
    others = {name: row.get(name) for name in ("labels", "story_nuisance", "frame_nuisance")}
    masks = _images(row, "foreground", path) if "foreground" in row else None
    return Story(row["story_id"], row["sentences"] or [], _images(row, "frames", path), **others, foreground=masks)


def _images(row: dict, column: str, path: Path) -> list[bytes]:
    images: list = [(image or {}).get("bytes") for image in row[column] or []]
    if None in images:
        raise StoryganError(f"{path}: story {row['story_id']!r} has {column} without bytes: embed the images")
    return images


def read_shard(path: Path) -> Iterator[Story]:
    """Yield the stories of one shard in stored order."""
    return (_story(row, path) for row in read_rows(path))


def read_stories(folder: str | Path, split: str) -> Iterator[Story]:
    """Yield the stories of a split, shard by shard, in stored order."""
    for path in shard_paths(folder, split):
        yield from read_shard(path)
