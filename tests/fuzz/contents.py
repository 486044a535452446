"""Hostile contents of files: bombs, exploits, and values in unexpected places."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.numpy import save as save_tensors

PLANTED = Path(tempfile.gettempdir()) / f"fuzz-was-here-{os.getpid()}"
"""The file that an exploit creates where its code is run."""
EXPLOIT = f"cos\nsystem\n(S'touch {PLANTED}'\ntR.".encode()
"""A pickle that runs a command in `pickle.load`."""
YAML_EXPLOIT = f"run: !!python/object/apply:os.system ['touch {PLANTED}']\n".encode()
HASH_BOMB = (
    b"\x80\x02)q\x00" + b"".join(bytes([104, k, 104, k, 0x86, 113, k + 1]) for k in range(60)) + b"}h\x3cK\x01s."
)
"""A pickle of a dict whose key is a tuple nested 60 deep: hashing it takes 2**60 steps."""
MEMO_BOMB = b"\x80\x02Nr\xff\xff\xff\x7f."
"""A pickle with a memo of 2**31 entries."""
YAML_BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}, *a{k - 1}]\n" for k in range(1, 40))
"""Aliases that stand for 3**39 values."""
DEEP = b"[" * 100_000
WEBP_BOMB = bytes.fromhex("5249464616000000574542505650384c0a0000002ffebfff0f8888080000")
"""16,383 x 16,383 pixels."""
WEBP_81_MEGAPIXELS = bytes.fromhex("5249464616000000574542505650384c0a0000002f27e3c9088888080000")
"""9,000 x 9,000 pixels: Pillow only warns."""
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
"""PostScript, for which Pillow runs another program."""

NESTED: list[Any] = []
for _ in range(50):
    NESTED = [NESTED]
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 10**12, 2**63, 10**300, float("inf"), float("nan"), "", "\x00", "1" * 5000),
    *("a\nb\x1b[31m\u202e\ud800", "../../../../etc/passwd", "/dev/zero", "x" * 100_000, [], {}, [[]], {"x": 1}, NESTED),
)
"""Values to put in every place of a JSON, YAML or pickle."""


def grafted(value: Any, values: tuple[Any, ...] = VALUES) -> Iterator[Any]:
    """Yield copies of a nested value with one part replaced, removed or renamed."""
    yield from values
    if isinstance(value, dict):
        for name, part in value.items():
            rest = {other: value[other] for other in value if other != name}
            yield rest
            yield from ({other: part, **rest} for other in ("", "x\ny", "../x"))
            yield from ({**value, name: other} for other in grafted(part, values))
    elif isinstance(value, list | tuple):
        for n in range(min(len(value), 2)):
            yield [*value[:n], *value[n + 1 :]]
            yield from ([*value[:n], other, *value[n + 1 :]] for other in grafted(value[n], values))


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a content with one to four changes: flip a bit, insert, replace, remove or repeat bytes, truncate."""
    numbers = (b"\x00", b"\xff", b"\x7f", b"\xff\xff\xff\x7f", b"\xff" * 8, b"-1", b"9" * 30)
    for _ in range(rng.randint(1, 4)):
        n, new = rng.randrange(len(content) + 1), rng.choice(numbers)
        k = n + rng.choice((1, 2, 4, 8, 64))
        flip = bytes(byte ^ 1 << rng.randrange(8) for byte in content[n : n + 1])
        content = rng.choice(
            (
                content[:n] + flip + content[n + 1 :],
                content[:n] + new + content[n:],
                content[:n] + new + content[n + len(new) :],
                content[:n] + content[k:],
                content[:k] + content[n:],
                content[:n],
            )
        )
    return content


# Each of these yields a valid file first, and then files that may be invalid.


def jsons(value: Any) -> Iterator[bytes]:
    """Yield JSON files."""
    yield json.dumps(value).encode()
    yield from (json.dumps(other).encode() for other in grafted(value))


def yamls(value: Any) -> Iterator[bytes]:
    """Yield YAML files."""
    yield yaml.safe_dump(value).encode()
    for other in grafted(value):
        with contextlib.suppress(yaml.YAMLError, UnicodeEncodeError):
            yield yaml.safe_dump(other).encode()
    yield from (b"seed: &a [*a]\n", b"[" * 3000, b"{a: " * 3000, b"- " * 3000, b"? [a]\n: b\n", b"a: 1\n---\nb: 2\n")
    yield from (b"run: 2001-01-01\nseed: 0b1\n", b"config: config.yaml\n", b"model: {class_path: os.system}\n")
    yield from (b"seed: !!python/name:os.system\n", b"stages: {../x: {G: {loss: {mse: 1}}}}\n", b"%YAML 9.9\n---\n")


