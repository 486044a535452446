"""The README runs: every fenced bash and python block, in order, in a working copy of the repository.

test_docs.py runs the step-by-step pages of docs/ in the same way. test_site.py parses the commands of all pages.

Comments above a block change how it runs:
    <!-- ci: slow -->            in the slow tests only
    <!-- ci: append ARGS -->     with ARGS appended to its last command, for smaller sizes
    <!-- ci: before COMMAND -->  after COMMAND, which makes files that a reader has
    <!-- ci: skip REASON -->     not at all
Blocks share the working copy. A slow block may use files of any block above it; a fast one, files of fast ones only.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^((?:<!-- ci: .* -->\n)*)```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
SHOWN = {"text", "yaml", "bibtex"}  # languages of blocks that are not commands
FAST_SECONDS, SLOW_SECONDS = 200, 1200


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    directives: dict[str, str]
    line: int

    @property
    def fast(self) -> bool:
        return "slow" not in self.directives

    @property
    def command(self) -> list[str]:
        if self.language == "python":
            return [sys.executable, "-W", "error", "-c", self.code]
        code = f"{self.code.rstrip()} {self.directives.get('append', '')}"
        return ["bash", "-euo", "pipefail", "-c", f"{self.directives.get('before', '')}\n{code}\n"]


def parse(text: str) -> list[Block]:
    blocks = []
    for match in BLOCK.finditer(text):
        comments, language, code = match.groups()
        directives = dict(re.findall(r"<!-- ci: (\S+) ?(.*?) ?-->", comments))
        blocks.append(Block(language, code, directives, text[: match.start(2)].count("\n") + 1))
    return blocks


BLOCKS = parse(README)
RUN = [block for block in BLOCKS if block.language not in SHOWN and "skip" not in block.directives]


@dataclass
class Reader:
    """Runs the blocks of the README, or of another page, in a working copy."""

    folder: Path
    page: str
    blocks: list[Block]
    failures: dict[int, str] = field(default_factory=dict)
    """Error of each block that ran, by line; empty if it passed."""

    def follow(self, until: Block) -> None:
        """Run `until` and the blocks above it."""
        for block in self.blocks[: self.blocks.index(until) + 1]:
            if block.line not in self.failures and (block.fast or not until.fast):
                self.failures[block.line] = self.run(block)
        assert not self.failures[until.line], self.failures[until.line]

    def run(self, block: Block) -> str:
        seconds = FAST_SECONDS if block.fast else SLOW_SECONDS
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with subprocess.Popen(
            block.command,
            cwd=self.folder,
            env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return f"{self.page}, line {block.line}: took over {seconds} s; `<!-- ci: slow -->`?\n{block.code}"
        if process.returncode:
            return f"{self.page}, line {block.line}: exit code {process.returncode}\n{block.code}\n{output[-4000:]}"
        return ""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(working_copy(tmp_path_factory.mktemp("readme") / "storygan"), "README.md", RUN)


def working_copy(folder: Path) -> Path:
    """Copy tracked and new files to the folder, with the environment of the tests."""
    environment = Path(sys.prefix)
    if not (environment / ".installed-dev").exists():
        pytest.skip("runs in the environment that `make test` makes")
    listed = subprocess.check_output(["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, text=True)
    for name in listed.strip("\0").split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(environment)
    if (ROOT / ".render-venv").exists():
        (folder / ".render-venv").symlink_to(ROOT / ".render-venv")
    for name in ("pyproject.toml", "constraints.txt", "constraints-render.txt", "scripts/render-env.sh"):
        os.utime(folder / name, (0, 0))  # older than the stamps: make must not install into the shared environment
    return folder


def test_the_first_two_commands_are_make_story_and_make_test() -> None:
    assert [block.code for block in BLOCKS[:2]] == ["make story\n", "make test\n"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"line-{block.line}")
def test_block_has_a_language_and_known_directives(block: Block) -> None:
    assert block.language in SHOWN | {"bash", "python"}, "a fence without a known language is never run"
    assert set(block.directives) <= {"slow", "append", "before", "skip"}
    if "skip" in block.directives:
        assert len(block.directives["skip"].split()) >= 3, "say why it is not run"
    if "append" in block.directives:
        assert block.language == "bash"
        assert "#" not in block.code.splitlines()[-1], "ARGS would go into the comment"


def test_every_fence_is_parsed() -> None:
    assert len(re.findall(r"^\s*```", README, re.MULTILINE)) == 2 * len(BLOCKS)
    assert README.count("<!-- ci:") == sum(len(block.directives) for block in BLOCKS)


def test_links_of_the_readme_exist() -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            block,
            id=f"line-{block.line}",
            marks=[pytest.mark.timeout(3 * SLOW_SECONDS), *([] if block.fast else [pytest.mark.slow])],
        )
        for block in RUN
    ],
)
def test_block_runs(block: Block, reader: Reader) -> None:
    reader.follow(until=block)


def test_parser_reads_directives() -> None:
    text = "a\n\n<!-- ci: slow -->\n<!-- ci: append --n 3 -->\n```bash\nb \\\n  c\n```\n\n```text\nd\n```\n"
    first, second = parse(text)
    assert (first.language, first.directives, first.line) == ("bash", {"slow": "", "append": "--n 3"}, 5)
    assert first.command[-1].strip() == "b \\\n  c --n 3"
    assert (second.language, second.code, second.fast) == ("text", "d\n", True)
