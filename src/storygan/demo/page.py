"""The page itself: what stands where, and what a click does. The only module that knows Gradio."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported: it would report home

import gradio as gr

from storygan import editing
from storygan.demo.checking import (
    MAX_CHARACTERS,
    MAX_SAMPLES,
    MAX_SEED,
    check_story,
    grammar_of,
    sentences_of,
    whole_number,
)
from storygan.demo.drawing import Sheet, draw
from storygan.demo.examples import EXAMPLES, example, surprise
from storygan.demo.files import write_files
from storygan.demo.floor import draw_plan, place, take_back
from storygan.demo.pictures import EMPTY, check_html, drawing_row, problem_html, sheet_html, strip_html
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject
from storygan.types import StoryganError, UsageError

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
INFLUENCE = (
    "<p>One thing at a time is left out or exchanged, and the pictures are drawn again. Bright is what changed: "
    "that part of the picture came from there.</p>"
)
SHOW_PICTURES = "() => document.getElementById('pictures').scrollIntoView({behavior: 'smooth', block: 'nearest'})"


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
        self.start = example(kind_of(self.first), next(iter(EXAMPLES[kind_of(self.first)])), self.first.config.T)
        with gr.Blocks(title="storygan", delete_cache=(KEPT_SECONDS // 4, KEPT_SECONDS)) as self.blocks:
            gr.HTML("<h1>Tell a story, see it drawn</h1>", elem_id="heading")
            self.model = gr.Dropdown(
                list(models), value=first, label="Who draws?", visible=len(models) > 1, elem_id="model"
            )
            with gr.Row(elem_id="tell"):
                with gr.Column(visible=grammar_of(self.first) is not None, min_width=340) as self.floor:
                    self._floor()
                with gr.Column(min_width=340):
                    self._story()
                    self._draw()
            self.pictures = gr.HTML(EMPTY, elem_id="pictures")
            self._keep()
            self._change()
            self._connect()

    # ---- placing ----

    def _floor(self) -> None:
        gr.HTML("<h2>Choose a thing, then click the floor</h2>")
        with gr.Group(elem_id="words"):
            self.words = [
                gr.Radio(list(options), value=options[chosen], label=label, elem_id=f"pick-{label.lower()}")
                for label, options, chosen in (
                    ("Colour", COLOURS, 1),
                    ("Shape", SHAPES, 0),
                    ("Size", SIZES, 0),
                    ("Material", MATERIALS, 0),
                )
            ]
        self.plan = gr.HTML(
            draw_plan(self.start, self.first.config.T), js_on_load=CLICK, elem_id="plan", apply_default_css=False
        )
        with gr.Row(equal_height=True):
            self.back = gr.Button("↩ Take the last one back", size="md", min_width=120)
            self.clear = gr.Button("Clear the floor", size="md", min_width=120)

    def place(
        self, name: str, text: str, colour: str, shape: str, size: str, material: str, event: gr.EventData
    ) -> tuple[str, str]:
        """Put a thing where the plan was clicked."""
        T = self.models[name].config.T
        thing = ClevrObject(shape, colour, material, size, 0.0, 0.0)
        text, note = place(text or "", thing, float(event.u), float(event.v), T)
        return text, draw_plan(text, T, note)

    # ---- telling ----

    def _story(self) -> None:
        kind, T = kind_of(self.first), self.first.config.T
        gr.HTML("<h2>Or write the story, or start from one of these</h2>")
        with gr.Row(equal_height=True):
            self.examples = [gr.Button(title, size="md", min_width=110) for title in EXAMPLES[kind]]
            self.surprise = gr.Button("Surprise me!", size="md", min_width=110)
        self.text = gr.Textbox(
            self.start,
            label="Your story: one sentence on each line",
            lines=T,
            max_lines=12,
            max_length=12 * MAX_CHARACTERS,
            elem_id="story",
        )
        self.check = gr.HTML(check_html(check_story(self.start, T, grammar_of(self.first))), elem_id="check")

    def example(self, name: str, number: int) -> str:
        """The text of the model's example of that number."""
        kind = kind_of(self.models[name])
        return example(kind, list(EXAMPLES[kind])[number], self.models[name].config.T)

    def a_surprise(self, name: str) -> str:
        """A made-up story for the model."""
        return surprise(kind_of(self.models[name]), self.models[name].config.T, secrets.randbelow(MAX_SEED))

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
        with gr.Row():
            self.samples = gr.Slider(
                1, MAX_SAMPLES, 1, step=1, label="Drawings", elem_id="samples", min_width=150, buttons=[]
            )
            self.seed = gr.Number(7, precision=0, label="Lucky number", elem_id="seed", min_width=150)
        with gr.Row(equal_height=True):
            self.button = gr.Button("Draw!", variant="primary", size="lg", elem_id="draw", min_width=160)
            self.again = gr.Button("Draw it differently", size="lg", elem_id="again", min_width=160)
        self.sheet = gr.State(None, time_to_live=KEPT_SECONDS)

    def draw(self, name: str, text: str, samples: Any, seed: Any) -> Iterator[tuple[str, Sheet | None]]:
        """Draw the story: (HTML, sheet) after each drawing, or what is wrong."""
        model = self.models[name]
        try:
            report = check_story(text or "", model.config.T, grammar_of(model))
            if report.problem:
                mistakes = [f"Sentence {n}: {line.problem}." for n, line in enumerate(report.lines, 1) if line.problem]
                raise UsageError(" ".join([report.problem, *mistakes]))
            samples = whole_number("Drawings", samples, 1, MAX_SAMPLES)
            seed = whole_number("Lucky number", seed, 0, MAX_SEED)
            for sheet in draw(name, model, sentences_of(text), samples, seed):
                yield sheet_html(sheet), sheet
        except StoryganError as error:
            yield problem_html(str(error)), None

    # ---- keeping ----

    def _keep(self) -> None:
        with gr.Column(visible=False, elem_id="keep") as self.kept:
            self.liked = gr.Radio(
                [1], value=1, label="Which drawing do you like best?", elem_id="liked", visible=False, interactive=True
            )
            gr.HTML("<h2>Keep it</h2>")
            with gr.Row(equal_height=True):
                self.downloads = [gr.DownloadButton(f"⬇ {label}", size="lg", min_width=150) for label in FILES]

    def files(self, sheet: Sheet | None, liked: Any) -> list[Any]:
        """The files of the drawing that is liked best, in Gradio's temporary folder, which serves and clears them."""
        if sheet is None:
            return [None] * len(FILES)
        drawing = sheet.pick(liked)
        folder = Path(self.downloads[0].GRADIO_CACHE) / uuid4().hex
        folder.mkdir(parents=True)
        return [str(path) for path in write_files(drawing.frames[0], drawing.story, folder)]

    # ---- changing ----

    def _change(self) -> None:
        with gr.Column(visible=False, elem_id="change") as self.changed:
            gr.HTML("<h2>Change it</h2>")
            with gr.Row():
                with gr.Column():
                    self.which = gr.Radio([1], value=1, label="Say something else in picture", elem_id="which")
                    self.sentence = gr.Textbox(
                        label="The new sentence", max_length=MAX_CHARACTERS, elem_id="sentence", max_lines=3
                    )
                    self.sentence_check = gr.HTML(visible=False, elem_id="sentence-check")
                    self.say = gr.Button("Change this sentence", size="lg", elem_id="say")
                with gr.Column():
                    self.keep = gr.CheckboxGroup([1], label="Keep these pictures as they are", elem_id="keep-frames")
                    self.redraw = gr.Button("Draw the other pictures again", size="lg", elem_id="redraw")
            self.comparison = gr.HTML(elem_id="comparison")
            self.why = gr.Button("What made the pictures look like this?", size="lg", elem_id="why")
            self.influence = gr.HTML(elem_id="influence")

    def change_sentence(self, sheet: Sheet | None, liked: Any, t: Any, sentence: str) -> tuple[Any, Any, str]:
        """Another sentence `t` with the same noise: (pictures, sheet, before and after)."""
        problem = self.problem_of(sheet, sentence)
        if problem:
            return gr.skip(), gr.skip(), problem_html(problem)
        new = sentences_of(sentence)[0]
        return self.edit(
            sheet, liked, lambda model, old: editing.change_sentence(model, old, t, new, keep_context=True)
        )

    def redraw_others(self, sheet: Sheet | None, liked: Any, keep: Any) -> tuple[Any, Any, str]:
        """Other noise for the pictures that are not kept: (pictures, sheet, before and after)."""
        seed = secrets.randbelow(MAX_SEED)
        return self.edit(sheet, liked, lambda model, old: editing.redraw(model, old, keep, seed))

    def edit(
        self, sheet: Sheet | None, liked: Any, change: Callable[[StoryGAN, editing.Drawing], editing.Drawing]
    ) -> tuple[Any, Any, str]:
        """Change the drawing that is liked best."""
        try:
            if sheet is None:
                raise UsageError("Draw a story first.")
            old = sheet.pick(liked)
            new = change(self.models[sheet.model], old)
        except StoryganError as error:
            return gr.skip(), gr.skip(), problem_html(str(error))
        sheet = sheet.with_edit(liked, new)
        return sheet_html(sheet), sheet, strip_html(drawing_row(old, "Before")) + strip_html(drawing_row(new, "After"))

    def show_influence(self, sheet: Sheet | None, liked: Any) -> str:
        """Where the pictures change when a sentence, the story or the noise is exchanged."""
        try:
            if sheet is None:
                raise UsageError("Draw a story first.")
            model, drawing = self.models[sheet.model], sheet.pick(liked)
        except StoryganError as error:
            return problem_html(str(error))
        found = editing.influence(model, drawing)
        rows = editing.influence_rows(found, drawing, editing.gist_grid(model, drawing))
        return INFLUENCE + "".join(map(strip_html, rows))

    # ---- what follows what ----

    def _connect(self) -> None:
        """What each click and key does. Two kinds: what is quick runs at once, and what draws waits its turn."""
        for number, button in enumerate(self.examples):
            button.click(lambda name, number=number: self.example(name, number), self.model, self.text, **private())
        self.surprise.click(self.a_surprise, self.model, self.text, **private())
        self.plan.click(self.place, [self.model, self.text, *self.words], [self.text, self.plan], **private())
        self.back.click(take_back, self.text, self.text, **private())
        self.clear.click(lambda: "", None, self.text, **private())
        told = [self.text.change, self.model.change]
        gr.on(told, self.look, [self.model, self.text], [self.check, self.plan], **private())
        self.model.change(self.change_model, self.model, [self.floor, self.text, *self.examples], **private())

        after = [
            self.kept,
            self.changed,
            self.liked,
            self.which,
            self.sentence,
            self.keep,
            self.comparison,
            self.influence,
        ]
        drawing: dict[str, Any] = {"concurrency_id": "draw", "concurrency_limit": 1, "show_progress": "minimal"}
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        other = self.again.click(self.next_seed, self.seed, self.seed, **private())
        starts: list[tuple[Any, dict[str, Any]]] = [
            (self.button.click, {"api_name": "draw"}),
            (other.then, {"api_visibility": "private"}),
        ]
        for start, called in starts:
            start(
                self.draw,
                [self.model, self.text, self.samples, self.seed],
                [self.pictures, self.sheet],
                **drawing,
                **called,
            ).then(self.open, self.sheet, after, **hidden).then(None, js=SHOW_PICTURES).then(
                self.files, [self.sheet, self.liked], self.downloads, **hidden
            )
        gr.on(
            [self.liked.input, self.which.input],
            self.chosen,
            [self.sheet, self.liked, self.which],
            [self.sentence, self.comparison, self.influence],
            **private(),
        )
        gr.on([self.button.click, self.again.click], None, js=SHOW_PICTURES)
        self.liked.input(self.files, [self.sheet, self.liked], self.downloads, **hidden)
        self.sentence.change(self.look_at_sentence, [self.sheet, self.sentence], self.sentence_check, **private())
        for button, change, inputs in (
            (self.say, self.change_sentence, [self.which, self.sentence]),
            (self.redraw, self.redraw_others, [self.keep]),
        ):
            button.click(
                change,
                [self.sheet, self.liked, *inputs],
                [self.pictures, self.sheet, self.comparison],
                api_visibility="private",
                **drawing,
            ).then(self.files, [self.sheet, self.liked], self.downloads, **hidden)

        self.why.click(
            self.show_influence, [self.sheet, self.liked], self.influence, api_visibility="private", **drawing
        )

    def next_seed(self, seed: Any) -> int:
        """Another lucky number."""
        return seed + 1 if isinstance(seed, int) and 0 <= seed < MAX_SEED else 0

    def open(self, sheet: Sheet | None) -> list[Any]:
        """What can be done with a new sheet; nothing where there is none."""
        if sheet is None:
            return [
                gr.Column(visible=False),
                gr.Column(visible=False),
                gr.Radio(visible=False),
                *[gr.skip()] * 3,
                "",
                "",
            ]
        story = sheet.drawings[0].story
        frames, numbers = list(range(1, len(story) + 1)), list(range(1, sheet.samples + 1))
        return [
            gr.Column(visible=True),
            gr.Column(visible=True),
            gr.Radio(numbers, value=1, visible=sheet.samples > 1),
            gr.Radio(frames, value=1),
            story[0],
            gr.CheckboxGroup(frames, value=[]),
            "",
            "",
        ]

    def chosen(self, sheet: Sheet | None, liked: Any, t: Any) -> tuple[Any, str, str]:
        """The sentence that is chosen of the drawing that is chosen."""
        return (gr.skip() if sheet is None else sheet.pick(liked).story[t - 1]), "", ""

    def look_at_sentence(self, sheet: Sheet | None, sentence: str) -> gr.HTML:
        """Check a sentence as it is typed."""
        problem = self.problem_of(sheet, sentence)
        return gr.HTML(problem_html(problem), visible=bool(problem))

    def problem_of(self, sheet: Sheet | None, sentence: str) -> str:
        """What is wrong with one sentence for the sheet's model (empty: nothing)."""
        if sheet is None:
            return "Draw a story first."
        report = check_story(sentence or "", 1, grammar_of(self.models[sheet.model]))
        return next((line.problem for line in report.lines if line.problem), report.problem)


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
