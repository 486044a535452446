"""Blender side of the renderer: run by the render environment's own Python as a separate process.

Imports bpy, mathutils, NumPy and the standard library alone, never storygan. Protocol: the first line on stdin is one
JSON object, the settings (class Settings); every further line is one story (class Story). For each story, in order,
stdout gets T frames of size x size x 3 uint8 sRGB values, nothing else: what Blender prints there is dropped.
Frame k shows the first k objects of its story. The scene is the one FORMATS.md describes: Johnson et al., CLEVR
(CVPR 2017), at the CLEVR-SV release's camera and lights.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from dataclasses import dataclass, field

if hasattr(os, "sched_setaffinity"):  # Blender's thread pools size themselves at import, whatever `threads` says
    _CORES = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(_CORES)})

import bpy
import mathutils
import numpy as np

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, _CORES)

COLOURS = {  # RGB / 255, used as linear values
    "gray": (87, 87, 87),
    "red": (173, 35, 35),
    "blue": (42, 75, 215),
    "green": (29, 105, 20),
    "brown": (129, 74, 25),
    "purple": (129, 38, 192),
    "cyan": (41, 208, 208),
    "yellow": (255, 238, 51),
}
RADII = {"large": 0.70, "small": 0.35}
CAMERA = (7.481, -6.508, 5.344)
LIGHTS = {  # name: position, power (W), colour, side of the square (scene units)
    "key": ((6.447, -2.905, 4.258), 78.54, (1.0, 0.932, 0.817), 0.5),
    "fill": ((-4.671, -4.014, 3.011), 23.56, (0.762, 0.818, 1.0), 0.5),
    "back": ((-1.169, 2.646, 5.816), 39.27, (1.0, 1.0, 1.0), 1.0),
}
SUN_STRENGTH, SUN_ANGLE, SUN_ROTATION = 0.45, 0.1, (0.236, 0.417, 0.097)
FOCAL, SENSOR = 35.0, 32.0  # mm
ORIGINAL_ASPECT = 320 / 240  # the original frames, squeezed to squares


@dataclass(frozen=True)
class Settings:
    """How to render. `size`: pixels a side; the rest are Cycles' own terms."""

    size: int = 64
    samples: int = 12
    denoise: bool = True
    prefilter: str = "NONE"  # of the denoiser's guide pictures
    quality: str = "FAST"  # the denoiser's
    bounces: int = 2
    threads: int = 1
    filter_width: float = 2.2
    adaptive_threshold: float = 0.0  # 0: no adaptive sampling
    persistent: bool = True
    scene: dict = field(default_factory=dict)


def main() -> None:
    """Serve stories from stdin until it ends."""
    pixels = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Blender reports every frame on stdout
    settings = Settings(**json.loads(sys.stdin.readline()))
    studio = Studio(settings)
    for line in sys.stdin:
        if line.strip():
            pixels.write(studio.render(json.loads(line)).tobytes())
            pixels.flush()


