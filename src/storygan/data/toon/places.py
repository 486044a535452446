"""The places of Toon-SV: three composed sets each, as SVG, and the pieces they are made of."""

from __future__ import annotations

from storygan.data.toon.shapes import UNITS, box, disc, ellipse, emoji, line, moved, shape

HORIZON = 140
WINDOWS = (90, 124, 160)
"""Middle of the window of each living room."""

# ---- pieces of scenery: the middle of the lower edge at (x, y)


def _ground(far: str, near: str, y: float = HORIZON) -> str:
    return box(0, y, UNITS, UNITS - y, far) + shape("M0 206 Q64 196 128 204 T256 202 L256 256 L0 256 Z", near)


def _tree(x: float, y: float, height: float, leaves: str = "#6DBB45", shade: str = "#4E9A34") -> str:
    crown = "".join(disc(cx, cy, r, shade) for cx, cy, r in ((-22, -48, 22), (22, -48, 22), (0, -56, 28)))
    crown += "".join(disc(cx, cy, r, leaves) for cx, cy, r in ((-20, -56, 19), (20, -58, 18), (0, -72, 26)))
    return moved(box(-7, -36, 14, 36, "#9A6B43", 3) + crown, x, y, height / 100)


def _pine(
    x: float, y: float, height: float, leaves: str = "#3E8E5A", shade: str = "#2F7549", snow: bool = False
) -> str:
    tiers = ""
    for top, low, half in ((-52, -14, 32), (-76, -38, 26), (-100, -62, 19)):
        tiers += shape(f"M0 {top} L{half} {low} L{-half} {low} Z", leaves)
        tiers += shape(f"M0 {top} L{half} {low} L{half * 0.2} {low} Z", shade)
        if snow:
            tiers += shape(f"M0 {top} L{half * 0.5} {top + 19} L0 {top + 15} L{-half * 0.5} {top + 19} Z", "#FFFFFF")
    return moved(box(-6, -16, 12, 16, "#8A5F3C") + tiers, x, y, height / 100)


def _bush(x: float, y: float, scale: float, leaves: str = "#5FAE3E") -> str:
    return moved(
        "".join(disc(cx, cy, r, leaves) for cx, cy, r in ((-18, -10, 13), (0, -16, 17), (19, -10, 13))), x, y, scale
    )


def _fence(y: float, colour: str, shade: str, left: float = 0, right: float = 256) -> str:
    rails = box(left, y - 26, right - left, 6, shade) + box(left, y - 13, right - left, 6, shade)
    posts = "".join(
        shape(f"M{x} {y} v-32 l5 -6 l5 6 v32 Z", colour) for x in range(round(left) + 4, round(right) - 8, 21)
    )
    return rails + posts


def _flowers(points: tuple[tuple[float, float, str], ...]) -> str:
    return "".join(
        line(f"M{x} {y} v12", "#4B9A34", 3) + disc(x, y, 6.5, colour) + disc(x, y, 2.6, "#FFF2A8")
        for x, y, colour in points
    )


def _house(x: float, y: float, width: float, height: float, wall: str, roof: str) -> str:
    left, eaves = x - width / 2, y - height * 0.6
    house = box(left, eaves, width, height * 0.6, wall)
    house += shape(f"M{left - 7} {eaves} L{x} {y - height} L{x + width / 2 + 7} {eaves} Z", roof)
    house += box(x - width * 0.34, y - height * 0.34, width * 0.26, height * 0.34, "#9C6B4A", 2)
    house += box(x + width * 0.08, y - height * 0.42, width * 0.28, height * 0.2, "#FFE79A", 2)
    return house + line(f"M{x + width * 0.22} {y - height * 0.42} v{height * 0.2}", wall, 2.5)


def _cactus(x: float, y: float, height: float, colour: str = "#5BA653") -> str:
    arms = line("M0 0 V-84", colour, 22) + line("M0 -34 H-27 V-60", colour, 15) + line("M0 -26 H27 V-50", colour, 15)
    arms += line("M-3 -10 V-82", "#83C677", 4)
    return moved(arms, x, y, height / 95)


