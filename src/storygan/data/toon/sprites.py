"""Draw the characters and things of Toon-SV: large heads and eyes, so that a face survives 64 x 64 pixels.

The origin of a character is the ground between its feet; it faces right. The origin of a thing is its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

from storygan.data.toon.shapes import INK, box, disc, ellipse, line, moved, path, shape

WHITE, PINK = "#FFFFFF", "#FF9DB5"
HEAD = (0, -106)
"""Middle of a standing character's head."""
THING = 58
"""Longer side of a thing."""


@dataclass(frozen=True)
class Look:
    """The colours of a species: fur, limbs (of another colour, or the fur's) and clothes."""

    fur: str
    clothes: str
    limbs: str


LOOKS = {
    "fox": Look("#F58220", "#0E9AA7", "#F58220"),
    "bear": Look("#8A5630", "#E8402F", "#8A5630"),
    "rabbit": Look("#F4E7DA", "#F062A6", "#F4E7DA"),
    "frog": Look("#6CC832", "#FF8A1F", "#6CC832"),
    "pig": Look("#FFA3BE", "#2F62D0", "#FFA3BE"),
    "mouse": Look("#A9ADBB", "#FFD21F", "#A9ADBB"),
    "chick": Look("#FFE22E", "#3FA64B", "#FF9A1F"),
    "panda": Look(WHITE, "#4CC3EE", "#2E2A38"),
    "unicorn": Look(WHITE, "#9348C8", WHITE),
}
IN_THE_AIR = ("kite", "balloon", "umbrella")
"""Things on a string or a handle; the others are held before the body."""
_GRIP = (44.0, -122.0)  # the raised hand
HELD = {
    "kite": (36.0, -172.0),
    "balloon": (38.0, -172.0),
    "umbrella": (34.0, -148.0),
    "hold": (9.0, -44.0),
    "raise": (0.0, -182.0),
}
"""Middle of a thing that is held: in the air, before the body, or over the head by one who cheers."""


def character(species: str, arms: str, legs: str = "stand", mood: str = "") -> str:
    """Return a character that is awake.

    Args:
        species: the character.
        arms: stand, walk, wave, reach, point, cheer, hold (a thing before the body) or raise (a thing over the head).
        legs: stand, walk or apart.
        mood: cheer, or another for none.
    """
    look = LOOKS[species]
    limbs = "".join(_arm(look, x, -62, *hand) for x, hand in zip((-20, 20), HANDS[arms], strict=True))
    body = _TAILS.get(species, "") + _legs(look, legs) + _shirt(look)
    head = moved(_HEADS[species](mood), *HEAD)
    if arms in ("stand", "walk", "reach", "point", "hold"):
        return body + head + limbs
    return body + limbs + head + ("" if arms == "raise" else hands(species, arms))  # raised arms leave the face free


def hands(species: str, arms: str) -> str:
    """Return the hands, which cover the head or a thing that is held."""
    both = HANDS[arms][:1] if arms == "hold and wave" else HANDS[arms]
    return "".join(ellipse(x, y, 9.5, 9.5, LOOKS[species].limbs) for x, y in both)


def string(thing: str) -> str:
    """Return the string from the raised hand to a thing in the air."""
    x, y = HELD[thing]
    d = f"M{_GRIP[0]} {_GRIP[1]} Q{_GRIP[0] + 4} {(_GRIP[1] + y + 28) / 2} {x} {y + 26}"
    return line(d, INK, 5) + line(d, WHITE, 2)


def _legs(look: Look, pose: str) -> str:
    back, ahead = {"walk": (-22, 24), "apart": (-20, 20)}.get(pose, (-12, 13))
    legs = ""
    for hip, foot in ((-9, back), (10, ahead)):
        lift = 7 if pose == "walk" and foot < 0 else 0
        legs += _limb(f"M{hip} -30 L{foot} {-9 - lift}", look.limbs)
        legs += ellipse(foot + 4, -7 - lift, 12, 7, look.limbs)
    return legs


