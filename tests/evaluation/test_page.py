"""The page of an evaluation loads nothing, and shows the best and the worst stories."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from tests.demo.browser import CHROMIUM, chromium

from storygan.data.dataset import StoryDataset
from storygan.errors import UsageError
from storygan.evaluation.bootstrap import per_story
from storygan.evaluation.html import SORT, html_story, html_table, make_document
from storygan.evaluation.page import check_page, extreme_stories, make_page
from storygan.evaluation.tables import Table

HEADLINE = Table("Headline", [["method", "ssim"], ["real frames", "1.000"], ["a", "0.500"]])
METRICS = Table("Metrics", [["", "real frames", "a"], ["ssim", "1.000 (1.000 to 1.000)", "0.500 (0.4 to 0.6)"]])


def test_a_row_is_a_method_and_stories_are_ranked(stories: StoryDataset) -> None:
    values = {"psnr_01": per_story(np.arange(16.0))}
    page = make_page("Title", [HEADLINE, METRICS], ["a note & more"], stories, {"a": (255 - stories.frames, values)})
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    assert "".join(rows[:6]).count("button") == 8, "two headers of two tables"
    assert rows[2] == "<td>a</td><td>0.500</td>"
    assert rows[5] == "<td>a</td><td>0.500 (0.4 to 0.6)</td>"
    headings = re.findall(r"<h3>(.*?)</h3>", page)
    assert headings[0] == f"best: {stories.story_ids[15]} (psnr_01 15)"
    assert headings[3] == f"worst: {stories.story_ids[0]} (psnr_01 0)"
    assert len(headings) == 6
    assert page.count("<img ") == page.count("data:image/webp;base64,") == 6 * 2 * 4
    assert "a note &amp; more" in page
    assert "://" not in page


def test_only_the_script_of_the_page_may_run() -> None:
    page = make_document("<T>", [], "let a = 1;")
    digest = b64encode(sha256(b"let a = 1;").digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "<script>let a = 1;</script>" in page
    assert "script" not in make_document("T", [])


def test_text_is_escaped() -> None:
    evil = '"><script>x</script>'
    parts = [
        html_table([[evil], [evil]], sortable=True),
        html_story(evil, [evil], {evil: np.zeros((1, 8, 8, 3), np.uint8)}),
    ]
    assert "<script" not in make_document(evil, parts)


@pytest.mark.parametrize(("N", "expected"), [(2, [1, 0]), (4, [3, 2, 1, 0]), (9, [8, 7, 6, 0, 1, 2])])
def test_no_story_is_both(N: int, expected: list[int]) -> None:
    assert list(extreme_stories({"psnr_01": per_story(np.arange(float(N)))})) == expected


def test_where_a_page_cannot_be_written(tmp_path: Path) -> None:
    check_page(tmp_path / "page.html")
    for path in (tmp_path / "page.txt", tmp_path / "nowhere" / "page.html"):
        with pytest.raises(UsageError, match=re.escape(str(path))):
            check_page(path)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
def test_a_click_sorts_by_a_metric_with_missing_values_last(tmp_path: Path) -> None:
    values = {"b": "-0.100 (-0.2 to 0.0)", "c": "-", "a": "0.500 (0.4 to 0.6)", "d": "0.020 (0 to 1)"}
    cells = [["method", "kid"], *map(list, values.items())]
    path = tmp_path / "page.html"
    path.write_text(make_document("Title", [html_table(cells, sortable=True)], SORT))
    with chromium() as browser:
        page = browser.new_page()
        page.goto(path.as_uri())

        def names(clicked: str) -> str:
            page.click(f"thead th:nth-child({clicked}) button")
            return "".join(row.split("\t")[0] for row in page.locator("tbody").inner_text().splitlines())

        assert names("2") == "adbc"
        assert names("2") == "bdac"
        assert {names("1"), names("1")} == {"abcd", "dcba"}
