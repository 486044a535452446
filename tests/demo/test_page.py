"""The page in a real browser, at the widths of a desktop and a phone. Screenshots go to build/screenshots."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.demo.browser import (
    CHROMIUM,
    SCREENSHOTS,
    axe_script,
    call_summary,
    chromium,
    illegible,
    inaccessible,
    is_local,
)
from tests.demo.conftest import STORY

from storygan.config import ModelConfig
from storygan.demo.downloads import PAGE
from storygan.demo.server import running
from storygan.models.storygan import StoryGAN
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
    """Run a server with a shipped model and an untrained one of plain English."""
    folder = tmp_path_factory.mktemp("models")
    english = MiniLMEncoder("", np.zeros(384, np.float32), np.random.default_rng(0).normal(size=(384, 128)) / 2)
    StoryGAN(ModelConfig(T=5, noise_dim=10), english).save_pretrained(folder / "english" / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storygan.text.minilm_encoder.embed", letters)
        patch.setattr("gradio.networking.url_ok", lambda url: False)  # as on a machine too busy to answer at once
        with running(["clevr-sv", str(folder / "english" / "model")], "127.0.0.1", 0) as address:
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

    def visit(width: str = "desktop", query: str = "", colours: str = "light") -> Any:
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        context = browser.new_context(viewport=size, accept_downloads=True, color_scheme=colours)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("request", lambda request: calls.append((request.method, request.url)))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address + query)
        page.wait_for_selector("#pictures :is(.strip, .problem, .empty:has-text('appear'))")
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


def text(page: Any) -> list[str]:
    """Return the sentences in the text box."""
    return str(page.input_value("#story textarea")).splitlines()


def shown(page: Any) -> list[str]:
    """Return the large pictures, as data URIs."""
    found: list[str] = page.eval_on_selector_all("#pictures .strip img", "all => all.map(img => img.src)")
    return found


def captions(page: Any) -> list[str]:
    """Return the captions of the pictures, without their numbers."""
    return [caption.split(" ", 1)[1] for caption in page.locator("#pictures .caption").all_inner_texts()]


def do(page: Any, action: Callable[[], object]) -> list[str]:
    """Act, wait until the pictures have changed and the text box agrees with them, and return the pictures."""
    before = shown(page)
    action()
    page.wait_for_function(
        """before => {
            const all = [...document.querySelectorAll('#pictures .strip img')].map(img => img.src);
            return all.length && JSON.stringify(all) !== JSON.stringify(before);
        }""",
        arg=before,
    )
    page.wait_for_function(AGREE)
    return shown(page)


# The text, the captions, and on the floor the objects, where the sentences are canonical.
AGREE = """() => {
    const captions = [...document.querySelectorAll('#pictures .caption')].map(e => e.innerText.replace(/^\\d+ /, ''));
    const text = document.querySelector('#story textarea').value.trim().split('\\n');
    const objects = [...document.querySelectorAll('#check .object')].length;
    return JSON.stringify(captions) === JSON.stringify(text) && (!objects || objects === text.length);
}"""


def click(page: Any, selector: str) -> Callable[[], object]:
    return lambda: page.click(selector)


def check_access(page: Any) -> None:
    """Check the page as it is: legible, accessible, and not wider than the window."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(700)  # animations end
    assert illegible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if axe_script():
        assert inaccessible(page) == []


