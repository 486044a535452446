"""The page itself: what stands where, and what a click does. The only module that knows Gradio."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported: it would report home

import gradio as gr

from storygan.demo.checking import (
    MAX_CHARACTERS,
    MAX_SAMPLES,
    MAX_SEED,
    check_story,
    grammar_of,
    sentences_of,
    whole_number,
)
from storygan.demo.drawing import Drawing, draw
from storygan.demo.examples import EXAMPLES, example, surprise
from storygan.demo.files import write_files
from storygan.demo.floor import draw_plan, place, take_back
from storygan.demo.pictures import EMPTY, check_html, drawing_html, problem_html
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject
from storygan.types import StoryganError

STYLE = Path(__file__).with_name("page.css")
KEPT_SECONDS = 3600  # how long a visitor's drawing and files are kept
THEME = gr.themes.Soft(
    primary_hue="orange",
    text_size="lg",
    font=("system-ui", "sans-serif"),  # the visitor's own letters: none are fetched
    font_mono=("ui-monospace", "monospace"),
)
FILES = ("Picture (PNG)", "Moving picture (GIF)", "Comic page (PNG)", "Comic page (PDF)", "Story (text)")
# Where a click falls, in the coordinates of the plan.
CLICK = """
element.addEventListener('click', (event) => {
    const svg = element.querySelector('svg');
    if (!svg || !svg.contains(event.target)) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    trigger('click', {u: at.x, v: at.y});
});
"""


def build_page(models: dict[str, StoryGAN]) -> gr.Blocks:
    """The page for these models; the first is chosen."""
    return Page(models).blocks


class Page:
    """The components, and what happens when one is used. Every handler checks what it is given: a visitor may send
    anything."""

    def __init__(self, models: dict[str, StoryGAN]) -> None:
        self.models = models
        first = next(iter(models))
        self.first = models[first]
        with gr.Blocks(title="storygan", delete_cache=(KEPT_SECONDS // 4, KEPT_SECONDS)) as self.blocks:
            gr.HTML("<h1>Tell a story, see it drawn</h1>", elem_id="heading")
            self.model = gr.Dropdown(
                list(models), value=first, label="Who draws?", visible=len(models) > 1, elem_id="model"
            )
            with gr.Row(elem_id="tell"):
                with gr.Column():
                    self._story()
                with gr.Column(visible=grammar_of(self.first) is not None) as self.plan_column:
                    self._floor()
            self._draw()
            self._save()

    # ---- telling ----

    def _story(self) -> None:
        kind, T = kind_of(self.first), self.first.config.T
        with gr.Row(elem_id="examples"):
            titles = list(EXAMPLES[kind])
            self.examples = [gr.Button(title, size="md", min_width=90) for title in titles]
            self.surprise = gr.Button("🎲 Surprise me", size="md", min_width=90)
        self.text = gr.Textbox(
            example(kind, titles[0], T),
            label="Your story: one sentence on each line",
            lines=T,
            max_lines=12,
            max_length=12 * MAX_CHARACTERS,
            elem_id="story",
        )
        self.check = gr.HTML(check_html(check_story(self.text.value, T, grammar_of(self.first))), elem_id="check")

        for number, button in enumerate(self.examples):
            button.click(lambda name, number=number: self.example(name, number), self.model, self.text, **private())
        self.surprise.click(self.a_surprise, self.model, self.text, **private())

    def example(self, name: str, number: int) -> str:
        """The text of the model's example of that number."""
        kind = kind_of(self.models[name])
        return example(kind, list(EXAMPLES[kind])[number], self.models[name].config.T)

    def a_surprise(self, name: str) -> str:
        """A made-up story for the model."""
        return surprise(kind_of(self.models[name]), self.models[name].config.T, secrets.randbelow(MAX_SEED))

    # ---- placing ----

    def _floor(self) -> None:
        gr.HTML("<h2>Or place things on the floor</h2>")
        with gr.Row(elem_id="words"):
            self.words = [
                gr.Radio(list(options), value=options[chosen], label=label, elem_id=f"pick-{label.lower()}")
                for label, options, chosen in (
                    ("Size", SIZES, 0),
                    ("Colour", COLOURS, 1),
                    ("Material", MATERIALS, 0),
                    ("Shape", SHAPES, 0),
                )
            ]
        self.plan = gr.HTML(
            draw_plan(self.text.value, self.first.config.T), js_on_load=CLICK, elem_id="plan", apply_default_css=False
        )
        with gr.Row():
            back = gr.Button("↩ Take the last one back", size="md", min_width=120)
            clear = gr.Button("🧹 Clear the floor", size="md", min_width=120)

        self.plan.click(self.place, [self.model, self.text, *self.words], [self.text, self.plan], **private())
        back.click(take_back, self.text, self.text, **private())
        clear.click(lambda: "", None, self.text, **private())
        gr.on(
            [self.text.change, self.model.change],
            self.look,
            [self.model, self.text],
            [self.check, self.plan],
            **private(),
        )
        self.model.change(self.change_model, self.model, [self.plan_column, self.text, *self.examples], **private())

    def place(
        self, name: str, text: str, size: str, colour: str, material: str, shape: str, event: gr.EventData
    ) -> tuple[str, str]:
        """Put a thing where the plan was clicked."""
        T = self.models[name].config.T
        thing = ClevrObject(shape, colour, material, size, 0.0, 0.0)
        text, note = place(text or "", thing, float(event.u), float(event.v), T)
        return text, draw_plan(text, T, note)

    def look(self, name: str, text: str) -> tuple[str, str]:
        """Check the story as it is typed, and draw its plan. No model runs."""
        model = self.models[name]
        T, grammar = model.config.T, grammar_of(model)
        return check_html(check_story(text or "", T, grammar)), draw_plan(text or "", T) if grammar else ""

    def change_model(self, name: str) -> list[Any]:
        """Another model: its examples, and a floor if it draws one."""
        model = self.models[name]
        kind, T = kind_of(model), model.config.T
        titles = list(EXAMPLES[kind])
        return [
            gr.Column(visible=grammar_of(model) is not None),
            gr.Textbox(example(kind, titles[0], T), lines=T),
            *map(gr.Button, titles),
        ]

    # ---- drawing ----

    def _draw(self) -> None:
        with gr.Row(elem_id="draw-bar", equal_height=True):
            self.samples = gr.Slider(
                1, MAX_SAMPLES, 1, step=1, label="How many drawings?", elem_id="samples", min_width=160
            )
            self.seed = gr.Number(
                7,
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
                label="Lucky number",
                elem_id="seed",
                min_width=120,
                info="The same number gives the same pictures.",
            )
            self.button = gr.Button("🎨 Draw!", variant="primary", size="lg", elem_id="draw", min_width=160)
            self.again = gr.Button("Draw it differently", size="lg", elem_id="again", min_width=160)
        self.pictures = gr.HTML(EMPTY, elem_id="pictures")
        self.drawing = gr.State(None, time_to_live=KEPT_SECONDS)

    def draw(self, name: str, text: str, samples: Any, seed: Any) -> Iterator[tuple[str, Drawing | None]]:
        """Draw the story: (HTML, drawing) after each sample, or what is wrong."""
        model = self.models[name]
        try:
            report = check_story(text or "", model.config.T, grammar_of(model))
            if report.problem:
                mistakes = [f"Sentence {n}: {line.problem}." for n, line in enumerate(report.lines, 1) if line.problem]
                yield problem_html(" ".join([report.problem, *mistakes])), None
                return
            number = whole_number("How many drawings", samples, 1, MAX_SAMPLES)
            for drawing in draw(
                name, model, sentences_of(text), number, whole_number("Lucky number", seed, 0, MAX_SEED)
            ):
                yield drawing_html(drawing), drawing
        except StoryganError as error:
            yield problem_html(str(error)), None

    # ---- saving ----

    def _save(self) -> None:
        with gr.Column(visible=False, elem_id="save") as self.save_column:
            gr.HTML("<h2>Keep it</h2>")
            self.liked = gr.Radio([1], value=1, label="Which drawing do you like best?", elem_id="liked")
            with gr.Row():
                self.downloads = [gr.DownloadButton(f"⬇ {label}", size="lg", min_width=150) for label in FILES]

        inputs = [self.model, self.text, self.samples, self.seed]
        saved = [self.save_column, self.liked, *self.downloads]
        other = self.again.click(lambda seed: (seed + 1) % MAX_SEED, self.seed, self.seed, **private())
        for start, called in ((self.button.click, {"api_name": "draw"}), (other.then, {"api_visibility": "private"})):
            drawn = start(
                self.draw,
                inputs,
                [self.pictures, self.drawing],
                concurrency_id="draw",
                concurrency_limit=1,
                show_progress="minimal",
                scroll_to_output=True,
                **called,
            )
            drawn.then(self.save, self.drawing, saved, api_visibility="private", show_progress="hidden")
        self.liked.input(self.save_liked, [self.drawing, self.liked], self.downloads, **private())

    def save(self, drawing: Drawing | None) -> list[Any]:
        """Show what can be saved of a new drawing."""
        if drawing is None:
            return [gr.Column(visible=False), gr.skip(), *[None] * len(FILES)]
        numbers = list(range(1, len(drawing.frames) + 1))
        liked = gr.Radio(numbers, value=1, visible=len(numbers) > 1)
        return [gr.Column(visible=True), liked, *self.save_liked(drawing, 1)]

    def save_liked(self, drawing: Drawing | None, liked: int) -> list[Any]:
        """The files of the drawing that is liked best, in Gradio's temporary folder, which serves and clears them."""
        if drawing is None:
            return [None] * len(FILES)
        folder = Path(self.downloads[0].GRADIO_CACHE) / uuid4().hex
        folder.mkdir(parents=True)
        frames = drawing.frames[min(liked, len(drawing.frames)) - 1]
        return [str(path) for path in write_files(frames, drawing.sentences, folder)]


def kind_of(model: StoryGAN) -> str:
    """Which examples a model reads: of its sentence encoder's kind."""
    return model.sentence_encoder.kind if model.sentence_encoder is not None else "sentence"


def private() -> dict[str, Any]:
    """How what is quick is called: at once, beside any drawing; the newest of several is the one that counts."""
    return {
        "queue": False,
        "show_progress": "hidden",
        "trigger_mode": "always_last",
        "api_visibility": "private",
    }
