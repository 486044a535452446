"""Numbers of a CLEVR scene, shared by the Blender worker and the package. Two Pythons import this: it imports nothing.

After CLEVR (Johnson et al., CVPR 2017) with the camera of the CLEVR-SV release: docs/data.md.
"""

from __future__ import annotations

RADII = {"large": 0.70, "small": 0.35}  # scene units; also the height of the centre: objects rest on the floor
CAMERA = (7.481, -6.508, 5.344)  # without jitter; it looks at the origin
FOCAL, SENSOR = 35.0, 32.0  # mm
ASPECT = 320 / 240  # width by height of the original frames, which are resized to squares
COLOURS = {  # of 255, used as linear values
    "gray": (87, 87, 87),
    "red": (173, 35, 35),
    "blue": (42, 75, 215),
    "green": (29, 105, 20),
    "brown": (129, 74, 25),
    "purple": (129, 38, 192),
    "cyan": (41, 208, 208),
    "yellow": (255, 238, 51),
}
