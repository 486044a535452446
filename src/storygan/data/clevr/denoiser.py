"""Open Image Denoise, from Blender's library. Only blender_worker.py imports this.

The buffers are allocated by the library, which aligns them: the same pixels give the same bytes. Blender's own call
passes buffers at any address, and the last bits of the result vary with them.
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
    """The library's ray tracing filter for square images of linear light, on one thread.

    Albedo and normal guide it, so that it keeps edges with little contrast.
    """

    def __init__(self, size: int, quality: str = "FAST") -> None:
        """Load the library. Raises OSError where bpy is not imported.

        Args:
            size: pixels a side.
            quality: a key of QUALITY.
        """
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
        """Denoise `color`; all images are (size, size, 3) float32. Raises RuntimeError if the library fails."""
        for name, image in (("color", color), ("albedo", albedo), ("normal", normal)):
            self._images[name][:] = image
        self._oidn.oidnExecuteFilter(self._filter)
        self._check()
        return self._images["output"].copy()

    def _image(self, name: bytes, size: int) -> np.ndarray:
        """Allocate a float image in the library's memory and bind it to the filter as `name`."""
        buffer = self._oidn.oidnNewBuffer(self._device, size * size * 3 * 4)
        self._oidn.oidnSetFilterImage(self._filter, name, buffer, FLOAT3, size, size, 0, 0, 0)
        address = ctypes.cast(self._oidn.oidnGetBufferData(buffer), ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(address, (size, size, 3))

    def _check(self) -> None:
        message = c_char_p()
        if self._oidn.oidnGetDeviceError(self._device, ctypes.byref(message)):
            raise RuntimeError(f"Open Image Denoise: {(message.value or b'').decode()}")


class ShadowRestorer:
    """Restore the soft shadows that a denoiser removed from a surface as noise.

    The removed part is noise, whose local mean is zero, and shadow, whose mean is not. The local mean, weighted by a
    Gaussian over the surface, is added again. This gains 1 dB (benchmarks/clevr.md).
    """

    def __init__(self, size: int, sigma: float = 3 / 128) -> None:
        """Compute the Gaussian.

        Args:
            size: pixels a side.
            sigma: standard deviation, as a share of the side.
        """
        x = np.arange(size, dtype=np.float32)
        deviation = np.abs(x - x[:, None]) / (sigma * size)
        self._blur = np.where(deviation < 4, np.exp(-0.5 * deviation**2), 0)  # beyond: denormals, which are slow

    def restore(self, noisy: np.ndarray, denoised: np.ndarray, surface: np.ndarray) -> np.ndarray:
        """Return `denoised` with the shadows of `noisy`, both (size, size, 3), on the mask `surface` (size, size)."""
        weight = surface.astype(np.float32)
        removed = np.ascontiguousarray(np.moveaxis(noisy - denoised, -1, 0)) * weight
        mean = self._mean(removed) / np.maximum(self._mean(weight), 1e-6)
        return denoised + np.moveaxis(mean * weight, 0, -1)

    def _mean(self, images: np.ndarray) -> np.ndarray:
        return self._blur @ images @ self._blur