def screenshot(page: Any, name: str) -> None:
    """Save a screenshot of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(700)  # animations end
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def boxes(page: Any, *selectors: str) -> list[dict[str, float]]:
    return [page.locator(selector).first.bounding_box() for selector in selectors]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_generated_story_is_there_on_arrival(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    page.wait_for_function(AGREE)
    assert len(shown(page)) == 4
    pictures, story, generate = boxes(page, "#pictures", "#story textarea", "#generate")
    if width == "desktop":  # all on one screen
        (floor,) = boxes(page, "#check .plan")
        assert max(box["y"] + box["height"] for box in (pictures, story, generate, floor)) <= 900
        assert story["x"] + story["width"] < pictures["x"]
        (image,) = boxes(page, "#pictures img")
        assert image["width"] > 350
        assert image["width"] / image["height"] == pytest.approx(4 / 3, rel=0.01)
    else:
        assert pictures["y"] < 100
        assert pictures["y"] + pictures["height"] < story["y"]
    assert page.locator("#model label").all_inner_texts() == ["Objects on a floor", "english"]
    check_access(page)
    screenshot(page, f"{width}-1-arrival")


def test_typed_stories_are_generated_and_errors_shown_once(visit: Callable[..., Any]) -> None:
    page = visit()
    first = shown(page)
    enter(page, *STORY[:3], "small pink metal cube at (0, 0)")
    page.wait_for_selector("#check mark:text-is('pink')")
    page.click("#generate")
    for words, story in (("Write a sentence", ""), ("10000 characters", "y" * 10_000), ("at most 8", "a cube\n" * 9)):
        page.wait_for_timeout(300)
        assert page.locator(".problem").count() == 1
        assert shown(page) == first
        page.locator("#story textarea").fill(story)
        page.evaluate("document.querySelector('#story textarea').removeAttribute('maxlength')")
        page.wait_for_selector(f"#check :text('{words}')")
    screenshot(page, "desktop-2-error")
    enter(page, "a red ball", "a small shiny box behind it")  # fewer than T
    page.wait_for_function("() => document.querySelectorAll('#check li').length === 2")
    assert page.eval_on_selector_all("#check select", "all => all.map(each => each.value)") == [
        *("large", "red", "rubber", "sphere"),
        *("small", "gray", "metal", "cube"),
    ]
    page.click("#generate")
    page.wait_for_function("() => document.querySelectorAll('#pictures .strip img').length === 2")
    two = shown(page)
    page.click("#next-seed")
    page.wait_for_function("two => document.querySelector('#pictures img').src !== two[0]", arg=two)
    assert page.input_value("#seed input") == "8"
    page.fill("#seed input", "7")
    page.click("#generate")
    page.wait_for_function("two => document.querySelector('#pictures img').src === two[0]", arg=two)


def test_objects_are_added_moved_changed_and_removed_on_the_floor(visit: Callable[..., Any]) -> None:
    page = visit()
    do(page, lambda: page.select_option("select[name=colour][data-line='1']", "purple"))
    assert text(page)[0].startswith("large purple rubber cube")
    page.focus("[data-key=object-1]")
    do(page, lambda: [page.keyboard.press(key) for key in ("ArrowRight", "ArrowRight", "ArrowDown")])
    assert text(page)[0] == "large purple rubber cube at (-1.99, -0.51)"
    assert page.evaluate("document.activeElement.dataset.key") == "object-1"

    def drag() -> None:
        (box,) = boxes(page, "[data-key=object-2] .body")
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] - 20, box["y"] + 10, steps=3)
        page.mouse.up()

    old = text(page)
    do(page, drag)
    assert [a == b for a, b in zip(old, text(page), strict=True)] == [True, False, True, True]
    do(page, click(page, "[data-remove='4']"))
    (floor,) = boxes(page, "#check .plan svg")
    do(page, lambda: page.mouse.click(floor["x"] + 0.5 * floor["width"], floor["y"] + 0.75 * floor["height"]))
    assert len(text(page)) == 4
    five = do(page, click(page, "[data-add]"))
    assert len(five) == 5
    (floor,) = boxes(page, "#check .plan svg")  # which five chips have moved
    page.mouse.click(floor["x"] + 2, floor["y"] + 2)
    page.wait_for_selector("#check .problem:has-text('outside the floor')")
    assert len(do(page, click(page, "#undo"))) == 4
    assert len(do(page, click(page, "#undo"))) == 3
    do(page, click(page, "#redo"))
    assert do(page, click(page, "#redo")) == five


@pytest.mark.parametrize("width", WIDTHS)
def test_a_clicked_picture_is_edited_beside_it(visit: Callable[..., Any], width: str) -> None:
    page = visit(width)
    first = shown(page)
    page.click("[data-frame='3']")
    page.wait_for_function("s => document.querySelector('#sentence textarea')?.value === s", arg=text(page)[2])
    page.wait_for_selector("#picture img")
    page.fill("#sentence textarea", "large green metal pyramid at (0.4, -1.1)")
    page.click("#change")
    page.wait_for_selector("#result mark:text-is('pyramid')")
    assert page.locator(".problem").count() == 1
    page.fill("#sentence textarea", "a small shiny yellow box in front of the cube")
    changed = do(page, click(page, "#change"))
    assert [a == b for a, b in zip(first, changed, strict=True)] == [True, True, False, False]
    assert text(page)[2].startswith("small yellow metal cube at (")
    page.wait_for_selector("#slider img >> nth=1")  # before and after
    page.wait_for_selector("#result :text('Pictures 1 and 2 did not change. Pictures 3 and 4 changed. The change is')")
    screenshot(page, f"{width}-3-changed")
    resampled = do(page, click(page, "#resample"))
    assert [a == b for a, b in zip(changed, resampled, strict=True)] == [True, True, False, True]
    page.click("#explain")
    page.wait_for_selector("#explanation img >> nth=7")
    assert page.locator("#result .shares b").count() == 4
    (panel,) = boxes(page, "#panel")
    assert panel["y"] < WIDTHS[width][1]
    check_access(page)
    screenshot(page, f"{width}-4-explained")
    page.click("#extend")
    page.wait_for_selector("#panel h2:has-text('Picture 5 (new)')")
    page.fill("#sentence textarea", "large cyan rubber sphere at (1.50, 1.50)")
    longer = do(page, click(page, "#change"))
    assert longer[:4] == resampled
    page.wait_for_selector("#result :text('Picture 5 is new.')")
    page.click("#close")
    page.wait_for_selector("#panel", state="hidden")
    for expected in (resampled, changed, first):
        assert do(page, click(page, "#undo")) == expected
    assert page.locator("#undo").is_disabled()
    assert do(page, click(page, "#redo")) == changed


def test_samples_and_the_steps_of_an_interpolation_are_compared(visit: Callable[..., Any]) -> None:
    page = visit()
    page.fill("#samples input", "2")
    page.keyboard.press("Tab")
    page.click("#generate")
    page.wait_for_selector("[data-sample='2']")
    do(page, click(page, "[data-sample='2']"))
    page.click("[data-frame='1']")
    page.click("#other input")
    page.click("[role=option]:has-text('Sample 1')")
    page.wait_for_selector("#slider img >> nth=1")
    second = shown(page)
    page.click("#interpolate")
    page.wait_for_selector("[data-sample='5']")
    assert page.locator("[data-sample] span").all_inner_texts() == ["0%", "25%", "50%", "75%", "100%"]
    do(page, click(page, "[data-sample='5']"))
    check_access(page)
    screenshot(page, "desktop-5-samples")
    do(page, click(page, "#undo"))
    assert shown(page) == second


def test_each_model_has_its_examples_and_undo_returns_to_it(visit: Callable[..., Any]) -> None:
    page = visit("phone", colours="dark")
    first = shown(page)
    do(page, click(page, "#model label:has-text('english')"))
    assert len(shown(page)) == 5
    page.wait_for_selector("#check .plan", state="hidden")
    do(page, click(page, "#examples button:has-text('The carrot')"))
    page.click("#extend")
    page.wait_for_selector("#panel h2:has-text('Picture 6 (new)')")
    do(page, click(page, "#change"))
    check_access(page)
    screenshot(page, "phone-6-english")
    for _ in range(3):
        back = do(page, click(page, "#undo"))
    assert back == first
    assert page.is_checked("#model input[value='clevr-sv']")
    page.wait_for_selector("#examples button:has-text('Marbles')")
    page.wait_for_selector("#check .object >> nth=3")


def open_file(page: Any, path: Path) -> None:
    """Open a story file on the page."""
    with page.expect_file_chooser() as chooser:
        page.click("#open")
    chooser.value.set_files(path)


def test_files_and_a_link_are_saved_and_opened_again(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit()
    enter(page, *STORY)
    page.wait_for_selector("#check .ready")
    page.fill("#seed input", "12")
    page.click("#generate")
    page.wait_for_function(AGREE)
    pictures = shown(page)
    page.click("#share button")
    page.wait_for_function("() => document.querySelector('#link :is(textarea, input)').value.startsWith('http')")
    files = {}
    for label in ("Strip", "Animation", "Comic (PNG)", "Comic (PDF)", "Story"):
        with page.expect_download() as download:
            page.locator("#download").get_by_text(label, exact=False).first.click()
        files[label] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[label])
    assert [path.name for path in files.values()] == ["story.png", "story.gif", "comic.png", "comic.pdf", "story.txt"]
    assert files["Story"].read_text().splitlines() == list(STORY)
    assert files["Comic (PDF)"].read_bytes().startswith(b"%PDF-")
    with Image.open(files["Animation"]) as animation:
        assert animation.n_frames == 4
    with Image.open(files["Comic (PNG)"]) as comic:
        assert comic.size == PAGE
    frames = StoryGAN.from_pretrained("clevr-sv").generate(STORY, seed=12).frames
    with Image.open(files["Strip"]) as strip:
        saved = np.asarray(strip)[8 : 8 + 256, 8 : 8 + 341]
    assert np.abs(saved.astype(int) - enlarge(frames[0, 0], 4, 4 / 3)).max() <= 4  # batch norm is fused on the page
    screenshot(page, "desktop-7-share")
    link = page.input_value("#link :is(textarea, input)")
    do(page, click(page, "#examples button:has-text('Marbles')"))
    assert page.locator("#share :visible").get_by_text("Strip").count() == 0  # closed: its files were another story's
    open_file(page, files["Story"])
    page.wait_for_function("s => document.querySelector('#story textarea').value === s", arg="\n".join(STORY))
    (tmp_path / "picture.txt").write_bytes(files["Strip"].read_bytes())
    open_file(page, tmp_path / "picture.txt")
    page.wait_for_selector("#check .problem:has-text('plain text')")
    page.goto(link)
    page.wait_for_selector("#pictures .strip")
    assert shown(page) == pictures
    assert (text(page), page.input_value("#seed input")) == (list(STORY), "12")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?story=a+cube&seed=x", "#pictures .problem:has-text('The seed in this link')"),
        ("?story=a+cube&model=/etc", "#pictures .problem:has-text('not on this page')"),
        ("?story=a+<img+src=x+id=evil>+cow", "#check .problem"),
    ],
)
def test_a_bad_link_is_an_error(visit: Callable[..., Any], query: str, words: str) -> None:
    page = visit(query=query)
    page.wait_for_selector(words)
    page.wait_for_timeout(1000)
    assert shown(page) == []
    assert page.locator("#evil").count() == 0
    assert page.locator(words).is_visible()


def test_typing_does_not_wait_for_generation(visit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from storygan.demo.page import story_input as module

    page = visit()
    go_on, original = threading.Event(), module.generate_samples

    def slow(*arguments: Any) -> Any:
        assert go_on.wait(300)
        return original(*arguments)

    monkeypatch.setattr(module, "generate_samples", slow)
    try:
        enter(page, *STORY)
        page.wait_for_selector("#check .ready")
        page.click("#generate")
        enter(page, "small pink metal cube at (0, 0)")
        page.wait_for_selector("#check mark:text-is('pink')")
    finally:
        go_on.set()
    page.wait_for_selector(f"#pictures .caption:has-text('{STORY[0]}')")


def test_files_are_not_served(visit: Callable[..., Any], address: str) -> None:
    page = visit()
    for path in ("/etc/hostname", str(Path(__file__)), "pyproject.toml", "../pyproject.toml"):
        assert page.request.get(f"{address}gradio_api/file={path}").status in (403, 404)
