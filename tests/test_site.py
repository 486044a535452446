"""The documentation: its commands parse; the site builds, keeps its links and loads nothing from other hosts."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from tests.demo.browser import CHROMIUM
from tests.test_readme import README, ROOT, parse

from storygan import config, editing
from storygan.cli import commands as cli
from storygan.models.model_card import add_metadata
from storygan.models.storygan import shipped_models

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, *sorted((ROOT / "docs/results").glob("*.md"))]
MAX_WORDS = 12_000
"""Of all pages together, without the experiment log, the model cards, and the 'to' of intervals."""
LINK = re.compile(r"!?\[[^]]*\]\((?!\w+:)([^)#\s]+)")
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?(https?:)?//"""
    r"""|<link\b[^>]*\bhref=["']?(https?:)?//"""
)


def calls(page: Path, program: str = "storygan ") -> list[str]:
    """Return the calls of a program in the page's bash blocks."""
    code = "\n".join(block.code for block in parse(page.read_text()) if block.language == "bash")
    return [line for line in code.replace("\\\n", " ").splitlines() if line.startswith(program)]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_every_command_of_a_page_parses(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_fabric_run_passes_our_options_on() -> None:
    """They go through torchrun's parser, which takes options that it knows, or prefixes of them, for its own."""
    from torch.distributed.run import get_args_parser

    found = calls(ROOT / "docs/distributed.md", "fabric run")
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
    assert sum(picture.stat().st_size for picture in (ROOT / "docs/pictures").iterdir()) < 700_000


def test_every_picture_is_shown_and_in_git() -> None:
    """GitHub shows what is in git, and nothing else."""
    listed = subprocess.check_output(["git", "ls-files", "docs/pictures"], cwd=ROOT, text=True).split()
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
    shown = {name for page in pages for name in re.findall(r"\((?:docs/|\.\./)?pictures/([\w.-]+)\)", page.read_text())}
    assert {Path(name).name for name in listed} == shown


def script(name: str) -> Any:
    """Import a module of scripts/."""
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
        assert tables.TABLE.sub(tables.updated, text) == text, "python scripts/result_tables.py"
    card = (ROOT / f"src/storygan/weights/{name}/README.md").read_text()
    report = json.loads((ROOT / f"docs/results/{name}.json").read_text())
    assert card.strip() == add_metadata(pages[1].read_text(), report).strip(), "python scripts/ship_model.py"


def test_the_leaderboard_is_that_of_the_results() -> None:
    tables, page = script("result_tables"), (ROOT / "docs/results/leaderboard.md").read_text()
    assert tables.LEADERBOARD.sub(tables.leaderboard, page) == page, "python scripts/result_tables.py"
    assert page.count("| real frames |") == 2


def test_tables_of_performance_are_those_of_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, page = script("result_tables"), (ROOT / "docs/performance.md").read_text()
    assert tables.SPEED.sub(tables.speed, page) == page, "python scripts/result_tables.py"
    quartiles = {"median": 216.4, "low": 210.0, "high": 219.6}
    rows = {"a step": {"fp32": quartiles, "GFLOP": 30.91}, "a layer": {"fp32": [quartiles | {"chosen": True}] * 2}}
    machine = {"processor": "Xeon", "flags": ["avx2"], "GPU": None, "threads": 2, "torch": "2.13", "commit": "abc"}
    report = {"rows": rows, "hidden": [], "unit": "Milliseconds", "machine": machine}
    (tmp_path / "results").mkdir()
    (tmp_path / "results/a.json").write_text(json.dumps(report))
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    once = tables.SPEED.sub(tables.speed, "<!-- speed a.json -->\n\n| an | old | table |\n\nText.\n")
    assert "| a step | 216 (210 to 220) | 30.9 |\n| a layer | **216** / **216** |  |\n\nMilliseconds. " in once
    assert once.endswith("Measured on Xeon (avx2), threads: 2, PyTorch 2.13, commit abc.\n\nText.\n")
    assert tables.SPEED.sub(tables.speed, once) == once


CLASSES = [kind for kind in vars(config).values() if dataclasses.is_dataclass(kind)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_configuration_reference_has_every_field(kind: Any) -> None:
    pytest.importorskip("latex2mathml")
    rows = re.findall(r"^\| `(\w+)` \|", script("docs_pages").fields_table(kind.__name__), re.MULTILINE)
    assert rows == list(kind.__annotations__)
    if rows != ["loss"]:
        assert f"<!-- fields: {kind.__name__} -->" in (ROOT / "docs/configuration.md").read_text()


def test_the_configuration_reference_has_defaults_and_choices() -> None:
    pytest.importorskip("latex2mathml")
    table = script("docs_pages").fields_table("StageConfig")
    assert "| `iterations` | int | `20000` |" in table
    assert "| `gan_loss` | `saturating`, `non-saturating`, `relativistic` | `non-saturating` |" in table


def test_links_of_a_page_are_changed_to_the_site() -> None:
    pytest.importorskip("latex2mathml")
    pages = script("docs_pages")
    source = ROOT / "docs/results/page.md"
    text = {
        "[a](../data.md#format)": "[a](../data.md#format)",
        "![b](../pictures/free.webp)": "![b](../pictures/free.webp)",
        "[c](../../src/storygan/weights/toon-sv/README.md)": "[c](../cards/toon-sv.md)",
        "[d](../../benchmarks/clevr.md)": "d (`benchmarks/clevr.md` in the repository)",
        "[e](https://a.org/b.md)": "[e](https://a.org/b.md)",
    }
    for before, after in text.items():
        assert pages.LINK.sub(lambda match: pages.link(match, source), before) == after
    with pytest.raises(FileNotFoundError):
        pages.LINK.sub(lambda match: pages.link(match, source), "[f](missing.md/../../none.md)")


def test_formulas_become_mathml_and_code_stays() -> None:
    pytest.importorskip("latex2mathml")
    text = script("docs_pages").with_math("$h_0$ costs `$1` and `$2`, \\$3 and $4\n\n$$\nx^2\n$$\n")
    assert text.startswith("<span><math")
    assert "costs `$1` and `$2`, \\$3 and $4" in text
    assert '<div><math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in text


def test_members_of_the_api_page_exist_and_those_of_editing_are_there() -> None:
    text = (ROOT / "docs/api.md").read_text()
    named = re.findall(r"^::: ([\w.]+)\n    options: {.*members: \[([\w, ]+)\] }", text, re.MULTILINE)
    assert len(named) > 25
    for target, members in named:
        owner = pkgutil.resolve_name(target)
        assert [name for name in members.split(", ") if not hasattr(owner, name)] == [], target
    pages = ("editing", "models.output")
    listed = {name for target, members in named if any(p in target for p in pages) for name in members.split(", ")}
    assert listed >= set(editing.__all__)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "experiments.md"], ids=lambda page: page.stem)