def _shirt(look: Look) -> str:
    return path("M-15 -80 L15 -80 Q24 -52 26 -26 Q0 -16 -26 -26 Q-24 -52 -15 -80 Z", look.clothes)


def _limb(d: str, colour: str) -> str:
    return line(d, INK, 19) + line(d, colour, 10)


def _arm(look: Look, x1: float, y1: float, x2: float, y2: float) -> str:
    return _limb(f"M{x1} {y1} L{x2} {y2}", look.clothes) + ellipse(x2, y2, 9.5, 9.5, look.limbs)


HANDS = {  # of the arm behind and of the one in front
    "stand": ((-33, -38), (33, -38)),
    "walk": ((-35, -46), (32, -40)),
    "wave": ((-33, -38), _GRIP),
    "reach": ((-33, -38), (50, -58)),
    "point": ((-33, -38), (43, -34)),
    "cheer": ((-44, -122), _GRIP),
    "raise": ((-31, -164), (31, -164)),
    "hold": ((-22, -40), (40, -40)),
    "hold and wave": ((-22, -40), _GRIP),
}


def asleep(species: str) -> str:
    """Return a character asleep on a pillow, its head on the left, feet to the right, 134 units long."""
    look = LOOKS[species]
    pillow = path("M-72 -4 Q-82 -26 -66 -38 L-8 -34 Q4 -18 -4 -2 Z", WHITE)
    feet = ellipse(66, -14, 8, 13, look.limbs) + ellipse(60, -10, 8, 12, look.limbs)
    body = path("M-6 -2 Q-10 -44 14 -46 Q44 -46 58 -26 Q62 -12 58 -2 Z", look.clothes)
    return pillow + feet + body + moved(_HEADS[species]("sleep"), -30, -46, angle=-28)


# ---- heads: the middle at the origin, 78 wide and 72 high without ears; `x` moves the face to where it looks

_FACE = 6


def _eyes(mood: str, y: float = -4, apart: float = 16, x: float = _FACE) -> str:
    eyes = ""
    for side in (-apart, apart):
        at = x + side
        if mood == "sleep":
            eyes += line(f"M{at - 9} {y - 1} Q{at} {y + 11} {at + 9} {y - 1}", INK, 5)
        elif mood == "cheer":
            eyes += line(f"M{at - 9} {y + 4} Q{at} {y - 12} {at + 9} {y + 4}", INK, 6)
        else:
            eyes += ellipse(at, y, 11, 13, WHITE, INK, 3.5) + ellipse(at + 3, y + 1, 6, 8, INK, width=0)
            eyes += disc(at + 4.5, y - 3, 2.6, WHITE)
    return eyes


def _mouth(mood: str, y: float, x: float = _FACE, wide: float = 10) -> str:
    if mood == "cheer":
        return path(f"M{x - wide} {y} Q{x} {y + 20} {x + wide} {y} Z", "#C2283C", INK, 4)
    return line(f"M{x - wide} {y} Q{x} {y + 9} {x + wide} {y}", INK, 4)


def _fox(mood: str) -> str:
    look = LOOKS["fox"]
    ears = path("M-37 -10 L-40 -58 L-6 -34 Z", look.fur) + path("M37 -10 L40 -58 L6 -34 Z", look.fur)
    ears += shape("M-31 -24 L-34 -46 L-18 -34 Z", "#4A2A1A") + shape("M31 -24 L34 -46 L18 -34 Z", "#4A2A1A")
    face = path("M-30 -28 Q0 -42 30 -28 Q40 -12 42 10 Q22 34 0 37 Q-22 34 -42 10 Q-40 -12 -30 -28 Z", look.fur)
    cheeks = shape(f"M-39 10 Q-18 4 {_FACE} 18 Q22 4 39.5 10 Q22 31 0 34.5 Q-22 31 -39 10 Z", WHITE)
    nose = ellipse(_FACE, 17, 7, 5.5, INK)
    return ears + face + cheeks + _eyes(mood) + nose + _mouth(mood, 25, wide=7)