def _palm(x: float, y: float, height: float, lean: float = 14) -> str:
    trunk = line(f"M0 0 Q-4 -40 {lean} -78", "#A97B4E", 9) + line(f"M-1 -8 Q-5 -42 {lean - 1} -74", "#C4966A", 3)
    leaf = "M0 0 Q20 -22 44 6 Q22 -2 0 0 Z"
    turns = ((-38, False), (-4, False), (30, False), (-38, True), (-4, True), (30, True))
    leaves = "".join(
        moved(shape(leaf, "#58AE4A" if k % 2 else "#3F9440"), lean, -78, 1, flip, -angle if flip else angle)
        for k, (angle, flip) in enumerate(turns)
    )
    return moved(trunk + leaves + disc(lean - 4, -73, 5, "#8A5A35"), x, y, height / 100)


def _mountain(x: float, y: float, width: float, height: float, rock: str = "#A9BAD3", shade: str = "#8FA3C2") -> str:
    half = width / 2
    peak = shape(f"M{x - half} {y} L{x} {y - height} L{x + half} {y} Z", rock)
    peak += shape(f"M{x} {y - height} L{x + half} {y} L{x + half * 0.2} {y} Z", shade)
    a = 0.36
    tip = f"M{x} {y - height} L{x + half * a} {y - height * (1 - a)} L{x + half * 0.12} {y - height * 0.72}"
    return peak + shape(
        f"{tip} L{x - half * 0.1} {y - height * 0.6} L{x - half * a} {y - height * (1 - a)} Z", "#FFFFFF"
    )


def _wheat(left: int, right: int, y: float) -> str:
    ears = "".join(
        line(f"M{x} {y} v-34", "#CDA23C", 4) + ellipse(x, y - 42, 6, 13, "#F2C94C", width=0)
        for x in range(left, right, 13)
    )
    return box(left - 8, y - 22, right - left + 8, 24, "#D8AE48") + ears


def _barn(x: float, y: float, scale: float) -> str:
    barn = box(-44, -62, 88, 62, "#D2493F")
    barn += shape("M-52 -60 L-34 -96 L0 -114 L34 -96 L52 -60 Z", "#A8352E")
    barn += shape("M-40 -60 L-28 -90 L0 -104 L28 -90 L40 -60 Z", "#D2493F")
    barn += box(-22, -44, 44, 44, "#F7E9DC") + box(-17, -39, 34, 39, "#B03A33")
    barn += line("M-17 -39 L17 0 M17 -39 L-17 0", "#F7E9DC", 4)
    return moved(barn + box(-10, -86, 20, 18, "#F7E9DC") + box(-6, -82, 12, 14, "#6E2A27"), x, y, scale)


def _stump(x: float, y: float, scale: float) -> str:
    stump = shape("M-16 0 Q-13 -8 -13 -22 L13 -22 Q13 -8 16 0 Z", "#8A5A35")
    return moved(stump + ellipse(0, -22, 13, 6, "#E3B77E", width=0) + line("M-6 -22 h12", "#B98550", 3), x, y, scale)


def _sailboat(x: float, y: float, scale: float) -> str:
    sails = shape("M-2 -52 L-2 -14 L-27 -14 Z", "#FFFFFF") + shape("M3 -46 L3 -14 L23 -14 Z", "#FFD36B")
    hull = shape("M-29 -11 L29 -11 L19 3 L-19 3 Z", "#D9534A")
    return moved(line("M0 -54 V-8", "#7A5A44", 3.5) + sails + hull, x, y, scale)


def _snowman(x: float, y: float, scale: float) -> str:
    body = ellipse(0, -20, 25, 23, "#FFFFFF", "#A9BEDD", 3) + ellipse(0, -57, 19, 19, "#FFFFFF", "#A9BEDD", 3)
    scarf = line("M-15 -42 Q0 -36 15 -42", "#EE5A4F", 8) + line("M11 -40 L14 -22", "#EE5A4F", 7)
    face = disc(-7, -61, 3, "#44506A") + disc(6, -61, 3, "#44506A") + shape("M-1 -57 L-20 -52 L-1 -51 Z", "#FF9A3C")
    return moved(body + scarf + face + disc(0, -26, 3, "#44506A") + disc(0, -14, 3, "#44506A"), x, y, scale)