def test_files_that_a_page_names_exist(page: Path) -> None:
    names = re.findall(r"`((?:tests|scripts|configs|benchmarks|examples|src)/[\w./-]*)`", page.read_text())
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_documentation_is_short() -> None:
    pages = [page for page in PAGES if page.name != "experiments.md"]
    texts = [page.read_text() for page in pages]
    words = [w for text in texts for w in re.sub(r" to -?[\d.]", " ", text).split() if re.search(r"[a-z]", w, re.I)]
    assert len(words) <= MAX_WORDS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site from a copy of its sources."""
    root = tmp_path_factory.mktemp("site")
    for name in ("docs", "scripts", "src", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", root)
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(root / "src")}
    for command in (["scripts/docs_pictures.py"], ["scripts/docs_pages.py"], ["-m", "mkdocs", "build", "--strict"]):
        done = subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    made = {path.name for path in (root / "docs/pictures").iterdir()}
    assert made == {path.name for path in (ROOT / "docs/pictures").iterdir()}, "make pictures"
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


class Targets(HTMLParser):
    """The links and pictures of an HTML page, and its anchors."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {values["id"]} if values.get("id") else set()
        self.targets += [value for name in ("href", "src") if (value := values.get(name))]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_links_and_pictures_of_the_site_exist(site: Path) -> None:
    pages = {path.resolve(): Targets(path) for path in site.rglob("*.html") if path.name != "404.html"}
    for page, parsed in pages.items():
        for url in map(urlsplit, parsed.targets):
            if url.scheme or url.netloc:
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            assert target.exists(), (page, url)
            if url.fragment and target in pages:
                assert unquote(url.fragment) in pages[target].anchors, (page, url)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("source", PAGES, ids=lambda page: page.stem)
def test_no_link_or_picture_of_a_page_is_dropped(source: Path, site: Path) -> None:
    page = site / source.relative_to(ROOT / "docs").with_suffix(".html")
    found = {(page.parent / unquote(urlsplit(url).path)).resolve() for url in Targets(page).targets}
    site_path = script("docs_pages").site_path
    for target in LINK.findall(source.read_text()):
        if there := site_path(Path(os.path.normpath(source.parent / target))):
            assert (site / re.sub(r"\.md$", ".html", there)).resolve() in found, target


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_formulas_of_the_site_are_rendered(site: Path) -> None:
    text = (site / "concepts.html").read_text()
    assert text.count('display="block"') >= 9
    assert "$$" not in text


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_onnxruntime_example_is_on_its_page(site: Path) -> None:
    assert "InferenceSession" in (site / "sharing.html").read_text()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_site_works_from_the_file_system_in_a_browser(site: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    schemes, errors = set(), []

    def failed(request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # the browser went on to the next page
            errors.append(request.url)

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda request: schemes.add(request.url.split(":")[0]))
        page.on("requestfailed", failed)
        page.on("pageerror", lambda error: errors.append(str(error)))
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
    assert (schemes, errors, broken) == ({"file"}, [], [])
    assert "concepts.html" in str(found) or "api.html" in str(found)


def test_the_configuration_asks_for_no_web_fonts() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["strict"] is True
    assert config["theme"]["font"] is False
    assert all(not url.startswith(("http", "//")) for url in [*config["extra_css"], *config["extra"]["polyfills"]])