def _bear(mood: str) -> str:
    look = LOOKS["bear"]
    ears = "".join(ellipse(x, -30, 14, 14, look.fur) + disc(x, -29, 6.5, "#D9A066") for x in (-29, 29))
    face = ellipse(0, 0, 39, 36, look.fur)
    muzzle = ellipse(_FACE, 17, 19, 14, "#E9BE86", width=0) + ellipse(_FACE, 11, 8, 6, INK)
    return ears + face + muzzle + _eyes(mood, -7) + _mouth(mood, 21, wide=8)


def _rabbit(mood: str) -> str:
    look = LOOKS["rabbit"]
    ears = ""
    for x, angle in ((-15, -8), (15, 10)):
        ears += moved(
            ellipse(0, -26, 12, 34, look.fur) + ellipse(0, -26, 5, 24, "#FF8FB0", width=0), x, -26, angle=angle
        )
    face = ellipse(0, 2, 39, 34, look.fur)
    cheeks = disc(_FACE - 26, 16, 6, "#FFB3C7") + disc(_FACE + 25, 16, 6, "#FFB3C7")
    nose = ellipse(_FACE, 13, 6, 4.5, "#F0608C", INK, 3)
    teeth = "" if mood == "sleep" else path(f"M{_FACE - 5.5} 24 h11 v8 h-11 Z", WHITE, "#B995A2", 2)
    return ears + face + cheeks + _eyes(mood, -3) + nose + teeth + _mouth("", 20, wide=9)


def _frog(mood: str) -> str:
    look = LOOKS["frog"]
    bumps = "".join(ellipse(_FACE - 2 + x, -28, 18, 18, "#B6EB7E") for x in (-20, 20))  # lids, where the eyes are shut
    face = ellipse(0, 4, 41, 31, look.fur)
    belly = shape("M-33 17 Q0 26 36 17 Q24 33 0 33 Q-24 33 -33 17 Z", "#C9EE8C")
    spots = disc(_FACE - 5, 3, 2.5, "#2E6B17") + disc(_FACE + 5, 3, 2.5, "#2E6B17")
    eyes = _eyes(mood, -32 if mood else -26, 20, _FACE - 2)
    return bumps + face + belly + eyes + spots + _mouth(mood, 13, _FACE - 2, 25)


def _pig(mood: str) -> str:
    look = LOOKS["pig"]
    ears = path("M-36 -12 L-40 -44 Q-16 -44 -8 -30 Z", "#F77FA3") + path("M36 -12 L40 -44 Q16 -44 8 -30 Z", "#F77FA3")
    face = ellipse(0, 0, 39, 36, look.fur)
    snout = ellipse(_FACE + 1, 13, 17, 12, "#F77FA3", INK, 4)
    snout += ellipse(_FACE - 5, 13, 3, 5, "#8E2F50", width=0) + ellipse(_FACE + 7, 13, 3, 5, "#8E2F50", width=0)
    return ears + face + _eyes(mood, -9) + snout + _mouth(mood, 28, wide=7)


def _mouse(mood: str) -> str:
    look = LOOKS["mouse"]
    ears = "".join(ellipse(x, -32, 22, 22, look.fur) + disc(x, -31, 13, "#FF9DB5") for x in (-27, 27))
    face = path("M-34 -16 Q-20 -34 0 -34 Q20 -34 34 -16 Q42 8 20 26 Q0 40 -20 26 Q-42 8 -34 -16 Z", look.fur)
    muzzle = ellipse(_FACE, 18, 14, 12, "#E4E6EE", width=0)
    nose = ellipse(_FACE, 13, 7.5, 6, "#FF6E97", INK, 3)
    return ears + face + muzzle + _eyes(mood, -6, 14) + nose + _mouth(mood, 22, wide=7)


