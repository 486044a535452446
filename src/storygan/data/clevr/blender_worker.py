"""Blender's side of the renderer, run as a separate process by the Python of the render environment.

It imports denoiser.py beside it and storygan/clevr/constants.py, and nothing else of storygan. Protocol: the first line
on stdin is one JSON object, the fields of Settings. Each further line is one story: `seed` of the sampler, the jitter
of `camera`, `key`, `fill` and `back` (3 scene units each), and `objects` (shape, colour, material, size, x, y, rotation
about z in radians). For each story, stdout gets T frames of size x size x 3 uint8 sRGB values. Frame k shows the first
k objects. The scene is that of CLEVR (Johnson et al., CVPR 2017) with the camera of the CLEVR-SV release: docs/data.md.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Blender's thread pools have one thread per core visible at import, despite its own setting, and idle threads spin.
# So only one core is visible during the import.
_PINNABLE = hasattr(os, "sched_setaffinity")
_CORES = os.sched_getaffinity(0) if _PINNABLE else set()
if _PINNABLE:
    os.sched_setaffinity(0, {min(_CORES)})

import bpy  # noqa: E402
import mathutils  # noqa: E402
import numpy as np  # noqa: E402
import OpenEXR  # noqa: E402
from denoiser import Denoiser, ShadowRestorer  # noqa: E402 (beside this file)

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "clevr"))
from constants import ASPECT, CAMERA, COLOURS, FOCAL, RADII, SENSOR  # noqa: E402

if _PINNABLE:
    os.sched_setaffinity(0, _CORES)

LIGHTS = {  # position, power (W), colour, side of the square (scene units)
    "key": ((6.447, -2.905, 4.258), 78.54, (1.0, 0.932, 0.817), 0.5),
    "fill": ((-4.671, -4.014, 3.011), 23.56, (0.762, 0.818, 1.0), 0.5),
    "back": ((-1.169, 2.646, 5.816), 39.27, (1.0, 1.0, 1.0), 1.0),
}
SUN_STRENGTH, SUN_ANGLE, SUN_ROTATION = 0.45, 0.1, (0.236, 0.417, 0.097)
# The stage and the bevels are not public: they are fitted to the original frames (benchmarks/clevr_fidelity.py).
ALBEDO = 0.8  # of the stage
FLAT, CURVE, DIRECTION = 10.0, 8.0, 2.8  # extent of the flat floor, radius and direction (radians) of its curve
CUBE_BEVEL, CYLINDER_BEVEL = 0.15, 0.06  # of half the side


@dataclass(frozen=True)
class Settings:
    """Size and quality, in Cycles' terms; benchmarks/clevr_render_speed.py measures them."""

    size: int = 128  # pixels a side
    samples: int = 2
    denoise: str = "FAST"  # a key of denoiser.QUALITY; "" for none
    bounces: int = 2
    adaptive_threshold: float = 0.0  # 0: the same number of samples everywhere
    filter_width: float = 1.5  # pixels, Blackman-Harris
    persistent: bool = True


def main() -> None:
    """Render the stories from stdin until it ends."""
    pixels = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Blender logs every frame on stdout
    renderer = Renderer(Settings(**json.loads(sys.stdin.readline())))
    for line in sys.stdin:
        pixels.write(renderer.render(json.loads(line)).tobytes())
        pixels.flush()


class Renderer:
    """The Blender scene: stage, lights and camera stay from story to story, the objects change."""

    def __init__(self, settings: Settings) -> None:
        self.size = settings.size
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        _configure(self.scene, settings)
        self.scene.view_layers[0].cycles.denoising_store_passes = True
        self._add("stage", _stage())
        self.camera = self._add("camera", _camera())
        self.scene.camera = self.camera
        self.lights = {name: self._add(name, _area_light(name)) for name in LIGHTS}
        self._add("sun", _sun()).rotation_euler = SUN_ROTATION
        self.meshes = _object_meshes()
        self.objects: list[Any] = []
        self.file = os.memfd_create("frame")  # Blender writes pixels only to files: this one is in memory
        self.scene.render.filepath = f"/proc/self/fd/{self.file}"
        self.denoiser = Denoiser(self.size, settings.denoise) if settings.denoise else None
        self.shadows = ShadowRestorer(self.size)

    def render(self, story: dict[str, Any]) -> np.ndarray:
        """Render one story: (T, size, size, 3) uint8."""
        self.scene.cycles.seed = story["seed"]
        _look_at_origin(self.camera, CAMERA, story["camera"])
        for name, light in self.lights.items():
            _look_at_origin(light, LIGHTS[name][0], story[name])
        descriptions = story["objects"]
        while len(self.objects) < len(descriptions):
            self.objects.append(self._add("object", self.meshes["cube", "gray", "rubber"]))
        for thing in self.objects:
            thing.hide_render = True
        frames = np.empty((len(descriptions), self.size, self.size, 3), np.uint8)
        for k, description in enumerate(descriptions):
            thing, radius = self.objects[k], RADII[description["size"]]
            thing.data = self.meshes[description["shape"], description["colour"], description["material"]]
            thing.location = (description["x"], description["y"], radius)
            thing.rotation_euler = (0.0, 0.0, description["rotation"])
            thing.scale = (radius, radius, radius)
            thing.hide_render = False
            bpy.ops.render.render(write_still=True)
            frames[k] = _srgb(self._denoise(*_read_exr(self.file)))
        return frames

    def _denoise(self, color: np.ndarray, albedo: np.ndarray, normal: np.ndarray) -> np.ndarray:
        if self.denoiser is None:
            return color
        stage = np.abs(albedo - ALBEDO).max(-1) < 0.05
        return self.shadows.restore(color, self.denoiser.denoise(color, albedo, normal), stage)

    def _add(self, name: str, data: Any) -> Any:
        thing = bpy.data.objects.new(name, data)
        self.scene.collection.objects.link(thing)
        return thing


