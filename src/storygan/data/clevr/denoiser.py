"""Open Image Denoise, from the library that Blender brings, on buffers of its own. Used by blender_worker.py alone.

Blender's own call hands over buffers at any address, and the last bits of the result vary from run to run with them;
those that the library allocates are aligned, and the same pixels give the same bytes every time.
"""

from __future__ import annotations

import ctypes
from ctypes import c_bool, c_char_p, c_int, c_size_t, c_void_p

import numpy as np

CPU, FLOAT3 = 1, 3  # OIDNDeviceType, OIDNFormat
QUALITY = {"FAST": 4, "BALANCED": 5, "HIGH": 6}  # OIDNQuality
_FUNCTIONS = {  # name: result, arguments
    "oidnNewDevice": (c_void_p, [c_int]),
    "oidnSetDeviceInt": (None, [c_void_p, c_char_p, c_int]),
    "oidnSetDeviceBool": (None, [c_void_p, c_char_p, c_bool]),
    "oidnCommitDevice": (None, [c_void_p]),
    "oidnGetDeviceError": (c_int, [c_void_p, c_void_p]),
    "oidnNewBuffer": (c_void_p, [c_void_p, c_size_t]),
    "oidnGetBufferData": (c_void_p, [c_void_p]),
    "oidnNewFilter": (c_void_p, [c_void_p, c_char_p]),
    "oidnSetFilterImage": (None, [c_void_p, c_char_p, c_void_p, c_int, *[c_size_t] * 5]),
    "oidnSetFilterBool": (None, [c_void_p, c_char_p, c_bool]),
    "oidnSetFilterInt": (None, [c_void_p, c_char_p, c_int]),
    "oidnCommitFilter": (None, [c_void_p]),
    "oidnExecuteFilter": (None, [c_void_p]),
}


class Denoiser:
    """The library's ray tracing filter for square sRGB pictures, on one thread."""

    def __init__(self, size: int, quality: str = "FAST") -> None:
        """`size`: pixels a side; `quality`: a key of QUALITY. OSError where bpy has not been imported."""
        self._oidn = oidn = ctypes.CDLL("libOpenImageDenoise.so.2")
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(oidn, name)
            function.restype, function.argtypes = result, arguments
        self._device = oidn.oidnNewDevice(CPU)
        oidn.oidnSetDeviceInt(self._device, b"numThreads", 1)
        oidn.oidnSetDeviceBool(self._device, b"setAffinity", False)
        oidn.oidnCommitDevice(self._device)
        self._filter = oidn.oidnNewFilter(self._device, b"RT")
        self._color, self._output = (self._image(name, size) for name in (b"color", b"output"))
        oidn.oidnSetFilterBool(self._filter, b"srgb", True)
        oidn.oidnSetFilterInt(self._filter, b"quality", QUALITY[quality])
        oidn.oidnCommitFilter(self._filter)
        self._check()

    def denoise(self, frame: np.ndarray) -> np.ndarray:
        """(size, size, 3) uint8 sRGB -> the same, without grain. RuntimeError if the library fails."""
        self._color[:] = frame
        self._color /= 255.0
        self._oidn.oidnExecuteFilter(self._filter)
        self._check()
        return np.rint(self._output * 255.0).clip(0, 255).astype(np.uint8)

    def _image(self, name: bytes, size: int) -> np.ndarray:
        """A float picture in the library's memory, bound to the filter as `name`."""
        buffer = self._oidn.oidnNewBuffer(self._device, size * size * 3 * 4)
        self._oidn.oidnSetFilterImage(self._filter, name, buffer, FLOAT3, size, size, 0, 0, 0)
        address = ctypes.cast(self._oidn.oidnGetBufferData(buffer), ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(address, (size, size, 3))

    def _check(self) -> None:
        message = c_char_p()
        if self._oidn.oidnGetDeviceError(self._device, ctypes.byref(message)):
            raise RuntimeError(f"Open Image Denoise: {(message.value or b'').decode()}")