def _chick(mood: str) -> str:
    look = LOOKS["chick"]
    tuft = "".join(moved(ellipse(0, -12, 6, 14, look.fur), x, -32, angle=a) for x, a in ((-7, -38), (7, 38), (0, 0)))
    face = ellipse(0, 0, 39, 36, look.fur)
    cheeks = disc(_FACE - 27, 13, 6, "#FFB347") + disc(_FACE + 26, 13, 6, "#FFB347")
    low = 12 if mood == "cheer" else 5
    beak = path(f"M{_FACE - 11} 14 Q{_FACE} {20 + 2 * low} {_FACE + 11} 14 Z", "#C94F0E", INK, 4)
    beak += path(f"M{_FACE - 15} 13 Q{_FACE} -3 {_FACE + 15} 13 Q{_FACE} 24 {_FACE - 15} 13 Z", "#FF8A1F", INK, 4)
    return tuft + face + cheeks + _eyes(mood, -8, 17) + beak


def _panda(mood: str) -> str:
    look = LOOKS["panda"]
    ears = "".join(ellipse(x, -30, 14, 14, look.limbs) for x in (-29, 29))
    face = ellipse(0, 0, 40, 36, look.fur)
    patches = moved(ellipse(0, 0, 13, 17, look.limbs, width=0), _FACE - 17, -3, angle=24)
    patches += moved(ellipse(0, 0, 13, 17, look.limbs, width=0), _FACE + 17, -3, angle=-24)
    eyes = _eyes("", -4, 16)
    if mood:
        up = mood == "cheer"
        eyes = "".join(
            line(f"M{_FACE + s - 7} {-4 + 3 * up} q7 {-13 if up else 10} 14 0", WHITE, 4.5) for s in (-16, 16)
        )
    return ears + face + patches + eyes + ellipse(_FACE, 14, 8, 5.5, INK) + _mouth(mood, 22, wide=7)


def _unicorn(mood: str) -> str:
    look = LOOKS["unicorn"]
    mane = path("M-4 -38 Q-40 -44 -42 -10 Q-50 8 -40 20 Q-46 38 -26 38 L-16 10 L6 -30 Z", "#FF6FB5")
    mane += shape("M-14 -36 Q-36 -30 -34 -4 Q-40 14 -30 34 L-22 34 L-14 6 Z", "#5CC8F2")
    horn = path("M-2 -33 L12 -72 L20 -31 Z", "#FFC928") + line("M5 -44 L17 -42 M8 -55 L15 -54", "#B97B00", 3.5)
    ear = path("M20 -28 L36 -50 L37 -18 Z", look.fur) + shape("M26 -29 L33 -41 L33 -24 Z", PINK)
    face = path(
        "M-30 -22 Q-12 -38 10 -36 Q32 -34 36 -14 Q41 6 40 18 Q38 37 10 37 Q-14 36 -20 24 Q-34 8 -30 -22 Z", look.fur
    )
    muzzle = shape("M-16 24 Q-12 12 10 11 Q34 10 37.5 18 Q36 34.5 10 34.5 Q-12 34 -16 24 Z", "#FFC4D6")
    lock = path("M-6 -39 Q-26 -24 -22 -2 Q-6 -8 4 -34 Z", "#FF6FB5", INK, 4)
    nostrils = disc(_FACE - 2, 21, 2.8, "#A34A70") + disc(_FACE + 14, 21, 2.8, "#A34A70")
    eyes, mouth = _eyes(mood, -5, 14, _FACE + 4), _mouth(mood, 27, _FACE + 5, 7)
    return mane + horn + ear + face + muzzle + lock + eyes + nostrils + mouth


_HEADS = {
    "fox": _fox,
    "bear": _bear,
    "rabbit": _rabbit,
    "frog": _frog,
    "pig": _pig,
    "mouse": _mouse,
    "chick": _chick,
    "panda": _panda,
    "unicorn": _unicorn,
}
_TAILS = {
    "fox": path("M-18 -30 Q-44 -26 -46 -52 Q-32 -62 -22 -46 Z", "#F58220")
    + path("M-46 -52 Q-40 -66 -30 -58 Q-34 -48 -44 -44 Z", WHITE),
    "mouse": line("M-20 -22 Q-40 -10 -42 -30", INK, 9) + line("M-20 -22 Q-40 -10 -42 -30", PINK, 4),
}