def _configure(scene: Any, s: Settings) -> None:
    scene.world = bpy.data.worlds.new("dark")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes.clear()  # a new world is dark gray, not black
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    render, cycles = scene.render, scene.cycles
    render.engine, cycles.device = "CYCLES", "CPU"
    render.threads_mode, render.threads = "FIXED", 1
    render.use_persistent_data = s.persistent
    render.resolution_x = render.resolution_y = s.size
    render.pixel_aspect_x, render.pixel_aspect_y = ASPECT, 1.0  # a square image of the 4:3 view
    render.use_compositing = render.use_sequencer = False
    render.dither_intensity = 0.0
    render.use_file_extension = False
    image = render.image_settings
    image.media_type, image.file_format = "MULTI_LAYER_IMAGE", "OPEN_EXR_MULTILAYER"
    image.color_depth, image.exr_codec, image.use_exr_interleave = "32", "NONE", True
    cycles.samples = s.samples
    cycles.use_adaptive_sampling = s.adaptive_threshold > 0
    cycles.adaptive_threshold = s.adaptive_threshold
    cycles.sampling_pattern = "BLUE_NOISE"
    cycles.use_denoising = False  # see Denoiser
    cycles.max_bounces = cycles.diffuse_bounces = cycles.glossy_bounces = s.bounces
    cycles.transmission_bounces = cycles.volume_bounces = 0
    cycles.blur_glossy = 2.0
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", s.filter_width
    cycles.use_auto_tile = False


def _look_at_origin(thing: Any, mean: tuple[float, float, float], jitter: list[float]) -> None:
    position = mathutils.Vector(mean) + mathutils.Vector(jitter)
    thing.location = position
    thing.rotation_mode = "QUATERNION"
    thing.rotation_quaternion = (-position).to_track_quat("-Z", "Y")


def _read_exr(file: int) -> list[np.ndarray]:
    """Read the rendered linear light, albedo and normal, each (height, width, 3) float32."""
    with OpenEXR.File(f"/proc/self/fd/{file}", separate_channels=True) as image:
        channels = image.channels()
        passes = ("Combined", "RGB"), ("Denoising Albedo", "RGB"), ("Denoising Normal", "XYZ")
        return [np.stack([channels[f"ViewLayer.{name}.{c}"].pixels for c in axes], -1) for name, axes in passes]


def _srgb(light: np.ndarray) -> np.ndarray:
    """Convert linear light to uint8 sRGB (IEC 61966-2-1), as Blender's view transform "Standard" does."""
    light = light.clip(0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)


def _camera() -> Any:
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_width, camera.sensor_fit = FOCAL, SENSOR, "HORIZONTAL"
    return camera


def _area_light(name: str) -> Any:
    _, power, colour, side = LIGHTS[name]
    light = bpy.data.lights.new(name, "AREA")
    light.shape, light.size, light.energy, light.color = "SQUARE", side, power, colour
    return light


def _sun() -> Any:
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.angle = SUN_STRENGTH, SUN_ANGLE
    return sun


def _stage() -> Any:
    """Create the floor: flat around the origin, then a quarter of a circle, then a wall."""
    quarter = np.linspace(0, math.pi / 2, 20)
    profile = [(float(d), 0.0) for d in np.linspace(-20, FLAT, 9)[:-1]]
    profile += [(FLAT + CURVE * math.sin(a), CURVE - CURVE * math.cos(a)) for a in quarter]
    profile += [(FLAT + CURVE, CURVE + rise) for rise in (10.0, 20.0)]
    across = np.linspace(-40, 40, 17)
    c, s = math.cos(DIRECTION), math.sin(DIRECTION)
    vertices = [(d * c - a * s, d * s + a * c, z) for d, z in profile for a in across]
    # Compact faces: long thin ones, rotated, have overlapping bounding boxes and cost half a frame's time.
    n = len(across)
    corners = [i * n + j for i in range(len(profile) - 1) for j in range(n - 1)]
    mesh = bpy.data.meshes.new("stage")
    mesh.from_pydata(vertices, [], [(k, k + n, k + n + 1, k + 1) for k in corners])
    mesh.shade_smooth()
    material, tree = _material()
    _surface(tree, _shader(tree, "ShaderNodeBsdfDiffuse", (ALBEDO,) * 3))
    mesh.materials.append(material)
    return mesh


