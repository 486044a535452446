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
    """The library's ray tracing filter for square pictures of linear light, on one thread.

    Beside the light it sees what it fell on, albedo and normal, and so keeps edges that the light alone hardly shows.
    """

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
        names = ("color", "albedo", "normal", "output")
        self._images = {name: self._image(name.encode(), size) for name in names}
        oidn.oidnSetFilterBool(self._filter, b"hdr", True)
        oidn.oidnSetFilterInt(self._filter, b"quality", QUALITY[quality])
        oidn.oidnCommitFilter(self._filter)
        self._check()

    def denoise(self, color: np.ndarray, albedo: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Three pictures (size, size, 3) float32 -> `color` without grain. RuntimeError if the library fails."""
        for name, picture in (("color", color), ("albedo", albedo), ("normal", normal)):
            self._images[name][:] = picture
        self._oidn.oidnExecuteFilter(self._filter)
        self._check()
        return self._images["output"].copy()

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


class ShadowKeeper:
    """Gives a surface back the soft shadows that a denoiser took for grain.

    What the denoiser removed is grain, whose mean over some pixels is zero, and shadow, whose mean is not: the mean,
    weighted by a Gaussian and taken on the surface alone, is added again. It is worth 1 dB (benchmarks/clevr.md).
    """

    def __init__(self, size: int, sigma: float = 3 / 128) -> None:
        """`size`: pixels a side; `sigma`: of the Gaussian, as a share of the side."""
        x = np.arange(size, dtype=np.float32)
        deviation = np.abs(x - x[:, None]) / (sigma * size)
        self._blur = np.where(deviation < 4, np.exp(-0.5 * deviation**2), 0)  # further out: denormals, and slow

    def restore(self, noisy: np.ndarray, clean: np.ndarray, surface: np.ndarray) -> np.ndarray:
        """Two pictures (size, size, 3) of linear light and a mask (size, size) -> `clean` with the shadows."""
        weight = surface.astype(np.float32)
        lost = np.ascontiguousarray(np.moveaxis(noisy - clean, -1, 0)) * weight
        mean = self._mean(lost) / np.maximum(self._mean(weight), 1e-6)
        return clean + np.moveaxis(mean * weight, 0, -1)

    def _mean(self, pictures: np.ndarray) -> np.ndarray:
        return self._blur @ pictures @ self._blur
