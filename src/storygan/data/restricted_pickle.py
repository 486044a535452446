"""Reading pickled arrays without running what is in them.

Unpickling calls whatever the file names. Here a file may name only NumPy's array, dtype and scalar constructors and
the sets, and even these are stand-ins: NumPy's own would let a forged dtype turn raw bytes into object pointers. What
comes out is made of dict, list, tuple, set, str, bytes, numbers and NumPy arrays of plain types. Files that Python 2
wrote are read with latin-1, under which their strings arrive as str.

The reader is Python's own, not the one in C: only in it can keys be looked at before they are hashed (a tuple of tuples
of ... takes 2**60 steps), and it keeps its memo in a dict (in C, one opcode asks for 32 GB). 50,000 descriptions of
CLEVR-SV take it seconds.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from storygan.errors import StoryganError, reason
from storygan.files import read_file

MAX_BYTES = 2**30  # of a pickle; the largest of the public ones has 60 MB
_PLAIN_DTYPE = re.compile(r"[<>|=]?([biufcSU?]\d{0,6}|O8?)", re.ASCII)


def load_npy(path: str | Path) -> np.ndarray:
    """The array of a .npy file, a pickled object array too; StoryganError where it is missing, broken or hostile."""
    path = Path(path)
    try:
        file = io.BytesIO(read_file(path, MAX_BYTES))
        shape, dtype = _read_header(file)
        if not dtype.hasobject:
            if math.prod(shape) * dtype.itemsize > len(file.getbuffer()) - file.tell():
                raise ValueError("it is shorter than its header announces")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise StoryganError(f"{path} cannot be opened: {error.strerror or error}") from error
    except ValueError as error:
        raise StoryganError(f"{path} is not a .npy file ({reason(error)}): fetch it again") from error
    array = load_pickle(file, path)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise StoryganError(f"{path} does not hold the array that its header announces: fetch it again")
    return array


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that the file announces; ValueError where it is no .npy file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of headers that Python 2 wrote
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
    except ValueError:
        raise
    except Exception as error:  # it is read as Python source, and what it names becomes a type
        raise ValueError(f"its header cannot be read: {reason(error)}") from error
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    return shape, dtype


def load_pickle(file: BinaryIO, name: str | Path) -> Any:
    """The next pickle of the file; `name` is for the StoryganError where it is broken or names anything else."""
    try:
        return _resolve(_Unpickler(file, encoding="latin1").load(), {})
    except pickle.UnpicklingError as error:
        raise StoryganError(f"{name} cannot be read as a pickle of arrays ({error}): nothing of it was run") from error
    except Exception as error:  # a forged pickle can make its reader raise anything
        said = f"{type(error).__name__}: {reason(error)}"
        raise StoryganError(f"{name} is a broken pickle ({said}): fetch it again") from error


class _Dtype:
    """Stands in for numpy.dtype while a pickle is read; only plain types pass."""

    def __init__(self, name: str, align: object = False, copy: object = True) -> None:
        if not _PLAIN_DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"the dtype {name!r} is not a plain type")
        self._plain = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        _, order, subarray, names, fields, *_ = state
        if order not in ("<", ">", "=", "|") or any(part is not None for part in (subarray, names, fields)):
            raise pickle.UnpicklingError("a structured dtype is not a plain type")
        self._plain = self._plain.newbyteorder(order)

    def fill(self, shape: tuple[int, ...], order: str, data: Any) -> np.ndarray:
        """The array with this content: a list of objects for dtype O, else raw bytes."""
        count = math.prod(shape)
        if self._plain.hasobject:
            if not isinstance(data, list) or len(data) != count:
                raise pickle.UnpicklingError("an object array without its objects")
            array = np.empty(count, dtype=object)
            for index, value in enumerate(data):
                array[index] = value
        else:
            raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
            array = np.frombuffer(raw, self._plain, count).copy()
        return array.reshape(shape, order="F" if order == "F" else "C")


class _Array:
    """Stands in for an ndarray while a pickle is read; `_resolve` puts the array in its place."""

    def __init__(self, *_: object) -> None:
        self._state: tuple | None = None

    def __setstate__(self, state: tuple) -> None:
        self._state = state

    def resolve(self, memo: dict[int, Any]) -> np.ndarray:
        if self._state is None:
            raise pickle.UnpicklingError("an array without content")
        _, shape, dtype, fortran, data = self._state
        return dtype.fill(shape, "F" if fortran else "C", _resolve(data, memo))


class _Global:
    """One thing a pickle may name: it can be called, and nothing a pickle does can change it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: object) -> Any:
        return self._make(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a state set on a global")


def _scalar(dtype: _Dtype, data: bytes | str) -> Any:
    return dtype.fill((), "C", data)[()]


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    return dtype.fill(shape, order, data)


def _to_bytes(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"the encoding {encoding!r}")
    return text.encode("latin1")


_ADMITTED = {
    ("numpy", "ndarray"): _Global(_Array),  # an argument of _reconstruct
    ("numpy", "dtype"): _Global(_Dtype),
    ("_codecs", "encode"): _Global(_to_bytes),  # how Python 3 writes bytes for Python 2
}
for _core in ("numpy.core", "numpy._core"):
    _ADMITTED[_core + ".multiarray", "_reconstruct"] = _Global(_Array)
    _ADMITTED[_core + ".multiarray", "scalar"] = _Global(_scalar)
    _ADMITTED[_core + ".numeric", "_frombuffer"] = _Global(_from_buffer)
for _builtins in ("builtins", "__builtin__"):
    _ADMITTED[_builtins, "set"] = _Global(lambda items=(): set(_plain(items)))
    _ADMITTED[_builtins, "frozenset"] = _Global(lambda items=(): frozenset(_plain(items)))
    _ADMITTED[_builtins, "bytes"] = _Global(lambda: b"")  # called without arguments, for empty bytes


_PurePython: Any = pickle._Unpickler  # public in all but name


class _Unpickler(_PurePython):
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(_PurePython.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except (KeyError, TypeError):
            raise pickle.UnpicklingError(f"it names {module}.{name}, which arrays do not need") from None

    def _keys(self, opcode: bytes) -> Iterable[Any]:
        """What the opcode is about to hash."""
        if opcode == pickle.SETITEM:
            return self.stack[-2:-1]
        if opcode == pickle.FROZENSET or opcode == pickle.ADDITEMS:
            return self.stack
        return self.stack[::2]  # DICT, SETITEMS: key, value, key, value, ... since the mark


def _with_plain_keys(opcode: bytes) -> Callable[[Any], None]:
    inherited = _PurePython.dispatch[opcode[0]]

    def load(self: _Unpickler) -> None:
        _plain(self._keys(opcode))
        inherited(self)

    return load


for _opcode in (pickle.SETITEM, pickle.SETITEMS, pickle.DICT, pickle.ADDITEMS, pickle.FROZENSET):
    _Unpickler.dispatch[_opcode[0]] = _with_plain_keys(_opcode)


def _plain(keys: Iterable[Any]) -> Iterable[Any]:
    """The keys, where none of them takes long to hash."""
    for key in keys:
        parts = key if isinstance(key, tuple) else (key,)
        if any(not isinstance(part, str | bytes | int | float | np.generic | None) for part in parts):
            raise pickle.UnpicklingError(f"a key of type {type(key).__name__}")
    return keys


def _resolve(value: Any, memo: dict[int, Any]) -> Any:
    """The value with arrays in place of their stand-ins. The memo keeps shared parts shared, so no blow-up."""
    if id(value) in memo:
        return memo[id(value)]
    result = value
    if isinstance(value, dict):
        result = memo[id(value)] = {}
        result.update((_resolve(key, memo), _resolve(item, memo)) for key, item in value.items())
    elif isinstance(value, list):
        result = memo[id(value)] = []
        result.extend(_resolve(item, memo) for item in value)
    elif isinstance(value, tuple | set | frozenset):
        result = memo[id(value)] = type(value)(_resolve(item, memo) for item in value)
    elif isinstance(value, _Array):
        result = memo[id(value)] = value.resolve(memo)
    elif isinstance(value, _Dtype | _Global):
        raise pickle.UnpicklingError("it holds a type where a value belongs")
    return result
