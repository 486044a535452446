"""The documentation site: its commands exist, it builds strictly, and it asks no other host for anything."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.demo.browser import CHROMIUM
from tests.test_readme import README, ROOT, parse

from storygan.cli import commands as cli
from storygan.models.model_card import add_metadata
from storygan.models.model_folder import shipped_models

DOCS = sorted((ROOT / "docs").glob("*.md"))
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?(https?:)?//"""
    r"""|<link\b[^>]*\bhref=["']?(https?:)?//"""
)


def calls(page: Path, program: str = "storygan ") -> list[str]:
    """The calls of a program in the page's bash blocks."""
    code = "\n".join(block.code for block in parse(page.read_text()) if block.language == "bash")
    return [line for line in code.replace("\\\n", " ").splitlines() if line.startswith(program)]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_understood(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for run in ("first", "quickstart", "own-stories", "toon"):
        (tmp_path / "runs" / run).mkdir(parents=True)
        shutil.copy(ROOT / "configs/paper.yaml", tmp_path / "runs" / run / "config.yaml")
    monkeypatch.chdir(tmp_path)
    nothing = {name: (options, lambda args: None, text) for name, (options, _, text) in cli.COMMANDS.items()}
    monkeypatch.setattr(cli, "COMMANDS", nothing)
    for command in calls(page):
        arguments = shlex.split(command, comments=True)[1:]
        assert cli.main(arguments) == 0, command


def test_fabric_run_hands_our_options_on() -> None:
    """They go through torchrun's parser, which takes what it knows, or almost knows, for its own."""
    from torch.distributed.run import get_args_parser

    found = calls(ROOT / "docs/scaling.md", "fabric run")
    assert len(found) == 2
    for command in found:
        script, *options = shlex.split(command.split("--devices 2")[1])
        read = get_args_parser().parse_args([script, *options])
        assert (read.training_script, read.training_script_args) == (".venv/bin/storygan", options)


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in DOCS if f": {page.name}" not in nav] == []
    listed = re.findall(r": ([\w-]+\.md)$", nav, re.MULTILINE)
    assert [name for name in listed if not (ROOT / "docs" / name).exists()] == []


def test_committed_pictures_are_small() -> None:
    for picture in (ROOT / "docs/images").iterdir():
        assert picture.stat().st_size < 50_000, picture
    assert sum(picture.stat().st_size for picture in (ROOT / "docs/pictures").iterdir()) < 400_000


def test_every_picture_that_is_drawn_is_shown_and_in_git() -> None:
    """GitHub shows what is in git, and nothing else."""
    listed = subprocess.check_output(["git", "ls-files", "docs/pictures"], cwd=ROOT, text=True).split()
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
    shown = {name for page in pages for name in re.findall(r"\((?:docs/|\.\./)?pictures/([\w.-]+)\)", page.read_text())}
    assert {Path(name).name for name in listed} == shown


def script(name: str) -> Any:
    """A module of scripts/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_of_the_readme_are_of_its_stories() -> None:
    assert [sentence for sentence in script("docs_pictures").TOON_STORY if f'"{sentence}"' not in README] == []
    calls = (ROOT / "README.md").read_text(), (ROOT / "docs/index.md").read_text()
    for text in calls:
        assert [sentence for sentence in script("docs_pictures").STORY if f'"{sentence}"' not in text] == []


@pytest.mark.parametrize("name", shipped_models())
def test_tables_of_results_are_those_of_their_files_and_the_shipped_card_has_them(name: str) -> None:
    tables = script("result_tables")
    pages = [ROOT / f"docs/results/{name}.md", ROOT / f"docs/model-cards/{name}.md"]
    for page in pages:
        text = page.read_text()
        assert len(tables.TABLE.findall(text)) >= 2
        assert tables.TABLE.sub(tables.anew, text) == text, "python scripts/result_tables.py"
    card = (ROOT / f"src/storygan/weights/{name}/README.md").read_text()
    report = json.loads((ROOT / f"docs/results/{name}.json").read_text())
    assert card.strip() == add_metadata(pages[1].read_text(), report).strip(), "python scripts/ship_model.py"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy of what it is made of."""
    root = tmp_path_factory.mktemp("site")
    for name in ("docs", "scripts", "src", "examples"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", root)
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(root / "src")}
    for command in (["scripts/docs_pictures.py"], ["-m", "mkdocs", "build", "--strict"]):
        done = subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    drawn = {path.name for path in (root / "docs/pictures").iterdir()}
    assert drawn == {path.name for path in (ROOT / "docs/pictures").iterdir()}, "make pictures"
    return root / "build/site"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_page_loads_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= 10
    for page in pages:
        assert not LOADED.search(page.read_text()), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", style.read_text()), style


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_example_that_draws_without_pytorch_is_on_its_page(site: Path) -> None:
    assert "InferenceSession" in (site / "sharing.html").read_text()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_browser_reads_and_searches_it_from_the_file_system(site: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    asked, wrong = set(), []

    def failed(request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # left for the next page before it had come
            wrong.append(request.url)

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.add(request.url.split(":")[0]))
        page.on("requestfailed", failed)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        for name in ("concepts", "api", "index"):
            page.goto(f"{(site / name).as_uri()}.html")
        broken = page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)")
        page.click("input.md-search__input")
        meta = "document.querySelector('.md-search-result__meta').innerText"
        page.wait_for_function(f"!{meta}.includes('Initializing')")
        page.locator("input.md-search__input").press_sequentially("Text2Gist")
        page.wait_for_selector(".md-search-result__item")
        found = page.locator(".md-search-result__link").first.get_attribute("href")
        browser.close()
    assert (asked, wrong, broken) == ({"file"}, [], [])
    assert "concepts.html" in str(found) or "api.html" in str(found)


def test_the_configuration_asks_for_no_web_fonts() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["strict"] is True
    assert config["theme"]["font"] is False
    assert all(not url.startswith(("http", "//")) for url in [*config["extra_css"], *config["extra"]["polyfills"]])
