"""Edit a sample: change a sentence, resample frames, extend the story, interpolate."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import gradio as gr

from storygan import editing
from storygan.demo.examples import kind_of, next_sentence
from storygan.demo.history import Samples
from storygan.demo.html import comparison_html, problem_html, samples_html
from storygan.demo.page.components import BUSY, IMMEDIATE, QUEUED
from storygan.demo.story_input import MAX_CHARACTERS, MAX_SEED, check_story, grammar_of, sentences_of
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN

MAX_ADDED = 4
"""Sentences that a story can be extended by."""
STEPS = 5
"""Samples of an interpolation, with both ends."""
EditFunction = Callable[[StoryGAN, editing.StoryOutput], editing.StoryOutput]


class Edit:
    """The edits of the selected sample. Each makes new samples and shows what changed."""

    def __init__(self, models: dict[str, StoryGAN]) -> None:
        self.models = models
        gr.HTML("<h2><b>4</b> Edit</h2>")
        with gr.Row():
            with gr.Column(min_width=320, elem_classes="card"):
                self.which = gr.Radio([1], value=1, label="Change the sentence of frame", elem_id="which")
                self.sentence, self.sentence_check = sentence_box("New sentence", "sentence")
                self.change_button = gr.Button("Change sentence", size="lg", elem_id="change")
            with gr.Column(min_width=320, elem_classes="card"):
                self.keep = gr.CheckboxGroup([1], label="Keep these frames", elem_id="keep-frames")
                self.resample_button = gr.Button("Resample the other frames", size="lg", elem_id="resample")
        with gr.Row():
            with gr.Column(min_width=320, elem_classes="card"):
                self.added, self.added_check = sentence_box("Additional sentence", "added")
                self.extend_button = gr.Button("Extend the story", size="lg", elem_id="extend")
            with gr.Column(min_width=320, elem_classes="card"):
                gr.HTML(
                    "<p><b>Interpolate the story context</b></p>"
                    f"<p>{STEPS} samples, from this one's h<sub>0</sub> to that of a random seed.</p>"
                )
                self.interpolate_button = gr.Button("Interpolate", size="lg", elem_id="interpolate")
        self.comparison = gr.HTML(elem_id="comparison")
        self.choices = [self.which, self.keep]
        self.updated = [self.which, self.sentence, self.keep]

    def connect(self, samples: gr.State, selected: gr.Radio, pictures: gr.HTML) -> list[Any]:
        """Create the events; return those after which the samples may be others."""
        # One event for both, so that the last choice wins even if the server is slow.
        gr.on(
            [selected.input, self.which.input],
            self.update,
            [samples, selected, *self.choices],
            self.updated,
            **IMMEDIATE,
        )
        for box, check in ((self.sentence, self.sentence_check), (self.added, self.added_check)):
            box.change(self.check, [samples, box], check, **IMMEDIATE)
        events = []
        for button, handler, inputs in (
            (self.change_button, self.change_sentence, [self.which, self.sentence]),
            (self.resample_button, self.resample, [self.keep]),
            (self.extend_button, self.extend, [self.added]),
            (self.interpolate_button, self.interpolate, []),
        ):
            button.click(None, None, self.comparison, js=BUSY)
            events.append(
                button.click(
                    handler,
                    [samples, selected, *inputs],
                    [pictures, samples, self.comparison],
                    api_visibility="private",
                    **QUEUED,
                )
            )
        return events

    def update(self, samples: Samples | None, selected: Any, which: Any, keep: Any) -> list[Any]:
        """Offer the frames of the selected sample; keep the visitor's choices where possible."""
        if samples is None:
            return [gr.skip()] * len(self.updated)
        sentences = samples.select(selected).sentences
        frames, keep = list(range(1, len(sentences) + 1)), keep or []
        t, kept = which if which in frames else 1, [frame for frame in frames if frame in keep]
        return [
            gr.Radio(frames) if t == which else gr.Radio(frames, value=t),
            sentences[t - 1],
            gr.CheckboxGroup(frames) if kept == sorted(keep) else gr.CheckboxGroup(frames, value=kept),
        ]

    def suggest(self, samples: Samples | None, selected: Any, added: str) -> Any:
        """Suggest an additional sentence unless the box has one that is not in the story."""
        if samples is None:
            return gr.skip()
        sentences = samples.select(selected).sentences
        if added and added not in sentences:
            return gr.skip()
        return next_sentence(kind_of(self.models[samples.model]), sentences, secrets.randbelow(MAX_SEED))

    def check(self, samples: Samples | None, sentence: str) -> gr.HTML:
        """Check a sentence while it is typed."""
        try:
            self.parse(samples, sentence)
        except UsageError as error:
            return gr.HTML(problem_html(str(error)), visible=True)
        return gr.HTML(visible=False)

    def parse(self, samples: Samples | None, sentence: str) -> str:
        """Return the one sentence. Raises UsageError if the samples' model cannot encode it."""
        if samples is None:
            raise UsageError("Generate a story first.")
        before = samples.outputs[0].sentences
        report = check_story(sentence or "", 1, grammar_of(self.models[samples.model]), before)
        problem = next((line.problem for line in report.lines if line.problem), report.problem)
        if problem:
            raise UsageError(problem)
        return sentences_of(sentence)[0]

    def change_sentence(self, samples: Samples | None, selected: Any, t: Any, sentence: str) -> tuple[Any, Any, str]:
        """Change sentence `t` and keep the noise and the context."""

        def change(model: StoryGAN, old: editing.StoryOutput) -> editing.StoryOutput:
            return editing.change_sentence(model, old, t, self.parse(samples, sentence), keep_context=True)

        return self.edit(samples, selected, change)

    def resample(self, samples: Samples | None, selected: Any, keep: Any) -> tuple[Any, Any, str]:
        """Resample the frames that are not kept."""
        seed = secrets.randbelow(MAX_SEED)
        return self.edit(samples, selected, lambda model, old: editing.resample(model, old, keep or [], seed))

    def extend(self, samples: Samples | None, selected: Any, sentence: str) -> tuple[Any, Any, str]:
        """Add a sentence and its frame."""

        def change(model: StoryGAN, old: editing.StoryOutput) -> editing.StoryOutput:
            if len(old.sentences) >= model.config.T + MAX_ADDED:
                raise UsageError(f"This story has {len(old.sentences)} sentences, the maximum on this page.")
            return editing.extend(model, old, self.parse(samples, sentence), secrets.randbelow(MAX_SEED))

        return self.edit(samples, selected, change)

    def interpolate(self, samples: Samples | None, selected: Any) -> tuple[Any, Any, str]:
        """Interpolate to the `h_0` of a random seed; the samples become the steps."""
        seed = secrets.randbelow(MAX_SEED)
        return self.edit(samples, selected, lambda model, old: editing.interpolate(model, old, seed, STEPS))

    def edit(self, samples: Samples | None, selected: Any, change: EditFunction) -> tuple[Any, Any, str]:
        """Edit the selected sample.

        Returns:
            The strips, the samples, and what changed or an error.
        """
        try:
            if samples is None:
                raise UsageError("Generate a story first.")
            old = samples.select(selected)
            model = self.models[samples.model]
            new = change(model, old)
        except StoryganError as error:
            return gr.skip(), gr.skip(), problem_html(str(error))
        samples = samples.with_edit(selected, new) if len(new) == 1 else samples.with_interpolation(new)
        changed = {s for pair in zip(old.sentences, new.sentences, strict=False) if pair[0] != pair[1] for s in pair}
        mask = editing.sentence_mask(*changed) if changed and grammar_of(model) else None
        return samples_html(samples), samples, comparison_html(old, new[-1], mask)


def sentence_box(label: str, name: str) -> tuple[gr.Textbox, gr.HTML]:
    """Create a box for one sentence, and an element for its error."""
    box = gr.Textbox(label=label, max_length=MAX_CHARACTERS, elem_id=name, max_lines=3)
    return box, gr.HTML(visible=False, elem_id=f"{name}-check", elem_classes="sentence-check")
