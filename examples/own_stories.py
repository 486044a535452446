"""Make 20 short stories with pictures, cut from coloured paper, and the list that `storygan data import stories` reads.

    python examples/own_stories.py my-stories

Three characters, three places, two things, five pictures a story; 16 stories to train on and 4 to test on.
"""

import csv
import sys
from copy import deepcopy
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 256  # pixels a side
PLACES = {"on the moon": (38, 40, 66), "at the harbour": (236, 214, 178), "in the library": (120, 70, 62)}
NAMES = {"robot": "Bolt the robot", "cat": "Mimi the cat", "ghost": "Boo the ghost"}
THINGS = ("lantern", "letter")
Point = tuple[float, float]


class Collage:
    """A picture of pieces of paper; coordinates are in hundredths of its side."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        self.image = Image.new("RGB", (SIZE, SIZE), colour)

    def piece(self, colour: str, *points: Point) -> None:
        """Add a polygon, or with two points an ellipse in that box, which casts a soft shadow."""
        large = Image.new("L", (2 * SIZE, 2 * SIZE))
        draw, scaled = ImageDraw.Draw(large), [(x * SIZE / 50, y * SIZE / 50) for x, y in points]
        draw.ellipse([*scaled[0], *scaled[1]], fill=255) if len(points) == 2 else draw.polygon(scaled, fill=255)
        mask = large.reduce(2)
        shadow = mask.filter(ImageFilter.BoxBlur(2)).point(lambda value: value * 0.45)
        self.image.paste("black", (2, 3), shadow)
        self.image.paste(colour, (0, 0), mask)

    def box(self, colour: str, left: float, top: float, right: float, bottom: float) -> None:
        self.piece(colour, (left, top), (right, top + 1), (right - 1, bottom), (left, bottom))

    def save(self, path: Path) -> None:
        """Save with the grain of paper."""
        grain = np.random.default_rng(0).normal(0, 4, (SIZE, SIZE, 1))
        Image.fromarray((np.asarray(self.image) + grain).clip(0, 255).astype(np.uint8)).save(path)


@cache
def place_page(place: str) -> Collage:
    page = Collage(PLACES[place])
    if place == "on the moon":
        page.piece("#7fb2d6", (66, 6), (90, 30))
        page.piece("#8fc08a", (72, 11), (83, 20))
        for x, y in ((10, 12), (30, 26), (48, 8), (56, 34), (16, 40), (92, 42)):
            page.piece("#f4e9c1", (x, y), (x + 2.5, y + 2.5))
        page.piece("#b9b4b0", (0, 66), (30, 60), (70, 62), (100, 58), (100, 100), (0, 100))
        for x, y in ((12, 70), (48, 66), (76, 72)):
            page.piece("#98928f", (x, y), (x + 14, y + 5))
    elif place == "at the harbour":
        page.piece("#e2725b", (8, 8), (26, 26))
        page.box("#4f8a8b", 0, 46, 100, 72)
        page.piece("#f7f3e8", (62, 16), (62, 42), (80, 42))
        page.piece("#7a4a3a", (52, 44), (90, 44), (82, 54), (58, 54))
        page.box("#a9825a", 0, 68, 100, 100)
        for x in (6, 48, 90):
            page.box("#6e5138", x, 60, x + 5, 84)
    else:
        for y in (8, 30):
            page.box("#5c3a2e", 4, y + 18, 96, y + 21)
            for k in range(14):
                colour = ("#c9a227", "#4f8a8b", "#b5533c", "#e8dcc0")[(3 * k + y) % 4]
                page.box(colour, 6 + 6.4 * k, y + 3 * (k % 3), 11 + 6.4 * k, y + 18)
        page.box("#8c5a44", 0, 66, 100, 100)
        page.piece("#c8553d", (20, 78), (80, 96))
    return page


def draw_character(page: Collage, who: str, x: float) -> None:
    if who == "robot":
        page.box("#6d7f86", x - 9, 82, x - 2, 94)
        page.box("#6d7f86", x + 2, 82, x + 9, 94)
        page.box("#8fa6ad", x - 12, 60, x + 12, 84)
        page.box("#a9c0c6", x - 14, 36, x + 14, 60)
        page.box("#d9534a", x - 1.5, 28, x + 1.5, 37)
        for eye in (-6, 6):
            page.piece("#fbe36a", (x + eye - 4, 42), (x + eye + 4, 50))
        page.box("#3c4a50", x - 7, 53, x + 7, 56)
    elif who == "cat":
        page.piece("#2f2b33", (x + 8, 70), (x + 22, 60), (x + 18, 84), (x + 6, 90))
        page.piece("#2f2b33", (x - 11, 62), (x + 11, 95))
        page.piece("#2f2b33", (x - 14, 50), (x - 13, 30), (x - 2, 42))
        page.piece("#2f2b33", (x + 14, 50), (x + 13, 30), (x + 2, 42))
        page.piece("#3b3640", (x - 15, 38), (x + 15, 66))
        for eye in (-6, 6):
            page.piece("#b7e04b", (x + eye - 4, 46), (x + eye + 4, 55))
        page.piece("#e88fa0", (x - 2.5, 56), (x + 2.5, 56), (x, 60))
    else:
        page.piece("#f6f1e6", (x - 15, 34), (x + 15, 66))
        feet = [(x + 15 - 6 * k, 94 if k % 2 else 88) for k in range(6)]
        page.piece("#f6f1e6", (x - 15, 50), (x + 15, 50), *feet)
        for eye in (-6, 6):
            page.piece("#35304a", (x + eye - 3, 46), (x + eye + 3, 56))
        page.piece("#35304a", (x - 4, 60), (x + 4, 68))


def draw_thing(page: Collage, thing: str, x: float, y: float) -> None:
    if thing == "lantern":
        page.box("#54382a", x - 7, y - 9, x + 7, y - 6)
        page.box("#ffd24a", x - 6, y - 6, x + 6, y + 6)
        page.box("#54382a", x - 7, y + 6, x + 7, y + 9)
    else:
        page.box("#fffaf0", x - 10, y - 7, x + 10, y + 7)
        page.piece("#d9534a", (x - 2.5, y - 2.5), (x + 2.5, y + 2.5))


def main(root: Path) -> None:
    root.mkdir()
    pairs, places = list(permutations(NAMES, 2)), list(PLACES)
    with (root / "stories.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["story", "frame", "sentence", "labels", "split"])
        for n in range(20):
            (one, two), place, thing = pairs[n % 6], places[(n + n // 6) % 3], THINGS[(n + n // 6) % 2]
            a, b = NAMES[one], NAMES[two]
            scenes = (  # sentence, who is there, and where the thing is
                (f"{a} is {place}.", (one,), None),
                (f"{b} comes to {a}.", (one, two), None),
                (f"{a} finds a {thing}.", (one, two), (36, 84)),
                (f"{a} gives the {thing} to {b}.", (one, two), (62, 78)),
                (f"{a} leaves, and {b} stays with the {thing}.", (two,), (62, 78)),
            )
            for t, (sentence, present, where) in enumerate(scenes, start=1):
                page = deepcopy(place_page(place))
                for who in present:
                    draw_character(page, who, 24 if who == one else 78)
                if where:
                    draw_thing(page, thing, *where)
                page.save(root / f"{n:02d}-{t}.jpg")
                labels = ";".join([*present, *([thing] if where else [])])
                table.writerow([f"story {n}", f"{n:02d}-{t}.jpg", sentence, labels, "test" if n >= 16 else "train"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