# ---- things


def thing(name: str) -> str:
    """Return a thing of THING units, its middle at the origin."""
    return _THINGS[name]


def lying(name: str) -> str:
    """Return a thing on the ground: an umbrella lies on its side, so that it does not look held."""
    return moved(thing(name), -8, 4, 0.9, angle=-68) if name == "umbrella" else thing(name)


_THINGS = {
    "kite": moved(
        path("M0 -34 L26 -8 L0 32 L-26 -8 Z", "#FF3B5C")
        + shape("M0 -34 L26 -8 L0 -8 Z", "#FFD21F")
        + shape("M0 32 L-26 -8 L0 -8 Z", "#29B6F6")
        + path("M0 -34 L26 -8 L0 32 L-26 -8 Z")
        + line("M-26 -8 L26 -8 M0 -34 L0 32", INK, 3),
        0,
        0,
        1.2,
    ),
    "balloon": moved(
        path("M-5 27 L5 27 L0 20 Z", "#E02438")
        + ellipse(0, -6, 24, 28, "#F5303F")
        + moved(ellipse(0, 0, 5, 9, "#FFC2C4", width=0), -10, -16, angle=25),
        0,
        0,
        1.15,
    ),
    "umbrella": line("M0 -40 L0 22 Q0 34 11 33 Q18 31 17 23", INK, 7)
    + path(
        "M-44 -16 Q-42 -56 0 -58 Q42 -56 44 -16 Q36 -25 29 -17 Q22 -25 15 -16 Q8 -25 0 -16 Q-8 -25 -15 -16 "
        "Q-22 -25 -29 -17 Q-36 -25 -44 -16 Z",
        "#9C4DF0",
    )
    + shape("M-15 -18 Q-14 -53 0 -56 Q14 -53 15 -18 Q8 -25 0 -16 Q-8 -25 -15 -18 Z", "#C79BFF"),
    "banana": path("M-27 -16 Q-24 22 22 20 Q30 16 26 8 Q-4 8 -14 -22 Q-20 -28 -27 -16 Z", "#FFDD1F")
    + line("M-20 -8 Q-10 14 20 14", "#D9A300", 3)
    + path("M-27 -16 L-24 -29 L-15 -28 L-14 -21 Z", "#7A5A12", INK, 4),
    "book": path("M-31 -18 L0 -14 L31 -18 L31 24 L0 28 L-31 24 Z", "#1F6FE0")
    + path("M0 -14 Q-14 -28 -26 -22 L-26 18 Q-14 12 0 22 Z", WHITE, INK, 4)
    + path("M0 -14 Q14 -28 26 -22 L26 18 Q14 12 0 22 Z", WHITE, INK, 4)
    + line("M-20 -12 L-7 -9 M-20 -2 L-7 1 M-20 8 L-7 11 M20 -12 L7 -9 M20 -2 L7 1 M20 8 L7 11", "#7A86A8", 3.5),
    "flower": line("M0 0 Q3 18 0 34", INK, 11)
    + line("M0 0 Q3 18 0 34", "#2FA03C", 5)
    + path("M2 26 Q8 8 26 12 Q22 28 2 26 Z", "#4CC552", INK, 4)
    + "".join(moved(ellipse(0, -15, 11, 12, "#FF4FA0", INK, 4), 0, -10, angle=72 * k) for k in range(5))
    + "".join(moved(disc(0, -12, 9.5, "#FF4FA0"), 0, -10, angle=72 * k) for k in range(5))
    + ellipse(0, -10, 9, 9, "#FFE22E", INK, 3),
    "guitar": moved(
        line("M0 -6 L0 -44", INK, 14)
        + line("M0 -6 L0 -44", "#6B3A1E", 6)
        + path("M-8 -58 L8 -58 L6 -42 L-6 -42 Z", "#6B3A1E", INK, 4)
        + path(
            "M-13 -12 Q0 -18 13 -12 Q20 -4 15 4 Q28 12 24 26 Q16 40 0 40 Q-16 40 -24 26 Q-28 12 -15 4 "
            "Q-20 -4 -13 -12 Z",
            "#F2A33C",
        )
        + ellipse(0, 6, 7, 7, "#3A2415", INK, 2)
        + line("M-10 25 L10 25", "#6B3A1E", 6)
        + line("M0 -40 L0 24", "#FFF3D6", 2),
        -7,
        6,
        0.84,
        angle=42,
    ),
    "carrot": moved(
        "".join(
            moved(path("M-5 0 Q-7 -20 0 -26 Q7 -20 5 0 Z", "#3DB54A", INK, 4), 0, -14, angle=a) for a in (-32, 32, 0)
        )
        + path("M-15 -12 Q0 -22 15 -12 Q14 12 0 36 Q-14 12 -15 -12 Z", "#FF7A1A")
        + line("M-13 -2 L-4 -1 M12 6 L4 7 M-8 14 L-2 14", "#B84A00", 3.5),
        2,
        0,
        angle=32,
    ),
    "hat": path("M-20 18 L-18 -28 Q0 -33 18 -28 L20 18 Z", "#5560A8")
    + path("M-20 17 L-19 3 Q0 8 19 3 L20 17 Q0 22 -20 17 Z", "#FFD21F", INK, 4)
    + path("M-34 16 Q0 30 34 16 Q36 26 20 29 Q0 33 -20 29 Q-36 26 -34 16 Z", "#5560A8"),
    "cake": ellipse(0, 24, 33, 8, "#DCE6F2")
    + path("M-26 -2 L-26 22 Q0 30 26 22 L26 -2 Z", "#C9803E")
    + line("M-26 12 Q0 19 26 12", "#FFF3D6", 5)
    + path("M-27 -4 Q0 -18 27 -4 L27 4 Q20 12 14 4 Q7 13 0 6 Q-7 13 -14 4 Q-20 12 -27 4 Z", "#FFB0D0")
    + line("M0 -12 L0 -24", INK, 8)
    + line("M0 -12 L0 -24", WHITE, 4)
    + path("M0 -38 Q9 -28 0 -23 Q-9 -28 0 -38 Z", "#FFB300", INK, 3),
    "ball": ellipse(0, 0, 27, 27, WHITE)
    + shape("M0 -11 L11 -3 L7 10 L-7 10 L-11 -3 Z", INK)
    + "".join(
        moved(shape("M-8 -25 L8 -25 L5 -17 L-5 -17 Z", INK) + line("M0 -18 L0 -11", INK, 3), 0, 0, angle=72 * k)
        for k in range(5)
    ),
    "present": path("M-25 -8 L25 -8 L25 30 L-25 30 Z", "#FFD21F")
    + box(-6, -8, 12, 36, "#EB2F3C")
    + path("M-29 -16 L29 -16 L29 -2 L-29 -2 Z", "#FFE36B")
    + box(-6, -14, 12, 10, "#EB2F3C")
    + path("M0 -17 Q-24 -16 -20 -30 Q-8 -36 0 -17 Q8 -36 20 -30 Q24 -16 0 -17 Z", "#EB2F3C", INK, 4),
}

ZZZ = "".join(
    line("M-28 4 h22 l-22 24 h24", colour, width) + line("M6 -26 h18 l-18 19 h20", colour, width - 2)
    for colour, width in ((WHITE, 15), ("#1B2A8B", 8))
)
"""The letters of a sleeper."""
SURPRISE = (
    line("M0 -16 L0 2", INK, 17) + disc(0, 17, 8.5, INK) + line("M0 -16 L0 2", "#FF4B33", 9) + disc(0, 17, 5, "#FF4B33")
)
"""The mark of one who finds something."""
