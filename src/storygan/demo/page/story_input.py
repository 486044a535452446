"""The story: the models, the text with examples, and what it was understood as, with the floor of CLEVR-SV."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import gradio as gr

from storygan.demo.examples import EXAMPLES, TITLES, example, kind_of, next_sentence, random_story
from storygan.demo.floor_plan import edit_objects
from storygan.demo.history import Samples, generate_samples
from storygan.demo.html import EMPTY, check_html, problem_html
from storygan.demo.links import Link, read_link
from storygan.demo.page.components import IMMEDIATE, QUEUED
from storygan.demo.page.view import View
from storygan.demo.server import Models
from storygan.demo.story_input import (
    MAX_SAMPLES,
    MAX_SEED,
    MAX_TEXT,
    check_story,
    grammar_of,
    sentences_of,
    text_of_file,
    whole_number,
)
from storygan.errors import StoryganError, UsageError

FOLDER = Path(__file__).parent
SEED = 7
# Reads a file in the browser, in place of the text; no file is uploaded.
OPEN = f"""(model, text) => new Promise((resolve) => {{
    const input = document.createElement('input');
    input.type = 'file';
    input.accept = '.txt';
    input.oncancel = () => resolve([model, text]);
    input.onchange = async () => resolve([model, await input.files[0].slice(0, {4 * MAX_TEXT + 4}).text()]);
    input.click();
}})"""


class StoryInput:
    """The cards of the models, the text box, the buttons that fill it, what it was understood as, and Generate."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.first, model = next(iter(models.items()))
        self.model = gr.Radio(
            [(TITLES.get(name, name), name) for name in models],
            value=self.first,
            label="Model",
            container=False,
            visible=len(models) > 1,
            elem_id="model",
        )
        self.text = gr.Textbox(
            label="Your story: one sentence a picture",
            lines=model.config.T,
            max_lines=8,
            max_length=MAX_TEXT,
            elem_id="story",
        )
        with gr.Row(elem_id="examples"):
            self.examples = [gr.Button(title, size="sm", min_width=0) for title in EXAMPLES[kind_of(model)]]
            self.random = gr.Button("Random", size="sm", min_width=0)
            self.file = gr.Button("Open file", size="sm", min_width=0, elem_id="open")
        with gr.Row(equal_height=True, elem_id="go"):
            self.button = gr.Button("Generate", variant="primary", elem_id="generate", min_width=120, scale=3)
            self.next_button = gr.Button("Next seed", elem_id="next-seed", min_width=90, scale=2)
            self.seed = gr.Number(SEED, precision=0, label="Seed", elem_id="seed", min_width=70)
            self.total = gr.Number(
                1, precision=0, minimum=1, maximum=MAX_SAMPLES, label="Samples", elem_id="samples", min_width=70
            )
        self.check = gr.HTML(js_on_load=(FOLDER / "objects.js").read_text(), elem_id="check", apply_default_css=False)
        self.shown = [self.model, self.text, self.seed, *self.examples]

    def show(self, samples: Samples) -> list[Any]:
        """Return the values of `shown` for the selected sample."""
        text = "\n".join(samples.output.sentences)
        return [samples.model, text, samples.seed, *self.titles(samples.model)]

    def titles(self, name: str) -> list[gr.Button]:
        """Return the buttons of the model's examples."""
        return [gr.Button(title) for title in EXAMPLES[kind_of(self.models[name])]]

    def connect(self, page: gr.Blocks, view: View) -> None:
        """Create the events. Whatever fills the text also generates it; each change of the text is checked."""
        filled = [
            page.load(self.arrive, None, [*self.shown, self.total, view.pictures], **IMMEDIATE),
            self.model.input(self.change_model, self.model, [self.text, *self.examples], **IMMEDIATE),
            self.random.click(self.random_story, self.model, self.text, **IMMEDIATE),
            self.file.click(self.open_file, [self.model, self.text], [self.text, self.check], js=OPEN, **IMMEDIATE),
            self.check.select(self.change_objects, [self.model, self.text], [self.text, self.check], **IMMEDIATE),
            self.next_button.click(self.next_seed, self.seed, self.seed, **IMMEDIATE),
        ]
        for number, button in enumerate(self.examples):
            filled.append(
                button.click(lambda name, k=number: self.example(name, k), self.model, self.text, **IMMEDIATE)
            )
        self.text.change(self.check_text, [self.model, self.text], self.check, **IMMEDIATE)
        inputs = [self.model, self.text, self.total, self.seed, view.samples]
        outputs = [*view.outputs, self.check]
        busy = {**QUEUED, "show_progress_on": [view.pictures]}

        def generate(name: Any, text: Any, total: Any, seed: Any, old: Samples | None) -> list[Any]:
            return self.generate(view, name, text, total, seed, old)

        gr.on([self.button.click, self.text.submit], generate, inputs, outputs, api_name="generate", **busy)
        for event in filled:
            event.then(generate, inputs, outputs, api_visibility="private", **busy)

    def arrive(self, request: gr.Request) -> list[Any]:
        """Return the story of the page's link, or the first model's example."""
        first = example(kind_of(self.models[self.first]), 0, self.models[self.first].config.T)
        link = Link(self.first, first, SEED, 1)
        try:
            link = read_link(request.query_params, link)
            if link.model not in self.models:
                raise UsageError("The model of this link is not on this page.")
            model = self.models[link.model]
            pictures = EMPTY if check_story(link.story, model.config.T, grammar_of(model)).problem else gr.skip()
        except UsageError as error:
            link, pictures = Link(self.first, "", SEED, 1), problem_html(str(error))
        return [link.model, link.story, link.seed, *self.titles(link.model), link.samples, pictures]

    def change_model(self, name: str) -> list[Any]:
        """Return the first example of a model, and the buttons of all."""
        return [self.example(name, 0), *self.titles(name)]

    def example(self, name: str, number: int) -> str:
        """Return the text of an example of the model."""
        return example(kind_of(self.models[name]), number, self.models[name].config.T)

    def random_story(self, name: str) -> str:
        """Return a random story for the model."""
        return random_story(kind_of(self.models[name]), self.models[name].config.T, secrets.randbelow(MAX_SEED))

    def open_file(self, name: str, content: str | None) -> tuple[Any, str]:
        """Return the text of a story file and its check, or keep the text and return the error."""
        try:
            text = text_of_file(content or "")
        except UsageError as error:
            return gr.skip(), problem_html(str(error))
        return text, self.check_text(name, text)

    def next_seed(self, seed: Any) -> int:
        """Return the seed after this one."""
        return seed + 1 if isinstance(seed, int) and 0 <= seed < MAX_SEED else 0

    def check_text(self, name: str, text: str | None, note: str = "") -> str:
        """Check the story while it is typed. No model runs."""
        model = self.models[name]
        T, grammar = model.config.T, grammar_of(model)
        report = check_story(text or "", T, grammar)
        if not report.problem:
            note = note or model.unknown_words([line.canonical for line in report.lines], TITLES.get(name, name))
        return check_html(report, T, grammar is not None, note)

    def change_objects(self, name: str, text: str | None, event: gr.EventData) -> tuple[str, str]:
        """Add, change, move or remove an object. Raises UsageError if the event is none of that."""
        model, text, action = self.models[name], text or "", event._data
        if grammar_of(model) is None or not isinstance(action, dict):
            raise UsageError("This model has no objects.")
        T = model.config.T
        if "suggest" not in action:
            text, note = edit_objects(text, T, action)
            return text, self.check_text(name, text, note)
        report = check_story(text, T, grammar_of(model))
        if len(report.lines) >= 2 * T or any(line.problem for line in report.lines):
            return text, self.check_text(name, text, report.problem or f"The story has {2 * T} objects.")
        story = [line.canonical for line in report.lines]
        text = "\n".join([*story, next_sentence(kind_of(model), story, secrets.randbelow(MAX_SEED))])
        return text, self.check_text(name, text)

    def generate(self, view: View, name: Any, text: Any, total: Any, seed: Any, old: Samples | None) -> list[Any]:
        """Generate the story. Return the view and the check, which has the error if there is one."""
        model = self.models[name]
        if check_story(text or "", model.config.T, grammar_of(model)).problem:
            return [*view.unchanged(), self.check_text(name, text)]
        try:
            total = whole_number("The number of samples", total, 1, MAX_SAMPLES)
            seed = whole_number("The seed", seed, 0, MAX_SEED)
            self.models.wait_for(model)
            samples = generate_samples(name, model, sentences_of(text), total, seed)
        except StoryganError as error:
            return [*view.unchanged(), self.check_text(name, text, str(error))]
        if old and samples.shows(old):  # as after an action that was refused: an undo meanwhile stays
            return [*view.unchanged(), gr.skip()]
        frame = old.frame if old and old.frame <= len(samples.output.sentences) else 0
        return [*view.show(samples.select(1, frame).after(old), text=False), gr.skip()]
