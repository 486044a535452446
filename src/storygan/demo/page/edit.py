"""Edit the selected frame or the sample: change a sentence, resample, extend, interpolate, explain, undo, redo."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from storygan import editing
from storygan.demo.examples import kind_of, next_sentence
from storygan.demo.history import Samples
from storygan.demo.html import SCALE, compare, heatmaps_html, picture_html, problem_html, shares, shares_html
from storygan.demo.page.components import IMMEDIATE, QUEUED
from storygan.demo.page.view import View
from storygan.demo.server import Models
from storygan.demo.story_input import MAX_CHARACTERS, MAX_SEED, check_story, grammar_of
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN
from storygan.viz import enlarge

STEPS = 5
"""Samples of an interpolation, with both ends."""
ALONE = "Nothing"
Change = Callable[[Samples, StoryGAN, str], Samples]
"""Returns the samples after an edit; the text is that of the sentence box."""
SCROLL = "() => document.getElementById('panel')?.scrollIntoView({behavior: 'smooth', block: 'nearest'})"


class Edit:
    """The buttons below the pictures, and the panel of the selected frame."""

    def __init__(self, models: Models) -> None:
        self.models = models
        with gr.Row(elem_id="tools"):
            self.undo_button = gr.Button("↩ Undo", size="sm", min_width=0, elem_id="undo", interactive=False)
            self.redo_button = gr.Button("↪ Redo", size="sm", min_width=0, elem_id="redo", interactive=False)
            self.add_button = gr.Button("+ Add picture", size="sm", min_width=0, elem_id="extend", interactive=False)
            self.interpolate_button = gr.Button(
                "Interpolate", size="sm", min_width=0, elem_id="interpolate", interactive=False
            )
        with gr.Column(visible=False, elem_id="panel") as self.panel:
            with gr.Row():
                with gr.Column(min_width=260, scale=3):
                    self.picture = gr.HTML(elem_id="picture", apply_default_css=False)
                    self.slider = gr.ImageSlider(
                        show_label=False, container=False, buttons=[], interactive=False, elem_id="slider"
                    )
                    self.other = gr.Dropdown([ALONE], value=ALONE, label="Compare with", elem_id="other")
                with gr.Column(min_width=260, scale=2):
                    with gr.Row(elem_id="panel-title"):
                        self.title = gr.HTML()
                        self.close = gr.Button("✕ Close", size="sm", min_width=0, elem_id="close")
                    self.sentence = gr.Textbox(
                        label="Its sentence", max_length=MAX_CHARACTERS, lines=2, max_lines=3, elem_id="sentence"
                    )
                    self.change_button = gr.Button(elem_id="change", size="md", variant="primary")
                    with gr.Row() as self.others:
                        self.resample_button = gr.Button("Resample", size="md", min_width=0, elem_id="resample")
                        self.explain_button = gr.Button("Explain", size="md", min_width=0, elem_id="explain")
                    self.result = gr.HTML(elem_id="result")
            self.explanation = gr.HTML(elem_id="explanation")
        self.tools = [self.undo_button, self.redo_button, self.add_button, self.interpolate_button]
        self.parts = [self.panel, self.title, self.sentence, self.change_button, self.others]
        self.parts += [self.picture, self.slider, self.other, self.result, self.explanation]
        self.shown = [*self.tools, *self.parts]

    def show(self, samples: Samples) -> list[Any]:
        """Return the values of `shown` for the selected frame."""
        t, sentences = samples.frame, samples.output.sentences
        enabled = (samples.undo_stack, samples.redo_stack, True, True)
        tools = [gr.Button(interactive=bool(each)) for each in enabled]
        if t == 0:
            return [*tools, gr.Column(visible=False), *[gr.skip()] * (len(self.parts) - 1)]
        new = t > len(sentences)
        others = list(samples.others())
        other = samples.other if samples.other in others else ALONE
        return [
            *tools,
            gr.Column(visible=True),
            f"<h2>Picture {t}{' (new)' if new else ''}</h2>",
            self.suggest(samples) if new else sentences[t - 1],
            gr.Button("Add this picture" if new else "Change the sentence"),
            gr.Row(visible=not new),
            *self.compare(samples, other),
            gr.Dropdown([ALONE, *others], value=other, visible=bool(others)),
            "",
            "",
        ]

    def connect(self, view: View) -> None:
        """Create the events. Edits wait in the queue."""
        state, self.view = view.samples, view
        queued: dict[str, Any] = {**QUEUED, "api_visibility": "private", "show_progress_on": [view.pictures]}
        view.pictures.select(self.select, state, view.outputs, **IMMEDIATE).then(None, js=SCROLL)
        for button, handler in (
            (self.add_button, partial(self.select_frame, new=True)),
            (self.close, partial(self.select_frame, new=False)),
            (self.undo_button, partial(self.step, change=Samples.undo)),
            (self.redo_button, partial(self.step, change=Samples.redo)),
        ):
            button.click(handler, state, view.outputs, **IMMEDIATE).then(None, js=SCROLL)
        self.other.input(self.compare, [state, self.other], [self.picture, self.slider], **IMMEDIATE)
        self.explain_button.click(
            self.explain, state, [self.result, self.explanation], **{**queued, "show_progress_on": [self.result]}
        )
        for events, change in (
            ([self.change_button.click, self.sentence.submit], self.change_sentence),
            ([self.resample_button.click], self.resample),
            ([self.interpolate_button.click], self.interpolate),
        ):
            gr.on(events, partial(self.edit, change), [state, self.sentence], view.outputs, **queued).then(
                None, js=SCROLL
            )

    # ---- selection, undo and redo ----

    def select(self, samples: Samples | None, event: gr.EventData) -> list[Any]:
        """Select the frame or the sample that was clicked. The sample's sentences become the text."""
        if samples is None:
            return self.view.unchanged()
        data = event._data if isinstance(event._data, dict) else {}
        number, frame = data.get("sample"), data.get("frame")
        if number == -1:
            return self.view.show(samples.select(samples.number, frame), text=False)
        return self.view.show(samples.select(number, 0))

    def select_frame(self, samples: Samples | None, new: bool) -> list[Any]:
        """Select the frame after the last, which is to be added, or none, which closes the panel."""
        if samples is None:
            return self.view.unchanged()
        frame = len(samples.output.sentences) + 1 if new else 0
        return self.view.show(samples.select(samples.number, frame), text=False)

    def step(self, samples: Samples | None, change: Callable[[Samples], Samples]) -> list[Any]:
        """Undo or redo, if there is something to."""
        try:
            return self.view.show(change(samples)) if samples else self.view.unchanged()
        except UsageError:  # a second click before the button was disabled
            return self.view.unchanged()

    def compare(self, samples: Samples | None, name: Any) -> list[Any]:
        """Return the selected frame, or a slider between it and that of another sample."""
        t = samples.frame if samples else 0
        if samples is None or not 1 <= t <= len(samples.output.sentences):
            return [gr.HTML(visible=False), gr.ImageSlider(visible=False)]
        output, other = samples.output, samples.others().get(str(name))
        if other is None:
            html = picture_html(output.frames[0, t - 1], output.aspect_ratio, output.sentences[t - 1])
            return [gr.HTML(html, visible=True), gr.ImageSlider(visible=False)]
        pair = tuple(enlarge(np.stack([other, output.frames[0, t - 1]]), SCALE, output.aspect_ratio))
        return [gr.HTML(visible=False), gr.ImageSlider(pair, visible=True)]

    # ---- edits ----

    def edit(self, change: Change, samples: Samples | None, sentence: str | None) -> list[Any]:
        """Return the view after an edit of the selected sample, or the error in the panel."""
        at = self.view.outputs.index(self.result)
        try:
            if samples is None:
                raise UsageError("Generate a story first.")
            model = self.models[samples.model]
            new = change(samples, model, sentence or "")
        except StoryganError as error:
            values = self.view.unchanged()
            values[at] = problem_html(str(error))
            return values
        old, output = samples.output.sentences, new.output.sentences
        changed = {s for pair in zip(old, output, strict=False) if pair[0] != pair[1] for s in pair}
        mask = editing.sentence_mask(*changed) if changed and grammar_of(model) else None
        values = self.view.show(new)
        values[at] = f'<p role="status">{compare(samples.output, new.output, mask)}</p>'
        return values

    def change_sentence(self, samples: Samples, model: StoryGAN, text: str) -> Samples:
        """Change the sentence of the selected frame and keep the noise and the context, or add a frame."""
        old, t = samples.output, samples.frame
        before = old.sentences[: t - 1]
        report = check_story(text, 1, grammar_of(model), before)
        if len(report.lines) != 1 or report.problem:
            problems = [line.problem for line in report.lines if line.problem] or ["Write one sentence."]
            raise UsageError(problems[0])
        sentence = report.lines[0].canonical
        if t <= len(old.sentences):
            return samples.with_edit(editing.change_sentence(model, old, t, sentence, keep_context=True))
        if t > 2 * model.config.T:
            raise UsageError(f"This story has {len(old.sentences)} pictures, the maximum on this page.")
        return samples.with_edit(editing.extend(model, old, sentence, samples.seed))

    def resample(self, samples: Samples, model: StoryGAN, text: str) -> Samples:
        """Resample the selected frame and keep the others."""
        n = len(samples.output.sentences)
        keep = [t for t in range(1, n + 1) if t != samples.frame]
        return samples.with_edit(editing.resample(model, samples.output, keep, secrets.randbelow(MAX_SEED)))

    def interpolate(self, samples: Samples, model: StoryGAN, text: str) -> Samples:
        """Interpolate to the `h_0` of a random seed; the samples become the steps."""
        return samples.with_interpolation(
            editing.interpolate(model, samples.output, secrets.randbelow(MAX_SEED), STEPS)
        )

    def explain(self, samples: Samples | None) -> tuple[str, str]:
        """Return on what the selected frame depends: shares and heatmaps, as HTML."""
        if samples is None or not 1 <= samples.frame <= len(samples.output.sentences):
            return "", ""
        attribution = editing.attribute(self.models[samples.model], samples.output)
        t, n = samples.frame, len(samples.output.sentences)
        return shares_html(shares(attribution, n)[t - 1]), heatmaps_html(samples.output, attribution, t)

    def suggest(self, samples: Samples) -> str:
        """Return a sentence for another frame."""
        kind = kind_of(self.models[samples.model])
        return next_sentence(kind, samples.output.sentences, secrets.randbelow(MAX_SEED))