class Studio:
    """The persistent Blender scene: stage, lights and camera stay, the objects change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.scene.world = _dark_world()
        self.p = settings.scene
        _configure(self.scene, settings)
        self._add("ground", _ground_mesh(self.p)).data.materials.append(_diffuse("ground", self.p.get("albedo", 0.785)))
        self.camera = self._camera()
        self.lights = {name: self._area_light(name) for name in LIGHTS}
        self._sun()
        self.meshes = _object_meshes(self.p)
        self.slots: list[bpy.types.Object] = []
        handle, self.path = tempfile.mkstemp(suffix=".bmp", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        os.close(handle)
        self.scene.render.filepath = self.path

    def render(self, story: dict) -> np.ndarray:
        """Render one story: (T, size, size, 3) uint8."""
        self.scene.cycles.seed = story["seed"]
        _place(self.camera, CAMERA, story["camera"])
        for name, light in self.lights.items():
            _place(light, LIGHTS[name][0], story[name])
        objects = story["objects"]
        while len(self.slots) < len(objects):
            self.slots.append(self._add(f"slot{len(self.slots)}", self.meshes["cube", "gray", "rubber"]))
        for slot in self.slots:
            slot.hide_render = True
        frames = np.empty((len(objects), self.settings.size, self.settings.size, 3), np.uint8)
        for k, (slot, obj) in enumerate(zip(self.slots, objects, strict=False)):
            radius = RADII[obj["size"]]
            slot.data = self.meshes[obj["shape"], obj["colour"], obj["material"]]
            slot.location = (obj["x"], obj["y"], radius)
            slot.rotation_euler = (0.0, 0.0, obj["rotation"])
            slot.scale = (radius, radius, radius)
            slot.hide_render = False
            bpy.ops.render.render(write_still=True)
            frames[k] = _read_bmp(self.path)
        return frames

    def _add(self, name: str, data: bpy.types.ID) -> bpy.types.Object:
        obj = bpy.data.objects.new(name, data)
        self.scene.collection.objects.link(obj)
        return obj

    def _camera(self) -> bpy.types.Object:
        camera = bpy.data.cameras.new("camera")
        camera.lens, camera.sensor_width, camera.sensor_fit = FOCAL, SENSOR, "HORIZONTAL"
        self.scene.camera = self._add("camera", camera)
        return self.scene.camera

    def _area_light(self, name: str) -> bpy.types.Object:
        _, power, colour, side = LIGHTS[name]
        light = bpy.data.lights.new(name, "AREA")
        light.shape, light.size, light.energy, light.color = "SQUARE", side, power, colour
        return self._add(name, light)

    def _sun(self) -> None:
        sun = bpy.data.lights.new("sun", "SUN")
        sun.energy, sun.angle = SUN_STRENGTH, SUN_ANGLE
        self._add("sun", sun).rotation_euler = SUN_ROTATION


def _configure(scene: bpy.types.Scene, s: Settings) -> None:
    scene.render.engine = "CYCLES"
    cycles, render = scene.cycles, scene.render
    cycles.device = "CPU"
    cycles.samples, cycles.use_denoising = s.samples, s.denoise
    cycles.denoiser, cycles.denoising_use_gpu = "OPENIMAGEDENOISE", False
    cycles.denoising_prefilter, cycles.denoising_quality = s.prefilter, s.quality
    cycles.use_adaptive_sampling = s.adaptive_threshold > 0
    if s.adaptive_threshold > 0:
        cycles.adaptive_threshold = s.adaptive_threshold
    cycles.max_bounces = cycles.diffuse_bounces = cycles.glossy_bounces = s.bounces
    cycles.transmission_bounces = cycles.volume_bounces = 0
    cycles.caustics_reflective = s.scene.get("caustics", True)
    cycles.caustics_refractive = False
    cycles.blur_glossy = s.scene.get("blur_glossy", 2.0)
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", s.filter_width
    cycles.use_auto_tile = False
    for k, v in s.scene.get("cycles", {}).items():
        setattr(cycles, k, v)
    render.threads_mode, render.threads = "FIXED", s.threads
    render.use_persistent_data = s.persistent
    render.resolution_x = render.resolution_y = s.size
    render.pixel_aspect_x, render.pixel_aspect_y = ORIGINAL_ASPECT, 1.0  # a square picture of the 4:3 view
    render.use_compositing = render.use_sequencer = False
    render.dither_intensity = 0.0
    render.image_settings.file_format, render.image_settings.color_mode = "BMP", "RGB"
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"


def _dark_world() -> bpy.types.World:
    """World of strength 0: a new world is dark gray, not black."""
    world = bpy.data.worlds.new("dark")
    world.use_nodes = True
    world.node_tree.nodes.clear()
    return world


def _place(obj: bpy.types.Object, home: tuple[float, float, float], jitter: list[float]) -> None:
    """Move to home + jitter and look at the origin."""
    position = mathutils.Vector(home) + mathutils.Vector(jitter)
    obj.location = position
    obj.rotation_mode = "QUATERNION"
    obj.rotation_quaternion = (-position).to_track_quat("-Z", "Y")


def _read_bmp(path: str) -> np.ndarray:
    """Read the 24-bit BMP that Blender writes: (H, W, 3) uint8 RGB."""
    with open(path, "rb") as file:
        data = file.read()
    offset, width, height = (int.from_bytes(data[i : i + 4], "little") for i in (10, 18, 22))
    stride = (3 * width + 3) // 4 * 4
    rows = np.frombuffer(data, np.uint8, stride * height, offset).reshape(height, stride)[::-1, : 3 * width]
    return rows.reshape(height, width, 3)[:, :, ::-1]


def _ground_mesh(p: dict) -> bpy.types.Mesh:
    """Studio ground: flat around the origin, then a quarter circle, then a wall."""
    turn, flat, radius = p.get("turn", 2.8), p.get("flat", 12.0), p.get("radius", 8.0)
    arc = np.linspace(0, math.pi / 2, 20)
    profile = [(d, 0.0) for d in np.linspace(-20, flat, 9)[:-1]]
    profile += [(flat + radius * math.sin(a), radius - radius * math.cos(a)) for a in arc]
    profile += [(flat + radius, radius + rise) for rise in (10.0, 20.0)]
    across = np.linspace(-40, 40, 17)
    c, s = math.cos(turn), math.sin(turn)
    vertices = [(d * c - a * s, d * s + a * c, z) for d, z in profile for a in across]
    # Compact faces: long thin ones, turned, have overlapping bounding boxes and double the time of a ray.
    n = len(across)
    corners = [i * n + j for i in range(len(profile) - 1) for j in range(n - 1)]
    faces = [(k, k + n, k + n + 1, k + 1) for k in corners]
    mesh = bpy.data.meshes.new("ground")
    mesh.from_pydata(vertices, [], faces)
    mesh.shade_smooth()
    return mesh


def _object_meshes(p: dict) -> dict[tuple[str, str, str], bpy.types.Mesh]:
    """Every shape in every colour and material, as unit meshes: switching an object's mesh is all a story needs."""
    materials = {}
    for colour, rgb in COLOURS.items():
        linear = tuple(v / 255 for v in rgb)
        materials[colour, "rubber"] = _rubber(linear, p)
        materials[colour, "metal"] = _metal(linear, p)
    meshes = {}
    for shape, build in (("cube", _cube), ("sphere", _sphere), ("cylinder", _cylinder)):
        base = build(p)
        for (colour, material), value in materials.items():
            mesh = base.copy()
            mesh.materials.append(value)
            meshes[shape, colour, material] = mesh
    return meshes


