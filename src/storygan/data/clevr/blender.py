"""The parent's side of the renderer: one Blender process (blender_worker.py), scenes in, frames out."""

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
STORIES = 400
"""That a process draws before another takes its place: with each, Blender grows by 0.1 MB."""


def render_python() -> Path:
    """The Python that can import bpy: $STORYGAN_RENDER_PYTHON, else .render-venv here or in the checkout, else ours."""
    named = os.environ.get(VARIABLE)
    if named:
        if Path(named).is_file():
            return Path(named)
        raise StoryganError(f"{VARIABLE} names {named}, which does not exist: set it to a Python that has bpy")
    for folder in (Path.cwd(), Path(__file__).parents[4]):
        python = folder / ".render-venv" / "bin" / "python"
        if python.is_file():
            return python
    if importlib.util.find_spec("bpy"):
        return Path(sys.executable)
    raise StoryganError(f"no Blender to render with: run `make render-env`, or set {VARIABLE} to a Python that has bpy")


class Blender:
    """A Blender process, and the next one after STORIES stories. Use as a context manager; a scene's frames depend on
    the scene and the settings alone."""

    def __init__(self, size: int = 64, supersample: int = 2, **settings: object) -> None:
        """`size`: pixels a side; further settings are those of blender_worker.Settings.

        Blender draws `supersample` times the size and Pillow brings it down as it does the original frames. At equal
        time that is cleaner than more samples a pixel: benchmarks/clevr_render_speed.py.
        """
        self.size, self.drawn = size, size * supersample
        self._settings = {"size": self.drawn, **settings}
        self._start()

    def _start(self) -> None:
        self._left = STORIES
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
        """Frames (T, size, size, 3) uint8 sRGB of a scene; `noise` seeds the sampler. StoryganError if Blender dies."""
        if not self._left:
            self.close()
            self._start()
        self._left -= 1
        objects = [{**vars(o), "rotation": r} for o, r in zip(scene.objects, scene.rotations, strict=True)]
        lights = {"key": scene.key, "fill": scene.fill, "back": scene.back}
        self._send({"seed": noise, "camera": scene.camera, **lights, "objects": objects})
        assert self._process.stdout
        wanted = len(objects) * self.drawn * self.drawn * 3
        pixels = self._process.stdout.read(wanted)
        if len(pixels) < wanted:
            raise self._death()
        frames = np.frombuffer(pixels, np.uint8).reshape(len(objects), self.drawn, self.drawn, 3)
        return np.stack([self._small(frame) for frame in frames])

    def _small(self, frame: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(frame).resize((self.size, self.size), Image.Resampling.BILINEAR))

    def close(self) -> None:
        """End the process: it leaves when its input ends, and is ended when it does not."""
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
        """End the process at once: a render() that waits in another thread raises."""
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
            raise self._death() from None

    def _death(self) -> StoryganError:
        code = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        if lines and "No module named 'bpy'" in lines[-1]:
            return StoryganError(f"{render_python()} has no bpy: run `make render-env`")
        return StoryganError(f"Blender stopped with exit code {code}: {lines[-1] if lines else 'it said nothing'}")
