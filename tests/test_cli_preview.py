"""Pictures in a terminal."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from storygan.cli.preview import blocks, has_graphics, kitty, preview

PICTURE = np.random.default_rng(0).integers(0, 256, (96, 200, 3), dtype=np.uint8)


def test_blocks_have_the_colours_of_the_picture() -> None:
    picture = np.zeros((4, 3, 3), np.uint8)
    picture[0, 0], picture[1, 0], picture[3, 2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    first, second = blocks(picture, 80).split("\n")
    assert first.startswith("\x1b[38;2;255;0;0;48;2;0;255;0m▀")
    assert second.endswith("\x1b[38;2;0;0;0;48;2;0;0;255m▀\x1b[0m")


@pytest.mark.parametrize("columns", [1, 40, 80])
def test_blocks_fit_the_terminal_and_keep_the_shape(columns: int) -> None:
    lines = [re.sub(r"\x1b\[[^m]*m", "", line) for line in blocks(PICTURE, columns).split("\n")]
    assert {len(line) for line in lines} == {columns}
    assert len(lines) == max(1, round(columns * 96 / 200 / 2))


def test_kitty_has_the_whole_picture() -> None:
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(PICTURE))
    assert [head for head, _ in parts] == ["a=T,f=100,m=1", *["m=1"] * (len(parts) - 2), "m=0"]
    assert max(len(data) for _, data in parts) <= 4096
    sent = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in parts))))
    assert np.array_equal(np.asarray(sent), PICTURE)


@pytest.mark.parametrize(
    ("environment", "graphics"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM_PROGRAM": "WezTerm"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-kitty", "TMUX": "x"}, False),
        ({}, False),
    ],
)
def test_terminals_with_graphics(environment: dict[str, str], graphics: bool) -> None:
    assert has_graphics(environment) == graphics
    assert preview(PICTURE, environment, 20).startswith("\x1b_G") == graphics