def _object_meshes() -> dict[tuple[str, str, str], Any]:
    """Create every shape in every colour and material, of half side 1; objects change by a change of mesh."""
    add = bpy.ops.mesh
    shapes = {
        "cube": _solid(CUBE_BEVEL, lambda: add.primitive_cube_add(size=2)),
        "sphere": _solid(0, lambda: add.primitive_uv_sphere_add(segments=96, ring_count=48)),
        "cylinder": _solid(CYLINDER_BEVEL, lambda: add.primitive_cylinder_add(vertices=128, radius=1, depth=2)),
    }
    meshes = {}
    for colour, values in COLOURS.items():
        linear = (values[0] / 255, values[1] / 255, values[2] / 255)
        for name, material in (("rubber", _rubber(linear)), ("metal", _metal(linear))):
            for shape, solid in shapes.items():
                mesh = meshes[shape, colour, name] = solid.copy()
                mesh.materials.append(material)
    return meshes


def _solid(bevel: float, add: Callable[[], Any]) -> Any:
    """Create the smooth mesh of a primitive around the origin, with edges rounded over `bevel`; 0: a sphere."""
    add()
    bpy.ops.object.shade_smooth()
    thing = bpy.context.object
    if bevel:
        modifier = thing.modifiers.new("bevel", "BEVEL")
        modifier.width, modifier.segments, modifier.limit_method = bevel, 6, "ANGLE"
        modifier.harden_normals = True
    mesh = bpy.data.meshes.new_from_object(thing.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    bpy.data.objects.remove(thing)
    if not bevel:  # Blender sums the normals of faces in varying order, so their last bits vary
        positions = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", positions)
        mesh.attributes.new("custom_normal", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", positions)
    return mesh


def _rubber(colour: tuple[float, float, float]) -> Any:
    """Create rubber: diffuse, a sheen that grows towards the rim, and a weak rough white reflection."""
    material, tree = _material()
    diffuse = _shader(tree, "ShaderNodeBsdfDiffuse", colour)
    sheen = _shader(tree, "ShaderNodeBsdfSheen", colour, "ASHIKHMIN", 1.0)
    white = _shader(tree, "ShaderNodeBsdfAnisotropic", (1.0, 1.0, 1.0), "BECKMANN", 0.59)
    body = _mix(tree, diffuse, sheen, _fresnel(tree, 1.45))
    _surface(tree, _mix(tree, body, white, _fresnel(tree, 1.25)))
    return material


def _metal(colour: tuple[float, float, float]) -> Any:
    """Create metal: two reflections in the object's colour, one rough (40 %) and one sharp (60 %)."""
    material, tree = _material()
    rough = _shader(tree, "ShaderNodeBsdfAnisotropic", colour, "GGX", 0.45)
    sharp = _shader(tree, "ShaderNodeBsdfAnisotropic", colour, "GGX", 0.10)
    _surface(tree, _mix(tree, rough, sharp, 0.6))
    return material


def _material() -> tuple[Any, Any]:
    material = bpy.data.materials.new("material")
    material.use_nodes = True
    material.node_tree.nodes.clear()
    return material, material.node_tree


def _shader(tree: Any, kind: str, colour: tuple[float, ...], distribution: str = "", roughness: float = 0.0) -> Any:
    node = tree.nodes.new(kind)
    node.inputs["Color"].default_value = (*colour, 1.0)
    node.inputs["Roughness"].default_value = roughness
    if distribution:
        node.distribution = distribution
    return node


def _fresnel(tree: Any, index: float) -> Any:
    node = tree.nodes.new("ShaderNodeFresnel")
    node.inputs["IOR"].default_value = index
    return node


def _mix(tree: Any, first: Any, second: Any, share: Any) -> Any:
    """Mix `first` with a `share` of `second`: a number, or the node that gives it."""
    node = tree.nodes.new("ShaderNodeMixShader")
    if isinstance(share, float):
        node.inputs[0].default_value = share
    else:
        tree.links.new(share.outputs[0], node.inputs[0])
    tree.links.new(first.outputs[0], node.inputs[1])
    tree.links.new(second.outputs[0], node.inputs[2])
    return node


def _surface(tree: Any, shader: Any) -> None:
    tree.links.new(shader.outputs[0], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])


if __name__ == "__main__":
    main()
