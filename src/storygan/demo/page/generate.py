"""Starting to draw: how many, from which lucky number (the seed), and the buttons that start it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from storygan.demo.history import Sheet, draw
from storygan.demo.html import bar_html, problem_html, sheet_html
from storygan.demo.page.components import AFTERWARDS, DRAWS, scroll_to
from storygan.demo.story_input import MAX_SAMPLES, MAX_SEED, check_story, grammar_of, sentences_of, whole_number
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN

KEPT_SECONDS = 3600  # how long a visitor's drawing and files are kept


class Starting:
    """The buttons, and the sheet that they make: the state that the rest of the page works on."""

    def __init__(self, models: dict[str, StoryGAN]) -> None:
        self.models = models
        gr.HTML("<h2><b>2</b> Draw it</h2>")
        with gr.Row(equal_height=True):
            self.button = gr.Button("Draw!", variant="primary", size="lg", elem_id="draw", min_width=160)
            self.again = gr.Button("Draw it differently", size="lg", elem_id="again", min_width=160)
        with gr.Row(equal_height=True):
            self.samples = gr.Slider(
                1, MAX_SAMPLES, 1, step=1, label="How many drawings?", elem_id="samples", min_width=150, buttons=[]
            )
            self.seed = gr.Number(
                7,
                precision=0,
                label="Lucky number",
                info="The same number draws the same again.",
                elem_id="seed",
                min_width=150,
            )
        self.sheet = gr.State(None, time_to_live=KEPT_SECONDS)

    def connect(self, model: gr.Dropdown, text: gr.Textbox, pictures: gr.HTML) -> list[Any]:
        """Both buttons draw; the events after which a sheet may be new."""
        inputs, outputs = [model, text, self.samples, self.seed, self.sheet], [pictures, self.sheet]
        other = self.again.click(self.next_seed, self.seed, self.seed, **AFTERWARDS)
        gr.on([self.button.click, self.again.click], None, js=scroll_to("pictures"))
        return [
            self.button.click(self.draw, inputs, outputs, api_name="draw", **DRAWS),
            other.then(self.draw, inputs, outputs, api_visibility="private", **DRAWS),
        ]

    def next_seed(self, seed: Any) -> int:
        """Another lucky number."""
        return seed + 1 if isinstance(seed, int) and 0 <= seed < MAX_SEED else 0

    def draw(self, name: str, text: str, samples: Any, seed: Any, old: Sheet | None) -> Iterator[tuple[str, Any]]:
        """Draw the story: (HTML, sheet) after each drawing, or what is wrong. The old sheet can be come back to."""
        shown = sheet_html(old) if old else ""
        try:
            model = self.models[name]
            report = check_story(text or "", model.config.T, grammar_of(model))
            if report.problem:
                mistakes = [f"Sentence {n}: {line.problem}." for n, line in enumerate(report.lines, 1) if line.problem]
                raise UsageError(" ".join([report.problem, *mistakes]))
            samples = whole_number("The number of drawings", samples, 1, MAX_SAMPLES)
            seed = whole_number("The lucky number", seed, 0, MAX_SEED)
            yield f'{bar_html(0, samples)}<div class="waiting">{shown}</div>', gr.skip()
            for sheet in draw(name, model, sentences_of(text), samples, seed):
                yield sheet_html(sheet), sheet.after(old)
        except StoryganError as error:
            yield problem_html(str(error)) + shown, gr.skip()
