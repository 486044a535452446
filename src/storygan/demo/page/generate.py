"""Generate samples of the story."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from storygan.demo.history import Samples, generate_samples
from storygan.demo.html import problem_html, progress_html, samples_html
from storygan.demo.page.components import AFTERWARDS, QUEUED, scroll_to
from storygan.demo.story_input import MAX_SAMPLES, MAX_SEED, check_story, grammar_of, sentences_of, whole_number
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN

KEEP_SECONDS = 3600
"""How long the samples and files of a visitor are kept."""


class Generate:
    """The buttons, and the samples: the state that the rest of the page works on."""

    def __init__(self, models: dict[str, StoryGAN]) -> None:
        self.models = models
        gr.HTML("<h2><b>2</b> Generate</h2>")
        with gr.Row(equal_height=True):
            self.button = gr.Button("Generate", variant="primary", size="lg", elem_id="generate", min_width=160)
            self.next_button = gr.Button("Next seed", size="lg", elem_id="next-seed", min_width=160)
        with gr.Row(equal_height=True):
            self.total = gr.Slider(
                1, MAX_SAMPLES, 1, step=1, label="Samples", elem_id="samples", min_width=150, buttons=[]
            )
            self.seed = gr.Number(
                7,
                precision=0,
                label="Seed",
                info="The same seed gives the same frames.",
                elem_id="seed",
                min_width=150,
            )
        self.samples = gr.State(None, time_to_live=KEEP_SECONDS)

    def connect(self, model: gr.Dropdown, text: gr.Textbox, pictures: gr.HTML) -> list[Any]:
        """Create the events; return those after which the samples may be others."""
        inputs, outputs = [model, text, self.total, self.seed, self.samples], [pictures, self.samples]
        seeded = self.next_button.click(self.next_seed, self.seed, self.seed, **AFTERWARDS)
        gr.on([self.button.click, self.next_button.click], None, js=scroll_to("pictures"))
        return [
            self.button.click(self.generate, inputs, outputs, api_name="generate", **QUEUED),
            seeded.then(self.generate, inputs, outputs, api_visibility="private", **QUEUED),
        ]

    def next_seed(self, seed: Any) -> int:
        """Return the seed after this one."""
        return seed + 1 if isinstance(seed, int) and 0 <= seed < MAX_SEED else 0

    def generate(self, name: str, text: str, total: Any, seed: Any, old: Samples | None) -> Iterator[tuple[str, Any]]:
        """Generate the story and yield HTML and samples after each sample, or an error. Undo restores the old ones."""
        old_html = samples_html(old) if old else ""
        try:
            model = self.models[name]
            report = check_story(text or "", model.config.T, grammar_of(model))
            if report.problem:
                errors = [f"Sentence {n}: {line.problem}." for n, line in enumerate(report.lines, 1) if line.problem]
                raise UsageError(" ".join([report.problem, *errors]))
            total = whole_number("The number of samples", total, 1, MAX_SAMPLES)
            seed = whole_number("The seed", seed, 0, MAX_SEED)
            yield f'{progress_html(0, total)}<div class="waiting">{old_html}</div>', gr.skip()
            for samples in generate_samples(name, model, sentences_of(text), total, seed):
                yield samples_html(samples), samples.after(old)
        except StoryganError as error:
            yield problem_html(str(error)) + old_html, gr.skip()
