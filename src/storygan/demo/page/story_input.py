"""The story as text, with examples and a check while it is typed."""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr

from storygan.demo.examples import EXAMPLES, example, kind_of, random_story
from storygan.demo.floor_plan import draw_plan
from storygan.demo.html import check_html, problem_html
from storygan.demo.page.components import IMMEDIATE
from storygan.demo.story_input import MAX_SEED, MAX_TEXT, check_story, grammar_of, text_of_file
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN

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
    """The text box, the buttons that fill it, and its errors."""

    def __init__(self, models: dict[str, StoryGAN], first: StoryGAN, start: str) -> None:
        self.models = models
        T, grammar = first.config.T, grammar_of(first)
        self.heading = gr.HTML(heading(first))
        with gr.Row(equal_height=True, elem_id="examples"):
            self.examples = [gr.Button(title, size="md", min_width=110) for title in EXAMPLES[kind_of(first)]]
            self.random = gr.Button("Random story", size="md", min_width=110)
            self.file = gr.Button("⬆ Open a story file", size="md", min_width=110, elem_id="open")
        self.text = gr.Textbox(
            start,
            label=label(first),
            lines=T,
            max_lines=12,
            max_length=MAX_TEXT,
            elem_id="story",
        )
        self.check = gr.HTML(check_html(check_story(start, T, grammar)), elem_id="check")

    def connect(self, model: gr.Dropdown, floor: gr.Column, plan: gr.HTML) -> None:
        """Create the events. Every change of the text updates the check and the floor plan."""
        for number, button in enumerate(self.examples):
            button.click(lambda name, number=number: self.example(name, number), model, self.text, **IMMEDIATE)
        self.random.click(self.random_story, model, self.text, **IMMEDIATE)
        self.file.click(self.open_file, [model, self.text], [self.text, self.check], js=OPEN, **IMMEDIATE)
        gr.on([self.text.change, model.change], self.check_text, [model, self.text], [self.check, plan], **IMMEDIATE)
        model.change(self.change_model, model, [floor, self.heading, self.text, *self.examples], **IMMEDIATE)

    def example(self, name: str, number: int) -> str:
        """Return the text of an example of the model."""
        kind = kind_of(self.models[name])
        return example(kind, list(EXAMPLES[kind])[number], self.models[name].config.T)

    def random_story(self, name: str) -> str:
        """Return a random story for the model."""
        return random_story(kind_of(self.models[name]), self.models[name].config.T, secrets.randbelow(MAX_SEED))

    def open_file(self, name: str, content: str | None) -> tuple[Any, str]:
        """Return the text of a story file and its check, or keep the text and return the error."""
        try:
            text = text_of_file(content or "")
        except UsageError as error:
            return gr.skip(), problem_html(str(error))
        return text, self.check_text(name, text)[0]

    def check_text(self, name: str, text: str) -> tuple[str, str]:
        """Check the story while it is typed, and draw its plan. No model runs."""
        model = self.models[name]
        T, grammar = model.config.T, grammar_of(model)
        return check_html(check_story(text or "", T, grammar)), draw_plan(text or "", T) if grammar else ""

    def change_model(self, name: str) -> list[Any]:
        """Show the examples of the model, and a floor plan for CLEVR-SV."""
        model = self.models[name]
        kind, T = kind_of(model), model.config.T
        titles = list(EXAMPLES[kind])
        return [
            gr.Column(visible=grammar_of(model) is not None),
            heading(model),
            gr.Textbox(example(kind, titles[0], T), lines=T, label=label(model)),
            *map(gr.Button, titles),
        ]


def heading(model: StoryGAN) -> str:
    """Return the heading, with the step's number if there is no floor plan."""
    return "<h2>… or write the story</h2>" if grammar_of(model) else "<h2><b>1</b> Write your story</h2>"


def label(model: StoryGAN) -> str:
    """Return the label of the text box."""
    return f"Story: {model.config.T} sentences, one on each line"
