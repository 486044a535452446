"""Read pickled arrays without running code from the file.

Unpickling calls the functions that a file names. Here a file may name only NumPy's array, dtype and scalar
constructors, sets and bytes. Even these are stand-ins: with NumPy's own, a forged dtype turns raw bytes into object
pointers. The result holds dict, list, tuple, set, str, bytes, numbers and arrays of plain types. Python 2's strings are
decoded as latin-1.

The base class is Python's unpickler, not C's. It lets us check keys before they are hashed (nested tuples take 2**60
steps). It keeps its memo in a dict (in C, one opcode allocates 32 GB). 50,000 CLEVR-SV descriptions take seconds.
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

MAX_BYTES = 2**30  # of a file; the largest of the public ones has 60 MB
_PLAIN_DTYPE = re.compile(r"[<>|=]?([biufcSU?]\d{0,6}|O8?)", re.ASCII)


def load_npy(path: str | Path) -> np.ndarray:
    """Load the array of a .npy file, pickled objects included.

    Raises:
        StoryganError: the file is missing, damaged, or names anything but plain arrays.
    """
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
        raise StoryganError(f"{path} is not a .npy file ({reason(error)}): download it again") from error
    array = load_pickle(file, path)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise StoryganError(f"{path} does not hold the array that its header announces: download it again")
    return array


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Read shape and dtype of a .npy file. Raises ValueError where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of headers that Python 2 wrote
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
    except ValueError:
        raise
    except Exception as error:  # NumPy evaluates the header as a Python literal and builds a dtype of it
        raise ValueError(f"its header cannot be read: {reason(error)}") from error
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    return shape, dtype


def load_pickle(file: BinaryIO, name: str | Path) -> Any:
    """Load the next pickle of the file. Raises StoryganError, which names `name`, where it is damaged or not plain."""
    try:
        return _resolve(_Unpickler(file, encoding="latin1").load(), {})
    except pickle.UnpicklingError as error:
        raise StoryganError(f"{name} is not a pickle of plain arrays ({error}): none of its code was run") from error
    except Exception as error:  # a forged pickle can make its reader raise anything
        problem = f"{type(error).__name__}: {reason(error)}"
        raise StoryganError(f"{name} is a damaged pickle ({problem}): download it again") from error


class _Dtype:
    """A stand-in for numpy.dtype; only plain types pass."""

    def __init__(self, name: str, align: object = False, copy: object = True) -> None:
        if not _PLAIN_DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"the dtype {name!r} is not a plain type")
        self._plain = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        _, order, subarray, names, fields, *_ = state
        if order not in ("<", ">", "=", "|") or any(part is not None for part in (subarray, names, fields)):
            raise pickle.UnpicklingError("a structured dtype is not a plain type")
        self._plain = self._plain.newbyteorder(order)

    def array(self, data: Any, shape: tuple[int, ...] = (), order: str = "C") -> np.ndarray:
        """Return the array of a list of objects (dtype O) or of raw bytes (str: latin-1)."""
        count = math.prod(shape)
        if self._plain.hasobject:
            if not isinstance(data, list) or len(data) != count:
                raise pickle.UnpicklingError("an object array without its objects")
            array = np.empty(count, dtype=object)
            for index, value in enumerate(data):
                array[index] = value
        else:
            raw = data.encode("latin1") if isinstance(data, str) else data
            if not isinstance(raw, bytes | bytearray):  # bytes(n) of a number allocates n bytes
                raise pickle.UnpicklingError(f"an array of {type(data).__name__} instead of bytes")
            array = np.frombuffer(raw, self._plain, count).copy()
        return array.reshape(shape, order="F" if order == "F" else "C")


class _Array:
    """A stand-in for an ndarray; `_resolve` replaces it by the array."""

    def __init__(self, *_: object) -> None:
        self._state: tuple | None = None

    def __setstate__(self, state: tuple) -> None:
        self._state = state

    def resolve(self, memo: dict[int, Any]) -> np.ndarray:
        if self._state is None:
            raise pickle.UnpicklingError("an array without content")
        _, shape, dtype, fortran, data = self._state
        return dtype.array(_resolve(data, memo), shape, "F" if fortran else "C")


class _Global:
    """A callable that a pickle may name, without attributes that a pickle could set."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: object) -> Any:
        return self._call(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a state set on a global")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"the encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"): _Global(_Array),  # an argument of _reconstruct
    ("numpy", "dtype"): _Global(_Dtype),
    ("_codecs", "encode"): _Global(_encode),  # Python 3 pickles bytes for Python 2 so
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[_core + ".multiarray", "_reconstruct"] = _Global(_Array)
    _ALLOWED[_core + ".multiarray", "scalar"] = _Global(lambda dtype, data: dtype.array(data)[()])
    _ALLOWED[_core + ".numeric", "_frombuffer"] = _Global(
        lambda data, dtype, shape, order: dtype.array(data, shape, order)
    )
for _builtins in ("builtins", "__builtin__"):
    _ALLOWED[_builtins, "set"] = _Global(lambda items=(): set(_require_plain(items)))
    _ALLOWED[_builtins, "frozenset"] = _Global(lambda items=(): frozenset(_require_plain(items)))
    _ALLOWED[_builtins, "bytes"] = _Global(lambda: b"")  # called without arguments, for empty bytes

_PythonUnpickler: Any = pickle._Unpickler  # public in all but name


class _Unpickler(_PythonUnpickler):
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(_PythonUnpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except (KeyError, TypeError):
            raise pickle.UnpicklingError(f"it names {module}.{name}, which arrays do not need") from None


def _with_plain_keys(opcode: bytes, keys: slice) -> Callable[[Any], None]:
    """Return the opcode's function that first checks the part of the stack that it hashes."""
    inherited = _PythonUnpickler.dispatch[opcode[0]]

    def load(self: Any) -> None:
        _require_plain(self.stack[keys])
        inherited(self)

    return load


for _opcode, _keys in {
    pickle.SETITEM: slice(-2, -1),
    pickle.SETITEMS: slice(None, None, 2),  # key, value, key, value, ... since the mark
    pickle.DICT: slice(None, None, 2),
    pickle.ADDITEMS: slice(None),
    pickle.FROZENSET: slice(None),
}.items():
    _Unpickler.dispatch[_opcode[0]] = _with_plain_keys(_opcode, _keys)


def _require_plain(keys: Iterable[Any]) -> Iterable[Any]:
    """Return the keys. Raises UnpicklingError where one may take long to hash or to print."""
    for key in keys:
        for part in key if isinstance(key, tuple) else (key,):
            if not isinstance(part, str | bytes | int | float | np.generic | None):
                raise pickle.UnpicklingError(f"a key of type {type(key).__name__}")
            if isinstance(part, int) and part.bit_length() > 64:
                raise pickle.UnpicklingError("a key that is a number of more than 64 bits")
    return keys


def _resolve(value: Any, memo: dict[int, Any]) -> Any:
    """Return the value with arrays in place of their stand-ins; the memo keeps shared parts shared."""
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