def pickles(value: Any) -> Iterator[bytes]:
    """Yield pickles; the valid one in every protocol."""
    yield from (pickle.dumps(value, protocol) for protocol in range(6))
    arrays = (np.zeros(3), np.array(["x"]), np.array(None, object), np.zeros((0, 4)), b"../x", ("a", ()))
    yield from (pickle.dumps(other, 2) for other in (*grafted(value), *grafted(value, arrays)))


def npys(value: Any) -> Iterator[bytes]:
    """Yield .npy files with a 0-d object array, like the public ones."""
    yield npy(value)
    for other in (np.zeros(3), np.array(["x"]), np.zeros((2, 4)), ("a", ("b",))):
        yield npy(other)
        yield npy_of_array(np.asarray(other, None if isinstance(other, np.ndarray) else object))
    yield from map(npy, grafted(value))
    yield from (npy_header(descr=descr) for descr in ("(" * 150 + ")" * 150, "'f8', (" * 20, "'<f8'*9**9**9"))
    yield from (npy_header("'|u1'", shape) for shape in ("(0, 64, 64, 3)", "(1, 64, 0, 3)", "(4000000000,)"))


def npy(content: object) -> bytes:
    """Return a .npy file with a 0-d object array."""
    array = np.empty((), dtype=object)
    array[()] = content
    return npy_of_array(array)


def npy_of_array(array: np.ndarray) -> bytes:
    """Return a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_header(descr: str = "'|O'", shape: str = "()") -> bytes:
    """Return the header of a .npy file."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def tensors(arrays: dict[str, np.ndarray]) -> Iterator[bytes]:
    """Yield safetensors files without a checksum."""
    content = save_tensors(arrays)
    start = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:start]), content[start:]
    first, entry = next((name, entry) for name, entry in header.items() if name != "__metadata__")
    yield content
    entries = [*grafted(entry), *({**entry, "dtype": dtype} for dtype in ("BF16", "I64", "BOOL", "F8_E4M3", "F4"))]
    headers = [{**header, first: other} for other in entries]
    headers += [{**header, name: entry} for name in ("", "../../x", "a\nb", "__metadata__")]
    headers += [{**header, first: {**entry, "shape": [2**32, 2**32, 2**32], "data_offsets": [0, 2**62]}}]
    for text in (*(json.dumps(other).encode() for other in headers), DEEP, b"null", b"[]", b"\xff\xff"):
        yield len(text).to_bytes(8, "little") + text + data
    yield (2**63).to_bytes(8, "little")
    changes: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
        np.zeros_like,
        lambda a: a[None],
        lambda a: a.astype("i1"),
    )
    yield from (save_tensors({name: change(array) for name, array in arrays.items()}) for change in changes)


def image(mode: str = "RGB", size: tuple[int, int] = (8, 8), format: str = "PNG", **options: Any) -> bytes:
    """Return a small image."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, format, **options)
    return file.getvalue()


def png(width: int, height: int, *, bits: int = 8, colour: int = 2, data: bytes = b"", extra: bytes = b"") -> bytes:
    """Return a PNG with any header and right checksums."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png_bomb() -> bytes:
    """Return 12,000 x 12,000 pixels in 52 kB."""
    return png(12_000, 12_000, bits=1, colour=0, data=bytes(1501 * 12_000))


def images() -> Iterator[bytes]:
    """Yield images of every mode and format."""
    yield from (image(mode) for mode in ("RGB", "1", "L", "LA", "P", "RGBA", "I;16"))
    yield from (image(format="WEBP", lossless=True), image("RGBA", format="WEBP"), image(size=(1, 500)))
    yield from (image(format=other) for other in ("JPEG", "GIF", "BMP", "TIFF", "PPM", "ICO"))
    yield from (image("CMYK", format="JPEG"), image("F", format="TIFF"), image("LAB", format="TIFF"))
    yield from (png(8, 0), png(8, 8), png(2**31 - 1, 1), png(20_000, 20_000), png(8, 8, data=bytes(3 * 10**7)))
    large = b"a\0\0" + zlib.compress(bytes(3 * 10**7))
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\xff\xff\xff\xff\0\0\0\0" + bytes(4)
    for kind, data in ((b"zTXt", large), (b"iCCP", large), (b"eXIf", exif), (b"eXIf", b"II*\0\xff\xff\xff\xff")):
        yield png(8, 8, data=bytes(25 * 8), extra=chunk(kind, data))


def torch_file(state: Any) -> bytes:
    """Return what `torch.save` writes."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def torch_zip(data: bytes, compression: int = zipfile.ZIP_STORED, **others: bytes) -> bytes:
    """Return the zip of `torch.save` with another pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in {"archive/data.pkl": data, "archive/version": b"3\n", **others}.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_right_checksums(content: bytes) -> bytes:
    """Return the same zip with checksums that fit, so that mutations get past them."""
    file = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
            for entry in old.infolist():
                with old.open(entry) as part:
                    part._expected_crc = None  # type: ignore[attr-defined]
                    new.writestr(entry.filename, part.read(10**7))
    except Exception:  # no zip any more
        return content
    return file.getvalue()
