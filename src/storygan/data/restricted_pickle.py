"""Reading pickled arrays without running what is in them.

Unpickling calls whatever the file names. Here a file may name only NumPy's array, dtype and scalar constructors and
the sets, and even these are stand-ins: NumPy's own would let a forged dtype turn raw bytes into object pointers. What
comes out is made of dict, list, tuple, set, str, bytes, numbers and NumPy arrays of plain types. Files that Python 2
wrote are read with latin-1, under which their strings arrive as str.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from storygan.types import StoryganError

_PLAIN_DTYPE = re.compile(r"[<>|=]?([biufcSU?]\d{0,6}|O8?)", re.ASCII)


def load_npy(path: str | Path) -> np.ndarray:
    """The array of a .npy file, a pickled object array too; StoryganError where it is missing, broken or hostile."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if not dtype.hasobject:
                file.seek(0)
                return np.lib.format.read_array(file, allow_pickle=False)
            array = load_pickle(file, path)
    except OSError as error:
        raise StoryganError(f"{path} cannot be opened: {error.strerror or error}") from error
    except ValueError as error:
        raise StoryganError(f"{path} is not a .npy file ({error}): fetch it again") from error
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise StoryganError(f"{path} does not hold the array that its header announces: fetch it again")
    return array


def load_pickle(file: BinaryIO, name: str | Path) -> Any:
    """The next pickle of the file; `name` is for the StoryganError where it is broken or names anything else."""
    try:
        return _resolve(_Unpickler(file, encoding="latin1").load(), {})
    except pickle.UnpicklingError as error:
        raise StoryganError(f"{name} cannot be read as a pickle of arrays ({error}): nothing of it was run") from error
    except Exception as error:  # a forged pickle can make its reader raise anything
        reason = f"{type(error).__name__}: {error}"
        raise StoryganError(f"{name} is a broken pickle ({reason}): fetch it again") from error


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
    _ADMITTED[_builtins, "set"] = _Global(set)
    _ADMITTED[_builtins, "frozenset"] = _Global(frozenset)
    _ADMITTED[_builtins, "bytes"] = _Global(lambda: b"")  # called without arguments, for empty bytes


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which arrays do not need") from None


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
