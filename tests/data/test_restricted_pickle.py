"""Pickled arrays load; pickles that run code, forge memory or exhaust it do not."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storygan.data.restricted_pickle import load_npy, load_pickle
from storygan.errors import StoryganError


def reload(value: Any, protocol: int) -> Any:
    return load_pickle(io.BytesIO(pickle.dumps(value, protocol)), "test")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float64).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        np.array(["ab", "é"]),
        np.array([b"ab", b"c"]),
        np.array([True, False]),
        np.zeros((0, 4), np.uint8),
        np.array(7.5),
    ],
    ids=str,
)
def test_arrays_round_trip(array: np.ndarray, protocol: int) -> None:
    loaded = reload(array, protocol)
    assert loaded.dtype == array.dtype
    assert np.array_equal(loaded, array)
    assert loaded.flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_scalars_round_trip(protocol: int) -> None:
    value = {"a": [1, 2.5, None, True], "b": ({3, 4}, frozenset("x")), "c": b"\x00\xff", "d": np.float32(1.5)}
    assert reload(value, protocol) == value


def test_object_array_keeps_its_objects_and_shared_parts(tmp_path: Path) -> None:
    vector = np.arange(3.0)
    array = np.empty((), dtype=object)
    array[()] = {"first": vector, "second": vector, "names": ["x", "y"]}
    np.save(tmp_path / "dict.npy", array)
    loaded = load_npy(tmp_path / "dict.npy").item()
    assert loaded["names"] == ["x", "y"]
    assert np.array_equal(loaded["first"], vector)
    assert loaded["first"] is loaded["second"]


def test_plain_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.eye(3))
    assert np.array_equal(load_npy(tmp_path / "plain.npy"), np.eye(3))


def test_python_2_pickle_has_str_keys() -> None:
    # what Python 2 and NumPy 1 wrote for {'k': array([1., 2.])}: byte strings as SHORT_BINSTRING, modules of NumPy 1
    body = (
        b"\x80\x02}U\x01kcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U\x10" + np.array([1.0, 2.0], "<f8").tobytes() + b"tbs."
    )
    loaded = load_pickle(io.BytesIO(body), "test")
    assert list(loaded) == ["k"]
    assert loaded["k"].tolist() == [1.0, 2.0]


class Exploit:
    def __init__(self, function: Any, *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_exploit_does_not_run(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "ran"
    for function, args in (
        (os.system, (f"touch {trace}",)),
        (eval, (f"open({str(trace)!r}, 'w')",)),
        (open, (trace, "w")),
    ):
        array = np.empty((), dtype=object)
        array[()] = {"x": Exploit(function, *args)}
        with (tmp_path / "bad.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
            pickle.dump(array, file, protocol)
        with pytest.raises(StoryganError, match="none of its code was run"):
            load_npy(tmp_path / "bad.npy")
    assert not trace.exists()


def reconstruct(state: bytes) -> bytes:
    return b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R" + state + b"b."


FROMBUFFER = b"(J\x00\x5e\xd0\x32cnumpy\ndtype\nU\x02u1\x85RK\x01\x85U\x01CtR."  # of a number, 852,516,352
DTYPE_O = b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R"
HOSTILE = {
    "object pointers from bytes": reconstruct(b"(K\x01K\x01\x85" + DTYPE_O + b"\x89U\x08AAAAAAAAt"),
    "forged flags": reconstruct(
        b"(K\x01K\x01\x85" + DTYPE_O + b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08AAAAAAAAt"
    ),
    "huge shape": reconstruct(b"(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R\x89U\x08AAAAAAAAt"),
    "structured dtype": b"\x80\x02cnumpy\ndtype\nU\x05f8,f8K\x00K\x01\x87R.",
    "no content": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.",
    "attribute of a global": b"\x80\x04cnumpy\ndtype.mro\n.",
    "dotted global": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.",
    "state set on a global": b"\x80\x02cnumpy\ndtype\n}U\x05_call]sb.",
    "slot state set on a global": b"\x80\x02cnumpy\ndtype\nN}U\x05_call]s\x86b.",
    "a bare global": b"\x80\x02cnumpy\ndtype\n.",
    "extension code": b"\x80\x02\x82\x01.",
    "persistent id": b"\x80\x02K\x01Q.",
    "new object": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "other encoding": b"\x80\x02c_codecs\nencode\nU\x01aU\x04zlib\x86R.",
    "key of tuples of tuples": b"\x80\x02)" + b"q\x00h\x00\x86" * 60 + b"}h\x00Ns.",
    "state that hides a type": b"\x80\x02cnumpy\ndtype\nN\x86.",
    "deep nesting": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "cut short": b"\x80\x02]q",
    "big bytes": b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
    "buffer of a number": b"\x80\x02cnumpy._core.numeric\n_frombuffer\n" + FROMBUFFER,
    "array content of a number": reconstruct(
        b"(K\x01K\x01\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89J\x00^\xd0\x32t"
    ),
    "scalar of a number": b"\x80\x02cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\nU\x02u1\x85RJ\x00\x5e\xd0\x32tR.",
    "key with thousands of digits": b"\x80\x02}\x8b\x00\x10\x00\x00" + b"\x7f" * 4096 + b"Ns.",
    "empty": b"",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_forged_pickle_is_a_one_line_error(body: bytes) -> None:
    with pytest.raises(StoryganError) as caught:
        load_pickle(io.BytesIO(body), "forged.npy")
    assert "forged.npy" in str(caught.value)
    assert load_pickle(io.BytesIO(pickle.dumps(np.eye(2))), "good").shape == (2, 2)  # and nothing was damaged


def test_number_instead_of_bytes_allocates_nothing() -> None:
    """`bytes(n)` allocates n bytes: here 852 MB for a pickle of 60 bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(StoryganError, match="an array of int instead of bytes"):
            load_pickle(io.BytesIO(HOSTILE["buffer of a number"]), "test")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_large_memo_index_allocates_nothing() -> None:
    assert load_pickle(io.BytesIO(b"\x80\x02Nr\xff\xff\xff\xff."), "test") is None  # in C, 64 GB


def test_nested_sharing_stays_linear() -> None:
    body = (
        b"\x80\x02]q\x00" + b"".join(b"]q" + bytes([k + 1]) + (b"h" + bytes([k]) + b"a") * 9 for k in range(60)) + b"."
    )
    assert len(load_pickle(io.BytesIO(body), "test")) == 9


@given(st.data())
def test_flipped_byte_gives_a_value_or_a_storygan_error(data: st.DataObject) -> None:
    body = bytearray(pickletools.optimize(pickle.dumps({"a": np.arange(3.0), "b": ["x", 1]}, 2)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(StoryganError):
            load_pickle(io.BytesIO(bytes(body)), "test")


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00\x10\x00{'descr': 'f8'}"])
def test_other_file_is_a_one_line_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(StoryganError, match=r"x\.npy is not a \.npy file"):
        load_npy(tmp_path / "x.npy")
    with pytest.raises(StoryganError, match=r"y\.npy cannot be opened"):
        load_npy(tmp_path / "y.npy")
