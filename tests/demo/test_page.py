"""The page in a real browser, at the widths of a desktop and a phone. Screenshots go to build/screenshots."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.demo.browser import CHROMIUM, SCREENSHOTS, call_summary, chromium, illegible, is_local
from tests.demo.conftest import STORY

from storygan.config import ModelConfig
from storygan.demo.downloads import PAGE
from storygan.demo.server import running
from storygan.models.storygan import StoryGAN
from storygan.text.clevr_encoder import ClevrEncoder
from storygan.text.minilm_encoder import MiniLMEncoder
from storygan.viz import enlarge

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:gradio\.queueing"),  # what it asks of pandas
]
PATIENCE = 120_000  # milliseconds: the machine may be busy
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def called() -> Iterator[list[str]]:
    """Record the other hosts that this process, the server, looks up or connects to."""
    hosts: list[str] = []
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def record(host: Any) -> None:
        if host not in (None, "", "localhost") and not str(host).startswith(("127.", "0.0.0.0", "::1")):
            hosts.append(str(host))

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        record(host)
        return look_up(host, *rest, **named)

    def connecting(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            record(address[0])
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setattr(socket.socket, "connect", connecting)
        yield hosts


def letters(sentences: list[str], digest: str, cache: Path | None = None) -> np.ndarray:
    """Embed a sentence by its letters, in place of MiniLM, which is large."""
    codes = np.random.default_rng(0).normal(size=(256, 384)).astype(np.float16)
    return np.array([codes[list(text.encode())].mean(0) for text in sentences])


@pytest.fixture(scope="module")
def address(called: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server with the shipped model and two untrained ones: of three objects, and of plain English."""
    folder = tmp_path_factory.mktemp("models")
    english = MiniLMEncoder("", np.zeros(384, np.float32), np.random.default_rng(0).normal(size=(384, 128)) / 2)
    for name, T, encoder in (("three", 3, ClevrEncoder()), ("english", 5, english)):
        StoryGAN(ModelConfig(T=T, noise_dim=10), encoder).save_pretrained(folder / name / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storygan.text.minilm_encoder.embed", letters)
        patch.setattr("gradio.networking.url_ok", lambda url: False)  # as on a machine too busy to answer at once
        own = [str(folder / name / "model") for name in ("three", "english")]
        with running(["clevr-sv", *own], "127.0.0.1", 0) as address:
            yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def calls(called: list[str]) -> Iterator[list[tuple[str, str]]]:
    """Record method and address of every call of every page; write them beside the screenshots."""
    calls: list[tuple[str, str]] = []
    yield calls
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    outside = f"{len(called)} calls of the server itself to another host {called}"
    (SCREENSHOTS / "calls.txt").write_text(f"{outside}\n{len(calls)} calls of the browser\n{call_summary(calls)}\n")


@pytest.fixture
def visit(browser: Any, address: str, called: list[str], calls: list[tuple[str, str]]) -> Iterator[Callable[..., Any]]:
    """Return a function that opens the page; check for errors and calls of other hosts at the end."""
    requests: list[str] = []
    errors: list[str] = []
    contexts = []

    def visit(width: str = "desktop", colours: str = "light") -> Any:
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        context = browser.new_context(viewport=size, accept_downloads=True, color_scheme=colours)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("request", lambda request: calls.append((request.method, request.url)))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#story textarea")
        page.wait_for_selector("#check .ready")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert errors == []
    assert requests
    assert [url for url in requests if not is_local(url)] == []
    assert called == []


def enter(page: Any, *sentences: str) -> None:
    page.fill("#story textarea", "\n".join(sentences))


def generate(page: Any, samples: int = 1) -> None:
    """Press Generate and wait for the frames and the files."""
    page.fill("#samples input[type=number]", str(samples))
    page.keyboard.press("Tab")
    page.evaluate("document.querySelectorAll('#pictures .sample').forEach(old => old.classList.add('old'))")
    page.click("#generate")
    page.wait_for_function(
        """samples => !document.querySelector('#pictures :is(.old, progress)')
            && document.querySelectorAll('#pictures .sample').length === samples""",
        arg=samples,
    )
    page.wait_for_selector("#download button:has-text('Story')")
    page.wait_for_function("() => document.querySelector('#added :is(textarea, input)').value")


def shown(page: Any, where: str = "#pictures") -> list[str]:
    """Return the frames shown there, as data URIs."""
    return page.eval_on_selector_all(f"{where} .strip img", "all => all.map(img => img.src)")


def screenshot(page: Any, name: str) -> None:
    """Save a screenshot of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(700)  # animations end
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_typed_story_is_generated(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    screenshot(page, f"{width}-1-first")
    enter(page, *STORY)
    page.wait_for_selector("#check .ready")
    generate(page, samples=2)
    assert len(shown(page)) == 8
    assert page.locator("#pictures figcaption").all_inner_texts() == [f"{t} {s}" for t, s in enumerate(STORY, 1)] * 2
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")  # no horizontal scrolling
    page.wait_for_function(  # scrolled into view
        "() => document.getElementById('pictures').getBoundingClientRect().y < window.innerHeight / 2"
    )
    screenshot(page, f"{width}-2-generated")
    first = shown(page)
    generate(page, samples=2)
    assert shown(page) == first  # the same seed
    page.click("#next-seed")
    page.wait_for_function("first => document.querySelector('#pictures img').src !== first", arg=first[0])


@pytest.mark.parametrize("width", WIDTHS)
def test_an_error_is_shown_while_typing_and_nothing_is_generated(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    enter(page, *STORY[:3], "small pink metal cube at (0, 0)")
    page.wait_for_selector("#check li mark")
    assert page.inner_text("#check li mark") == "pink"
    assert "Please fix sentence 4." in page.inner_text("#check")
    page.click("#generate")
    page.wait_for_selector("#pictures .problem")
    assert "pink" in page.inner_text("#pictures .problem")
    assert shown(page) == []
    screenshot(page, f"{width}-3-error")
    for text, words in (("", "Write 4 sentences"), ("y" * 10_000, "00 characters; the maximum is 300")):
        enter(page, text)
        page.wait_for_selector(f"#check :text('{words}')")
        page.click("#generate")
        page.wait_for_selector(f"#pictures .problem:has-text('{words}')")
    enter(page, *STORY)
    page.wait_for_selector("#check .ready")
    generate(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_objects_are_placed_with_clicks(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    page.click("text=Clear the floor")
    page.wait_for_selector("#plan :text('place object 1')")
    page.click("#pick-colour >> text=purple")
    page.click("#pick-shape >> text=cylinder")
    for number, (across, down) in enumerate([(0.5, 0.25), (0.25, 0.5), (0.75, 0.48), (0.5, 0.75)], 1):
        size = page.locator("#plan svg").bounding_box()
        page.locator("#plan svg").click(position={"x": across * size["width"], "y": down * size["height"]})
        page.wait_for_selector(f"#plan .object >> nth={number - 1}")
    sentences = page.input_value("#story textarea").splitlines()
    assert all(sentence.startswith("large purple rubber cylinder at (") for sentence in sentences)
    assert len(set(sentences)) == 4
    page.wait_for_selector("#check .ready")
    screenshot(page, f"{width}-4-floor")
    generate(page)
    size = page.locator("#plan svg").bounding_box()
    page.locator("#plan svg").click(position={"x": 0.5 * size["width"], "y": 0.5 * size["height"]})
    page.wait_for_selector("#plan .note:has-text('Undo one')")
    page.click("text=Undo last object")
    page.wait_for_selector("#check :text('Write 1 more sentence')")


@pytest.mark.parametrize("width", WIDTHS)
def test_change_sentence_resample_explain_and_undo(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    enter(page, *STORY)
    generate(page, samples=2)
    first = shown(page)
    page.click("#selected label:has-text('2')")
    page.click("#which label:has-text('3')")
    page.wait_for_function("s => document.querySelector('#sentence :is(textarea, input)').value === s", arg=STORY[2])
    page.fill("#sentence :is(textarea, input)", "large green metal pyramid at (0.4, -1.1)")
    page.wait_for_selector("#sentence-check mark:text-is('pyramid')")
    page.fill("#sentence :is(textarea, input)", "small yellow rubber cube at (0.4, -1.1)")
    page.click("#change")
    page.wait_for_selector("#comparison .sample:nth-of-type(2) img")
    after = shown(page)
    assert shown(page, "#comparison")[:8] == [*first[4:], *after[4:]]  # before, after
    summary = page.inner_text("#comparison .summary")
    assert summary.startswith("Frames 1 and 2 did not change. Frames 3 and 4 changed. The change is")
    assert after[:6] == first[:6]  # the other sample and the earlier frames did not change
    assert after[6] != first[6]
    screenshot(page, f"{width}-5-changed")

    page.click("#keep-frames label:has-text('3')")
    page.click("#resample")
    page.wait_for_function("src => document.querySelectorAll('#pictures img')[4].src !== src", arg=after[4])
    resampled = shown(page)
    assert [a == b for a, b in zip(after[4:], resampled[4:], strict=True)] == [False, False, True, False]

    page.click("#explain")
    page.wait_for_selector("#attribution .sample:nth-of-type(5) img")
    assert page.locator("#attribution .shares").count() == 4
    assert not page.locator("#attribution details section").first.is_visible()
    screenshot(page, f"{width}-6-attribution")

    page.click("#undo")
    page.wait_for_function("src => document.querySelectorAll('#pictures img')[4].src === src", arg=after[4])
    assert shown(page) == after
    page.click("#undo")
    page.wait_for_function("src => document.querySelectorAll('#pictures img')[6].src === src", arg=first[6])
    assert shown(page) == first
    page.wait_for_function("() => document.querySelector('#attribution').innerText.trim() === ''")


@pytest.mark.parametrize("width", WIDTHS)
def test_extend_and_interpolate(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    enter(page, *STORY)
    generate(page)
    first = shown(page)
    page.fill("#added :is(textarea, input)", "a cow")
    page.wait_for_selector("#added-check mark:text-is('cow')")
    page.click("#extend")
    page.wait_for_selector("#comparison .problem:has-text('cow')")
    screenshot(page, f"{width}-7-invalid-sentence")
    assert shown(page) == first
    page.fill("#added :is(textarea, input)", "large cyan rubber sphere at (1.5, 1.5)")
    page.click("#extend")
    page.wait_for_selector("#pictures .strip figure:nth-of-type(5) img")
    longer = shown(page)
    assert longer[:4] == first
    assert "large cyan rubber sphere" in page.locator("#pictures figcaption").last.inner_text()
    page.wait_for_selector("#comparison :text('Frame 5 is new.')")
    page.wait_for_selector("#which label:has-text('5')")
    screenshot(page, f"{width}-7-extended")

    page.click("#interpolate")
    page.wait_for_selector("#pictures .sample:nth-of-type(5) img")
    steps = shown(page)
    assert len(steps) == 25
    assert steps[:5] != steps[20:]
    assert page.inner_text("#pictures h3 >> nth=2") == "Sample 3: 50% of the interpolation"
    page.wait_for_selector("#selected label:has-text('5')")
    screenshot(page, f"{width}-8-interpolation")
    page.click("#undo")
    page.wait_for_function("() => document.querySelectorAll('#pictures img').length === 5")
    assert shown(page) == longer
    page.click("#undo")
    page.wait_for_function("() => document.querySelectorAll('#pictures img').length === 4")
    page.wait_for_selector("#undo", state="hidden")
    assert shown(page) == first


def pick(page: Any, model: str) -> None:
    page.click("#model input")
    page.click(f"[role=option]:has-text('{model}')")


@pytest.mark.parametrize("width", WIDTHS)
def test_each_model_has_its_examples_its_floor_and_its_check(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    pick(page, "english")
    page.wait_for_selector("#plan", state="hidden")
    page.wait_for_selector("#examples button:has-text('The carrot')")
    page.wait_for_selector("#check .ready")
    assert len(page.input_value("#story textarea").splitlines()) == 5
    enter(page, "A pig called Penny has a kite.", "She flies it.", "It is pink!", "Oh no.")
    page.wait_for_selector("#check :text('Write 1 more sentence: this story needs 5.')")
    page.click("#examples button:has-text('Random')")
    page.wait_for_selector("#check .ready")
    generate(page)
    assert len(shown(page)) == 5
    screenshot(page, f"{width}-9-english")
    page.click("#extend")
    page.wait_for_selector("#pictures .strip figure:nth-of-type(6) img")
    page.click("#explain")
    page.wait_for_selector("#attribution .sample:nth-of-type(5) img")
    assert page.locator("#attribution .shares").count() == 6

    pick(page, "three")
    page.wait_for_selector("#plan .object >> nth=2")
    page.wait_for_selector("#examples button:has-text('Marbles')")
    enter(page, *STORY[:2], "small pink metal cube at (0, 0)")
    page.wait_for_selector("#check li mark:text-is('pink')")
    assert len(shown(page)) == 6  # the samples stay
    enter(page, *STORY[:3])
    page.wait_for_selector("#check .ready")
    page.click("#generate")
    page.wait_for_function("() => document.querySelectorAll('#pictures img').length === 3")


@pytest.mark.parametrize(("width", "colours"), [("desktop", "dark"), ("phone", "light")])
def test_text_is_legible(visit: Callable[..., Any], width: str, colours: str) -> None:
    page = visit(width, colours)
    enter(page, STORY[0], "a pink cow")
    page.wait_for_selector("#check mark")
    assert illegible(page) == []
    enter(page, *STORY)
    page.wait_for_selector("#check .ready")
    generate(page, samples=2)
    page.click("#change")
    page.wait_for_selector("#comparison .sample")
    page.click("#explain")
    page.wait_for_selector("#attribution details")
    page.click("#attribution summary")
    screenshot(page, f"{width}-10-{colours}")
    assert illegible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def open_file(page: Any, path: Path) -> None:
    """Open a story file on the page."""
    with page.expect_file_chooser() as chooser:
        page.click("#open")
    chooser.value.set_files(path)


def test_files_are_downloaded_and_the_story_opened_again(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit()
    enter(page, *STORY)
    generate(page, samples=2)
    served = Path(os.environ["GRADIO_TEMP_DIR"])
    count = len(list(served.rglob("story.txt")))
    page.click("#selected label:has-text('2')")
    while len(list(served.rglob("story.txt"))) == count:
        page.wait_for_timeout(100)
    page.wait_for_timeout(3000)  # until the buttons have the files of the second sample
    files = {}
    for label in ("Strip", "Animation", "Comic page (PNG)", "Comic page (PDF)", "Story"):
        with page.expect_download() as download:
            page.locator("#download").get_by_text(label, exact=False).first.click()
        files[label] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[label])
    assert [path.name for path in files.values()] == ["story.png", "story.gif", "comic.png", "comic.pdf", "story.txt"]
    assert files["Story"].read_text().splitlines() == list(STORY)
    enter(page, "another one")
    page.wait_for_selector("#check .todo")
    open_file(page, files["Story"])
    page.wait_for_selector("#check .ready")
    assert page.input_value("#story textarea").splitlines() == list(STORY)
    (tmp_path / "picture.txt").write_bytes(files["Strip"].read_bytes())
    open_file(page, tmp_path / "picture.txt")
    page.wait_for_selector("#check .problem:has-text('plain text')")
    screenshot(page, "desktop-a-file-that-is-no-story")
    assert page.input_value("#story textarea").splitlines() == list(STORY)
    assert files["Comic page (PDF)"].read_bytes().startswith(b"%PDF-")
    with Image.open(files["Animation"]) as animation:
        assert animation.n_frames == 4
    with Image.open(files["Comic page (PNG)"]) as comic:
        assert comic.size == PAGE
    frames = StoryGAN.from_pretrained("clevr-sv").generate(STORY, num_samples=2, seed=7).frames
    with Image.open(files["Strip"]) as strip:
        saved = np.asarray(strip)[8 : 8 + 256, 8 : 8 + 341]
    assert np.abs(saved.astype(int) - enlarge(frames[1, 0], 4, 4 / 3)).max() <= 4  # rounding of a batch of 1


@pytest.mark.parametrize("width", WIDTHS)
def test_progress_is_shown(visit: Callable[..., Any], width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from storygan.demo.page import generate as module

    go_on, original = threading.Event(), module.generate_samples

    def halting(*arguments: Any) -> Iterator[Any]:
        states = original(*arguments)
        yield next(states)
        assert go_on.wait(300)
        yield from states

    monkeypatch.setattr(module, "generate_samples", halting)
    page = visit(width)
    try:
        page.fill("#samples input[type=number]", "3")
        page.keyboard.press("Tab")
        page.click("#generate")
        page.wait_for_selector("#pictures .bar:has-text('1 of 3 generated')")
        assert page.eval_on_selector("#pictures progress", "bar => [bar.value, bar.max]") == [1, 3]
        assert len(shown(page)) == 4  # each sample is shown when it is generated
        screenshot(page, f"{width}-11-progress")
    finally:
        go_on.set()
    page.wait_for_selector("#pictures .sample:nth-of-type(3) img")
    assert page.locator("#pictures progress").count() == 0


def test_typing_does_not_wait_for_generation(visit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from storygan.demo.page import generate as module

    go_on, original = threading.Event(), module.generate_samples

    def slow(*arguments: Any) -> Iterator[Any]:
        assert go_on.wait(300)
        yield from original(*arguments)

    monkeypatch.setattr(module, "generate_samples", slow)
    one, two = visit(), visit("phone")
    try:
        one.click("#generate")
        two.click("#generate")
        for page in (two, one):
            enter(page, *STORY[:3], "small pink metal cube at (0, 0)")
            page.wait_for_selector("#check mark:text-is('pink')")
        assert shown(one) == shown(two) == []
    finally:
        go_on.set()
    for page in (one, two):
        page.wait_for_selector("#pictures .sample img")


def test_markup_is_escaped_and_files_are_not_served(visit: Callable[..., Any], address: str) -> None:
    page = visit()
    enter(page, "<img id=evil src=x onerror=\"document.title='evil'\">", *STORY[1:])
    page.wait_for_selector("#check li")
    page.click("#generate")
    page.wait_for_selector("#pictures .problem")
    assert page.locator("#evil").count() == 0
    assert page.title() == "storygan"
    for path in ("/etc/hostname", str(Path(__file__)), "pyproject.toml", "../pyproject.toml"):
        assert page.request.get(f"{address}gradio_api/file={path}").status in (403, 404)
