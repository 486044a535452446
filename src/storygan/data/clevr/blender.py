"""Run Blender in a process (blender_worker.py) that renders scenes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from storygan.data.clevr.scene import Scene
from storygan.errors import StoryganError

SCRIPT = Path(__file__).with_name("blender_worker.py")
VARIABLE = "STORYGAN_RENDER_PYTHON"
STORIES_PER_PROCESS = 400
"""Stories after which a process is replaced, because Blender's memory grows by 0.1 MB per story."""


def render_python() -> Path:
    """Return a Python with bpy: $STORYGAN_RENDER_PYTHON, .render-venv in the checkout, or this one.

    Raises:
        StoryganError: there is none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if Path(named).is_file():
            return Path(named)
        raise StoryganError(f"{VARIABLE} names {named}, which does not exist: set it to a Python that has bpy")
    python = Path(__file__).parents[4] / ".render-venv" / "bin" / "python"  # not that of the current folder
    if python.is_file():
        return python
    if importlib.util.find_spec("bpy"):
        return Path(sys.executable)
    raise StoryganError(f"no Blender to render with: run `make render-env`, or set {VARIABLE} to a Python that has bpy")


class Blender:
    """A Blender process, replaced after STORIES_PER_PROCESS stories. Use it as a context manager.

    The frames of a scene depend only on the scene and the settings.
    """

    def __init__(self, size: int = 64, supersample: int = 2, **settings: object) -> None:
        """Start the process.

        Args:
            size: pixels a side.
            supersample: factor by which the rendered size exceeds `size`; Pillow reduces it as it does the original
                frames. At equal time this is less noisy than more samples per pixel (benchmarks/clevr_render_speed.py).
            settings: other fields of blender_worker.Settings.
        """
        self.size, self.render_size = size, size * supersample
        self._settings = {"size": self.render_size, **settings}
        self._start()

    def _start(self) -> None:
        self._left = STORIES_PER_PROCESS
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [str(render_python()), "-u", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
        )
        self.pid = self._process.pid
        self._send(self._settings)

    def render(self, scene: Scene, noise: int = 0) -> np.ndarray:
        """Render a scene, with sampler seed `noise`: (T, size, size, 3) uint8 sRGB. Raises StoryganError on a crash."""
        if not self._left:
            self.close()
            self._start()
        self._left -= 1
        objects = [{**vars(o), "rotation": r} for o, r in zip(scene.objects, scene.rotations, strict=True)]
        lights = {"key": scene.key, "fill": scene.fill, "back": scene.back}
        self._send({"seed": noise, "camera": scene.camera, **lights, "objects": objects})
        assert self._process.stdout
        T, size = len(objects), self.render_size
        pixels = self._process.stdout.read(T * size * size * 3)
        if len(pixels) < T * size * size * 3:
            raise self._exit_error()
        images = map(Image.fromarray, np.frombuffer(pixels, np.uint8).reshape(T, size, size, 3))
        small = (image.resize((self.size, self.size), Image.Resampling.BILINEAR) for image in images)
        return np.stack([np.asarray(image) for image in small])

    def close(self) -> None:
        """Close the input, at which the process exits; kill it where it does not."""
        for stream in (self._process.stdin, self._process.stdout):
            try:
                if stream:
                    stream.close()
            except BrokenPipeError:
                pass
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def kill(self) -> None:
        """Kill the process: a render() in another thread raises."""
        self._process.kill()

    def __enter__(self) -> Blender:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if kind:
            self.kill()
        self.close()

    def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._exit_error() from None

    def _exit_error(self) -> StoryganError:
        code = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        if lines and "No module named 'bpy'" in lines[-1]:
            return StoryganError(f"{render_python()} has no bpy: run `make render-env`")
        return StoryganError(f"Blender stopped with exit code {code}: {lines[-1] if lines else 'no message'}")