def _evaluated(name: str, bevel: float) -> bpy.types.Mesh:
    """Take the active primitive with its edges rounded over `bevel`, and leave no object behind."""
    obj = bpy.context.object
    if bevel:
        modifier = obj.modifiers.new("bevel", "BEVEL")
        modifier.width, modifier.segments, modifier.limit_method = bevel, 6, "ANGLE"
        modifier.harden_normals = True
    mesh = bpy.data.meshes.new_from_object(obj.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    mesh.name = name
    bpy.data.objects.remove(obj)
    return mesh


def _cube(p: dict) -> bpy.types.Mesh:
    bpy.ops.mesh.primitive_cube_add(size=2)
    bpy.ops.object.shade_smooth()
    return _evaluated("cube", p.get("cube_bevel", 0.15))


def _sphere(p: dict) -> bpy.types.Mesh:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=48)
    bpy.ops.object.shade_smooth()
    return _evaluated("sphere", 0)


def _cylinder(p: dict) -> bpy.types.Mesh:
    bpy.ops.mesh.primitive_cylinder_add(vertices=128, radius=1, depth=2)
    bpy.ops.object.shade_smooth()
    return _evaluated("cylinder", p.get("cylinder_bevel", 0.06))


def _material(name: str):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    return material, tree, tree.nodes.new("ShaderNodeOutputMaterial")


def _diffuse(name: str, value: float) -> bpy.types.Material:
    material, tree, output = _material(name)
    node = tree.nodes.new("ShaderNodeBsdfDiffuse")
    node.inputs["Color"].default_value = (value, value, value, 1)
    tree.links.new(node.outputs[0], output.inputs["Surface"])
    return material


def _mix(tree, first, second, factor):
    """first + factor * (second - first); the factor is a number or a Fresnel term's index of refraction."""
    mix = tree.nodes.new("ShaderNodeMixShader")
    if isinstance(factor, tuple):
        fresnel = tree.nodes.new("ShaderNodeFresnel")
        fresnel.inputs["IOR"].default_value = factor[0]
        tree.links.new(fresnel.outputs[0], mix.inputs[0])
    else:
        mix.inputs[0].default_value = factor
    tree.links.new(first.outputs[0], mix.inputs[1])
    tree.links.new(second.outputs[0], mix.inputs[2])
    return mix


def _glossy(tree, colour, distribution: str, roughness: float):
    node = tree.nodes.new("ShaderNodeBsdfAnisotropic")
    node.distribution = distribution
    node.inputs["Color"].default_value = (*colour, 1)
    node.inputs["Roughness"].default_value = roughness
    return node


def _rubber(colour, p: dict) -> bpy.types.Material:
    """Diffuse, a sheen that grows towards the rim, and a weak rough white highlight."""
    material, tree, output = _material("rubber")
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (*colour, 1)
    sheen = tree.nodes.new("ShaderNodeBsdfSheen")
    sheen.distribution = "ASHIKHMIN"
    sheen.inputs["Color"].default_value = (*(colour if p.get("sheen_colour", True) else (1, 1, 1)), 1)
    sheen.inputs["Roughness"].default_value = p.get("sheen_roughness", 1.0)
    body = _mix(tree, diffuse, sheen, (p.get("sheen_ior", 1.45),))
    top = _glossy(tree, (1, 1, 1), "BECKMANN", p.get("rubber_roughness", 0.59))
    tree.links.new(_mix(tree, body, top, (p.get("rubber_ior", 1.25),)).outputs[0], output.inputs["Surface"])
    return material


def _metal(colour, p: dict) -> bpy.types.Material:
    """Two reflections in the object's own colour, one rough and one sharp."""
    material, tree, output = _material("metal")
    d = p.get("metal_distribution", "GGX")
    rough, sharp = _glossy(tree, colour, d, p.get("metal_rough", 0.45)), _glossy(tree, colour, d, p.get("metal_sharp", 0.10))
    tree.links.new(_mix(tree, rough, sharp, p.get("metal_mix", 0.6)).outputs[0], output.inputs["Surface"])
    return material


if __name__ == "__main__":
    main()
