"""The page is self-contained and complete; tables, verdicts and curves."""

import io
import xml.etree.ElementTree as ET
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storygan.compare.page import POINTS, draw_curves, make_page, read_curves, thin
from storygan.compare.result import Comparison, Training
from storygan.evaluation.bootstrap import Estimate
from storygan.evaluation.tables import verdict
from storygan.viz import enlarge

STORIES = [[f"sentence {t} of <story> {n}" for t in range(4)] for n in range(3)]
CURVES = {
    "storygan": {"D_I/real": [(1.0, 5.0), (2.0, 0.1)], "G/L_KL": [(1.0, 1.0)]},
    "svc": {"D_I/real": [(1.0, -1.0), (9.0, 3.0)]},
}


def comparison() -> Comparison:
    value = Estimate(0.5, 0.25, 0.75, 3)
    return Comparison(
        budget="2 minutes each",
        config={"seed": 0},
        differing_fields={"storygan": {"model.variant": "storygan"}, "svc": {"model.variant": "svc"}},
        trained={"storygan": Training(1200, 0, 2.0, 0.1, 10), "svc": Training(1300, 1250, 2.0, 0.09, 20)},
        metrics={"real_frames": {"kid": None, "ssim": value}, "storygan": {"ssim": value}, "svc": {"ssim": value}},
        runs={},
        differences={"svc": {"object_accuracy": Estimate(0.1, 0.05, 0.2, 3)}},
        notes=["a note & more"],
    )


class Elements(HTMLParser):
    """Collect all elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def frames() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 256, (3, 4, 8, 8, 3), np.uint8) for name in ("real frames", "storygan", "svc")}


def test_the_page_refers_to_nothing_outside(frames: dict[str, np.ndarray]) -> None:
    page = make_page(comparison(), STORIES, frames, draw_curves({name: [curves] for name, curves in CURVES.items()}))
    elements = Elements(page).found
    assert not {"script", "link", "iframe", "object", "base", "image", "use"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href", "style"):
                assert (tag, name) == ("img", "src")
                assert str(value).startswith("data:image/webp;base64,")
    assert "url(" not in page
    assert "@import" not in page
    assert page.replace("http://www.w3.org/2000/svg", "").count("://") == 0


def test_the_page_has_the_frames_of_each_story_in_rows(frames: dict[str, np.ndarray]) -> None:
    page = make_page(
        comparison(),
        STORIES,
        frames,
        draw_curves({name: [curves] for name, curves in CURVES.items()}),
        aspect_ratio=4 / 3,
    )
    elements = Elements(page)
    sources = [str(attributes["src"]) for tag, attributes in elements.found if tag == "img"]
    assert len(sources) == 3 * 3 * 4
    for n, source in enumerate(sources):
        story, row, t = n // 12, n // 4 % 3, n % 4
        with Image.open(io.BytesIO(b64decode(source.split(",")[1]))) as image:
            shown = np.array(image.convert("RGB")).astype(int)
        frame = list(frames.values())[row][story, t]
        expected = enlarge(frame, aspect_ratio=4 / 3)
        assert shown.shape == expected.shape == (24, 32, 3)
        assert np.abs(shown - expected).mean() < 25  # WebP is lossy, and the frames are noise
    for words in ("sentence 3 of <story> 2", "real frames", "a note & more", "storygan - svc", "1,300", "2 minutes"):
        assert words in elements.text


def test_markdown() -> None:
    text = comparison().markdown("compare.svg")
    assert "| ssim | 0.500 (0.250 to 0.750) | 0.500 (0.250 to 0.750) | 0.500 (0.250 to 0.750) |" in text
    assert "| kid | - | - | - |" in text
    assert "| object_accuracy | +0.100 (+0.050 to +0.200): better |" in text
    assert "| svc | 1,300 | 1,250 | 2.0 | 0.090 | 20 |" in text
    assert "## Fields that all runs share\n\n| field | value |\n|---|---:|\n| seed | 0 |" in text
    assert "![training curves](compare.svg)" in text
    assert text.startswith("# storygan against svc\n")


def test_json_leaves_out_what_was_not_measured() -> None:
    values = comparison().to_dict()
    assert values["metrics"]["real_frames"] == {"ssim": {"mean": 0.5, "low": 0.25, "high": 0.75, "stories": 3}}
    assert values["trained"]["svc"] == {
        "iterations": 1300,
        "adversarial": 1250,
        "minutes": 2.0,
        "seconds_per_iteration": 0.09,
        "parameters": 20,
    }


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.1, 0.2, "better"), (-2, -1, "worse"), (0, 1, "no difference shown")]
)
def test_a_verdict_needs_an_interval_on_one_side(low: float, high: float, expected: str) -> None:
    assert verdict(Estimate((low + high) / 2, low, high, 3)) == expected


def test_curves_are_one_svg_with_a_line_per_run() -> None:
    root = ET.fromstring(draw_curves({name: [curves] for name, curves in CURVES.items()}))
    space = "{http://www.w3.org/2000/svg}"
    lines = [line.get("points", "").split() for line in root.iter(f"{space}polyline")]
    assert [len(line) for line in lines] == [3, 3, 2]
    places = [tuple(map(float, point.split(","))) for line in lines for point in line]
    assert all(44 <= x <= 316 and 20 <= y <= 160 for x, y in places)
    texts = {text.text for text in root.iter(f"{space}text")}
    assert {"storygan", "svc", "D_I/real", "G/L_KL", "9 iterations"} <= texts


def test_many_points_are_thinned_to_means(tmp_path: Path) -> None:
    curve = thin([(float(x), 2.0 * x) for x in range(1000)])
    assert len(curve) == POINTS
    assert all(y == pytest.approx(2 * x) for x, y in curve)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "G/L_KL": 2.0}\n{"step": 2, "G/L_KL": 1.0, "D_I/real": 3.0}\n')
    assert read_curves(tmp_path / "metrics.jsonl") == {"G/L_KL": [(1, 2), (2, 1)], "D_I/real": [(2, 3)]}
