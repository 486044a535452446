"""What a Parquet file may unpack to: a few kilobytes can stand for terabytes.

Pages are compressed (a thousandfold, where they hold zeros), and a value that is repeated is stored once (a million
times, where it is repeated so often). So the footer is asked how much there is, and texts and pictures are read as
Arrow's dictionaries, in which a repeated value stays one, and are added up before they become Python's objects. A
footer that lies about a page is bounded by the format: a page has at most 2 GiB.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAX_ROWS = 2**24
"""Of a row group; ours have 64 stories in one."""
MAX_UNPACKED = 2**30
"""Bytes of a row group, and of the rows that are handed out at once."""


def require_bounded(metadata: pq.FileMetaData) -> None:
    """Raise ValueError where the footer announces more than a computer should read at once."""
    for group in range(metadata.num_row_groups):
        of = metadata.row_group(group)  # not of.column(n): where that is damaged, PyArrow ends the process
        if not 0 <= of.num_rows <= MAX_ROWS or not 0 <= of.total_byte_size <= MAX_UNPACKED:
            raise ValueError(f"a row group of {of.num_rows:,} rows unpacks to {of.total_byte_size:,} bytes")


def texts_and_pictures(schema: pq.ParquetSchema) -> list[str]:
    """The columns to read as dictionaries (`read_dictionary`)."""
    columns = [schema.column(n) for n in range(len(schema))]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def require_small(batch: pa.RecordBatch) -> None:
    """Raise ValueError where the rows, each value on its own, take more than MAX_UNPACKED."""
    size = sum(_size(column) for column in batch.columns)
    if size > MAX_UNPACKED:
        raise ValueError(f"{batch.num_rows} of its rows unpack to {size:,} bytes, and {MAX_UNPACKED:,} is the most")


def _size(array: pa.Array) -> int:
    """Bytes of the texts and pictures in an array, as often as they come."""
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary).cast(pa.int64())
        return pc.sum(lengths.take(array.indices)).as_py() or 0
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _size(array.flatten())
    if pa.types.is_struct(array.type):
        return sum(map(_size, array.flatten()))
    return array.nbytes