def _igloo(x: float, y: float, scale: float) -> str:
    dome = shape("M-54 0 Q-52 -62 0 -62 Q52 -62 54 0 Z", "#CFE2F4")
    joints = "M-52 -16 h104 M-46 -32 h92 M-33 -47 h66 M-28 -16 V0 M-14 -32 V-16 M16 -32 V-16 M-2 -47 V-32 M-30 -46 V-32"
    door = shape("M8 2 Q8 -34 29 -34 Q50 -34 50 2 Z", "#E6F1FB") + shape(
        "M15 2 Q15 -26 29 -26 Q43 -26 43 2 Z", "#4F6A94"
    )
    return moved(dome + line(joints, "#9DBBDB", 3) + door, x, y, scale)


def _hay(x: float, y: float, scale: float) -> str:
    bale = ellipse(0, -20, 21, 20, "#E8BE52", width=0) + box(-21, -2, 42, 3, "#8F6A2A", 1)
    rings = ellipse(0, -20, 14, 13, "none", "#C4952F", 3) + ellipse(0, -20, 6.5, 6, "none", "#C4952F", 3)
    return moved(bale + rings, x, y, scale)


def _window(x: float) -> tuple[str, str]:
    """Return the hole of a window with its middle at x, as a part of the path of a wall, and its frame."""
    hole = f"M{x - 40} 14 v74 h80 v-74 Z"
    return hole, line(hole, "#FFFFFF", 8) + line(f"M{x} 14 v74", "#FFFFFF", 4) + box(x - 50, 90, 100, 8, "#FFFFFF", 2)


def _room(wall: str, floor: str, boards: str, stripe: str, window: tuple[str, str]) -> str:
    hole, frame = window
    papered = f'<path d="M0 0 H256 V176 H0 Z {hole}" fill="{wall}" fill-rule="evenodd"/>'
    stripes = "".join(f"M{x} 0 h10 v168 h-10 Z " for x in range(8, 256, 34))
    papered += f'<path d="{stripes}" fill="{stripe}" clip-path="url(#wall)"/>'
    clip = f'<defs><clipPath id="wall"><path d="M0 0 H256 V176 H0 Z {hole}" clip-rule="evenodd"/></clipPath></defs>'
    lower = box(0, 176, 256, 80, floor) + box(0, 168, 256, 9, "#FFFFFF")
    return clip + papered + lower + "".join(line(f"M0 {y} H256", boards, 3) for y in (196, 216, 236)) + frame


def _sofa(x: float, y: float, colour: str, shade: str) -> str:
    sofa = box(-62, -70, 124, 60, colour, 14) + box(-50, -38, 50, 24, shade, 7) + box(0, -38, 50, 24, shade, 7)
    sofa += box(-76, -48, 28, 46, colour, 10) + box(48, -48, 28, 46, colour, 10) + box(-70, -16, 140, 14, colour, 5)
    return moved(sofa, x, y)


def _pot(x: float, y: float, scale: float) -> str:
    leaves = "".join(
        moved(ellipse(0, -34, 11, 34, c, width=0), 0, -30, angle=a)
        for a, c in ((-42, "#4FA04A"), (42, "#4FA04A"), (-14, "#67BA5C"), (16, "#67BA5C"))
    )
    return moved(leaves + shape("M-20 -34 L20 -34 L14 0 L-14 0 Z", "#D9774A"), x, y, scale)


# ---- the sets

_HILLS = ellipse(40, 190, 140, 72, "#B9E58A", width=0) + ellipse(220, 196, 130, 70, "#A8DC78", width=0)
_MEADOW = _HILLS + _ground("#9AD865", "#86CB52", 152)
_FOREST = _ground("#5E9F58", "#4E8E4B", 146)
_SEA = (
    box(0, 112, 256, 60, "#3E9BD8")
    + box(0, 112, 256, 10, "#6BB9E8")
    + line("M12 136 h26 M96 144 h30 M206 138 h26", "#8FCDF0", 4)
)
_SAND = (
    shape("M0 168 Q60 156 128 166 T256 162 L256 256 L0 256 Z", "#FFFFFF")
    + shape("M0 174 Q60 162 128 172 T256 168 L256 256 L0 256 Z", "#F8E2A8")
    + shape("M0 222 Q80 208 160 218 T256 214 L256 256 L0 256 Z", "#EFD38D")
)
_SNOW = shape("M0 146 Q70 128 140 146 T256 140 L256 256 L0 256 Z", "#F6FAFF") + shape(
    "M0 200 Q80 184 150 198 T256 192 L256 256 L0 256 Z", "#E2ECF8"
)
_DUNES = (
    shape("M0 150 Q70 112 150 148 Q210 118 256 140 L256 256 L0 256 Z", "#F3B566")
    + shape("M0 182 Q90 150 180 180 Q220 170 256 178 L256 256 L0 256 Z", "#F7C27A")
    + shape("M0 220 Q90 200 180 216 T256 214 L256 256 L0 256 Z", "#EDAA58")
)
_COBBLES = "".join(
    ellipse(x + 9 * (row % 2), 176 + 18 * row, 9, 4.5, "#D9CDBE", width=0)
    for row in range(5)
    for x in range(4, 256, 24)
)
_SQUARE = _ground("#C9BBA9", "#BCAD9A", 160) + _COBBLES
_FIELD = _ground("#B5814C", "#A06D3C", 150) + "".join(
    line(f"M0 {y} Q128 {y - 8} 256 {y}", "#8F5F33", 4) for y in (170, 188, 208, 232)
)
_PINES = (96, 152, 84), (160, 152, 90), (128, 156, 70), (58, 164, 120), (202, 164, 116), (14, 176, 160), (246, 178, 150)
_SNOW_PINES = (88, 150, 62), (168, 152, 66), (54, 160, 92), (206, 160, 96), (18, 178, 142), (242, 176, 130)
_WARM = ("#F6D9B8", "#C98F5E", "#B57C4D", "#F1CDA6")
PLACES = {
    "meadow": (
        _MEADOW
        + _tree(30, 176, 136)
        + _flowers(
            (
                (92, 160, "#FF7FB0"),
                (150, 164, "#FFFFFF"),
                (226, 158, "#FF7FB0"),
                (246, 180, "#FFD23F"),
                (88, 226, "#FFFFFF"),
                (170, 232, "#FF7FB0"),
            )
        ),
        _MEADOW
        + _fence(158, "#FFFFFF", "#DDE5EA")
        + _bush(24, 160, 1.3)
        + _bush(236, 162, 1.5)
        + _flowers(
            (
                (14, 188, "#FFD23F"),
                (86, 186, "#FF9C3F"),
                (172, 184, "#FFD23F"),
                (244, 192, "#FF9C3F"),
                (86, 234, "#FFD23F"),
                (168, 228, "#FF9C3F"),
            )
        ),
        _MEADOW
        + shape("M150 152 Q120 170 176 186 Q240 206 150 256 L250 256 Q276 210 220 184 Q170 166 178 152 Z", "#6EC3F0")
        + _tree(226, 156, 108, "#F7A8C8", "#E585AE")
        + _tree(20, 154, 70)
        + _flowers(((60, 172, "#B57BEF"), (92, 158, "#B57BEF"), (18, 196, "#FFFFFF"), (84, 230, "#B57BEF"))),
    ),
    "forest": (
        "".join(_pine(x, 156, 92, "#5C9F77", "#4F8F6A") for x in range(8, 260, 34))
        + _FOREST
        + _tree(26, 184, 178, "#4E9A3E", "#3C8232")
        + _tree(236, 180, 162, "#4E9A3E", "#3C8232")
        + emoji("mushroom", 87, 248, 26)
        + emoji("mushroom", 172, 186, 20),
        "".join(_pine(x, 154, 76, "#5C9F77", "#4F8F6A") for x in range(20, 260, 30))
        + _FOREST
        + "".join(
            box(x, -10, w, 190, "#8A6244") + box(x, -10, w * 0.35, 190, "#A07654")
            for x, w in ((4, 20), (50, 15), (200, 16), (232, 22))
        )
        + "".join(disc(x, y, r, "#3F8A3C") for x, y, r in ((0, 6, 38), (46, -2, 32), (212, -2, 34), (252, 6, 40)))
        + _bush(40, 184, 1.0, "#468C42")
        + _bush(212, 186, 1.1, "#468C42"),
        _FOREST
        + "".join(_pine(x, y, h) for x, y, h in _PINES)
        + _stump(172, 200, 1.2)
        + emoji("mushroom", 88, 190, 20),
    ),
    "beach": (
        _SEA + _sailboat(172, 134, 1.1) + _SAND + _palm(26, 196, 150) + emoji("crab", 172, 250, 26, lines=0.55),
        _SEA
        + box(198, 76, 26, 58, "#FFFFFF")
        + box(198, 88, 26, 12, "#EE5A4F")
        + box(198, 112, 26, 12, "#EE5A4F")
        + shape("M194 78 L211 56 L228 78 Z", "#EE5A4F")
        + shape("M170 136 Q212 116 252 136 Z", "#8D99A6")
        + _SAND
        + emoji("beach umbrella", 40, 194, 92)
        + emoji("crab", 88, 252, 24, lines=0.55),
        _SEA
        + shape("M60 126 Q100 96 150 126 Z", "#7CBF6B")
        + _SAND
        + _palm(244, 200, 142, -14)
        + _palm(200, 180, 86)
        + emoji("castle", 34, 196, 54, lines=0.15),
    ),
    "snowy field": (
        _mountain(70, 160, 170, 100)
        + _mountain(196, 160, 150, 84, "#B7C6DC", "#9FB2CF")
        + _SNOW
        + _snowman(228, 192, 1.25),
        _SNOW + "".join(_pine(x, y, h, "#6FA79B", "#5B9387", snow=True) for x, y, h in _SNOW_PINES),
        _mountain(214, 156, 190, 112) + _SNOW + _igloo(46, 186, 1.0),
    ),
    "desert": (
        _DUNES
        + _cactus(24, 184, 122)
        + _cactus(236, 168, 76)
        + _cactus(128, 152, 40)
        + ellipse(172, 188, 15, 8, "#C98A4B", width=0),
        shape("M20 156 L84 66 L148 156 Z", "#E8B566")
        + shape("M84 66 L148 156 L104 156 Z", "#CF974B")
        + shape("M134 156 L176 98 L218 156 Z", "#E2AC5C")
        + shape("M176 98 L218 156 L190 156 Z", "#CB9145")
        + _DUNES
        + _cactus(238, 186, 108),
        shape("M-10 160 L0 70 L50 66 L60 96 L78 100 L92 160 Z", "#D0724A")
        + shape("M-10 100 L54 96 L60 106 L-10 112 Z", "#B85D3A")
        + shape("M164 160 L176 92 L224 88 L238 160 Z", "#D98257")
        + shape("M172 112 L228 108 L231 118 L170 122 Z", "#BF6A45")
        + _DUNES
        + _cactus(20, 194, 84)
        + emoji("camel", 214, 186, 66, lines=0.55),
    ),
    "village": (
        _SQUARE
        + _house(32, 166, 62, 104, "#FFF1DC", "#E06A56")
        + _house(104, 164, 54, 84, "#F9D9B4", "#B46A4C")
        + _house(170, 164, 54, 92, "#E8F0F2", "#5F8FB0")
        + _house(232, 166, 58, 108, "#FFE9C9", "#E06A56"),
        _SQUARE
        + _house(34, 164, 64, 96, "#E8F0F2", "#5F8FB0")
        + box(192, 54, 34, 112, "#FFF8EC")
        + shape("M184 56 L209 8 L234 56 Z", "#C2574A")
        + box(128, 108, 72, 58, "#FFF8EC")
        + shape("M120 110 L140 82 L198 82 L198 110 Z", "#C2574A")
        + disc(209, 78, 10, "#8EC5E8")
        + box(200, 132, 18, 34, "#9C6B4A", 8)
        + _house(96, 164, 42, 66, "#F9D9B4", "#D98A4E")
        + _tree(246, 168, 64),
        _SQUARE
        + shape("M100 160 L156 160 L220 256 L36 256 Z", "#DCD0C0")
        + _house(26, 178, 76, 128, "#FFE9C9", "#5F8FB0")
        + _house(230, 178, 76, 124, "#FFF1DC", "#D98A4E")
        + _house(86, 160, 38, 62, "#E8F0F2", "#E06A56")
        + _house(170, 160, 38, 62, "#F9D9B4", "#B46A4C")
        + box(125, 96, 6, 76, "#56607A")
        + box(118, 78, 20, 22, "#FFE68A", 4)
        + shape("M114 80 L128 68 L142 80 Z", "#56607A"),
    ),
    "farm": (
        _wheat(104, 262, 158) + _FIELD + _barn(50, 168, 1.05),
        _wheat(4, 262, 156) + _FIELD + emoji("tractor", 214, 186, 88, lines=0.55) + _barn(24, 152, 0.55),
        _bush(120, 156, 1.2)
        + _FIELD
        + box(8, 46, 42, 120, "#D7DDE4", 4)
        + shape("M8 50 Q29 14 50 50 Z", "#C8524A")
        + line("M8 84 h42 M8 116 h42", "#B4BEC9", 4)
        + _barn(92, 160, 0.66)
        + _fence(170, "#D9B98A", "#C4A06E", 134, 256)
        + _hay(200, 182, 0.95)
        + _hay(236, 186, 1.1),
    ),
    "living room": (
        _room(*_WARM, _window(WINDOWS[0]))
        + emoji("picture", 204, 84, 54)
        + _sofa(140, 190, "#6FA8DC", "#8FC0EC")
        + _pot(20, 196, 1.15),
        _room("#CFE3D6", "#C98F5E", "#B57C4D", "#C2DACB", _window(WINDOWS[1]))
        + box(172, 98, 84, 84, "#B5654C")
        + box(164, 90, 100, 12, "#8C5A3C", 2)
        + "".join(line(f"M172 {y} h84", "#C97B60", 3) for y in (116, 132, 148, 164))
        + box(190, 126, 50, 56, "#3E2C2C", 6)
        + shape("M200 182 Q196 150 214 140 Q234 152 230 182 Z", "#FF9A2E")
        + shape("M208 182 Q206 164 215 158 Q224 166 222 182 Z", "#FFE05A")
        + emoji("picture", 214, 70, 50)
        + box(26, 60, 5, 124, "#7A5A44")
        + ellipse(28, 184, 15, 4, "#7A5A44", width=0)
        + shape("M6 64 L20 28 L38 28 L52 64 Z", "#FFD98A"),
        _room("#F3CBD3", "#C98F5E", "#B57C4D", "#ECBDC7", _window(WINDOWS[2]))
        + box(4, 22, 68, 160, "#9C6B45", 3)
        + "".join(box(10, y, 56, 30, "#7B5234") for y in (30, 68, 106, 144))
        + "".join(
            box(
                12 + 9 * k,
                y + 4 + 3 * (k % 3),
                8,
                26 - 3 * (k % 3),
                ("#E06A56", "#5F8FB0", "#F2C94C", "#6DBB45", "#B57BEF", "#FFFFFF")[(k + j) % 6],
            )
            for j, y in enumerate((30, 68, 106, 144))
            for k in range(6)
        )
        + _sofa(186, 190, "#B98BD9", "#CFA8EA")
        + _pot(244, 178, 0.9),
    ),
}
"""The shapes of the sets of each place. The middle of the upper quarter is left free: there the sky is seen."""
