"""Changing a drawing: another sentence, other pictures, one sentence more, another idea of the whole story."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import gradio as gr

from storygan import editing
from storygan.demo.examples import kind_of, one_more
from storygan.demo.history import Sheet
from storygan.demo.html import compare, problem_html, rows_html, sheet_html
from storygan.demo.page.components import BUSY, DRAWS, QUICK
from storygan.demo.story_input import MAX_CHARACTERS, MAX_SEED, check_story, grammar_of, sentences_of
from storygan.errors import StoryganError, UsageError
from storygan.models.storygan import StoryGAN

MORE = 4
"""Sentences that a story is continued by, at most."""
STEPS = 5
"""Drawings on the way to another idea, the two ends included."""
Edit = Callable[[StoryGAN, editing.Drawing], editing.Drawing]


class Changing:
    """The edits of the drawing that is liked best. Each makes a new sheet and says what it changed."""

    def __init__(self, models: dict[str, StoryGAN]) -> None:
        self.models = models
        gr.HTML("<h2><b>4</b> Change it</h2>")
        with gr.Row():
            with gr.Column(min_width=320, elem_classes="card"):
                self.which = gr.Radio([1], value=1, label="Say something else in picture", elem_id="which")
                self.sentence, self.sentence_check = sentence_box("The new sentence", "sentence")
                self.say = gr.Button("Change this sentence", size="lg", elem_id="say")
            with gr.Column(min_width=320, elem_classes="card"):
                self.keep = gr.CheckboxGroup([1], label="Keep these pictures as they are", elem_id="keep-frames")
                self.redraw = gr.Button("Draw the other pictures again", size="lg", elem_id="redraw")
        with gr.Row():
            with gr.Column(min_width=320, elem_classes="card"):
                self.more, self.more_check = sentence_box("And then? One more sentence", "more")
                self.go_on = gr.Button("Add a picture", size="lg", elem_id="go-on")
            with gr.Column(min_width=320, elem_classes="card"):
                gr.HTML(
                    "<p><b>Another idea of the whole story</b></p>"
                    f"<p>{STEPS} drawings, from this one step by step towards another one of the same sentences.</p>"
                )
                self.way = gr.Button("Show the way there", size="lg", elem_id="way")
        self.comparison = gr.HTML(elem_id="comparison")
        self.chosen = [self.which, self.keep]
        self.opened = [self.which, self.sentence, self.keep]

    def connect(self, sheet: gr.State, liked: gr.Radio, pictures: gr.HTML) -> list[Any]:
        """The events after which the sheet may be another."""
        # One event for both: what is chosen last counts, however slow the server.
        gr.on([liked.input, self.which.input], self.open, [sheet, liked, *self.chosen], self.opened, **QUICK)
        for box, check in ((self.sentence, self.sentence_check), (self.more, self.more_check)):
            box.change(self.look, [sheet, box], check, **QUICK)
        events = []
        for button, change, inputs in (
            (self.say, self.change_sentence, [self.which, self.sentence]),
            (self.redraw, self.redraw_others, [self.keep]),
            (self.go_on, self.continue_story, [self.more]),
            (self.way, self.interpolate, []),
        ):
            button.click(None, None, self.comparison, js=BUSY)
            events.append(
                button.click(
                    change,
                    [sheet, liked, *inputs],
                    [pictures, sheet, self.comparison],
                    api_visibility="private",
                    **DRAWS,
                )
            )
        return events

    def open(self, sheet: Sheet | None, liked: Any, which: Any, keep: Any) -> list[Any]:
        """What can be changed in the drawing that is liked; what was chosen stays where it can."""
        if sheet is None:
            return [gr.skip()] * len(self.opened)
        story = sheet.pick(liked).story
        frames = list(range(1, len(story) + 1))
        t, kept = which if which in frames else 1, [frame for frame in frames if frame in keep]
        return [
            gr.Radio(frames) if t == which else gr.Radio(frames, value=t),
            story[t - 1],
            gr.CheckboxGroup(frames) if kept == sorted(keep) else gr.CheckboxGroup(frames, value=kept),
        ]

    def suggest(self, sheet: Sheet | None, liked: Any, more: str) -> Any:
        """A sentence that the story could go on with, where the box has none that is still to be told."""
        if sheet is None:
            return gr.skip()
        story = sheet.pick(liked).story
        if more and more not in story:
            return gr.skip()
        return one_more(kind_of(self.models[sheet.model]), story, secrets.randbelow(MAX_SEED))

    def look(self, sheet: Sheet | None, sentence: str) -> gr.HTML:
        """Check a sentence as it is typed."""
        try:
            self.read(sheet, sentence)
        except UsageError as error:
            return gr.HTML(problem_html(str(error)), visible=True)
        return gr.HTML(visible=False)

    def read(self, sheet: Sheet | None, sentence: str) -> str:
        """The one sentence, where the sheet's model reads it; UsageError where it does not."""
        if sheet is None:
            raise UsageError("Draw a story first.")
        report = check_story(sentence or "", 1, grammar_of(self.models[sheet.model]))
        problem = next((line.problem for line in report.lines if line.problem), report.problem)
        if problem:
            raise UsageError(problem)
        return sentences_of(sentence)[0]

    def change_sentence(self, sheet: Sheet | None, liked: Any, t: Any, sentence: str) -> tuple[Any, Any, str]:
        """Another sentence `t` with the same noise."""

        def change(model: StoryGAN, old: editing.Drawing) -> editing.Drawing:
            return editing.change_sentence(model, old, t, self.read(sheet, sentence), keep_context=True)

        return self.edit(sheet, liked, change)

    def redraw_others(self, sheet: Sheet | None, liked: Any, keep: Any) -> tuple[Any, Any, str]:
        """Other noise for the pictures that are not kept."""
        seed = secrets.randbelow(MAX_SEED)
        return self.edit(sheet, liked, lambda model, old: editing.redraw(model, old, keep, seed))

    def continue_story(self, sheet: Sheet | None, liked: Any, sentence: str) -> tuple[Any, Any, str]:
        """One sentence more, and a picture for it."""

        def change(model: StoryGAN, old: editing.Drawing) -> editing.Drawing:
            most = model.config.T + MORE
            if len(old.story) >= most:
                raise UsageError(f"This story has {len(old.story)} sentences: on this page it gets no longer.")
            return editing.continue_story(model, old, self.read(sheet, sentence), secrets.randbelow(MAX_SEED))

        return self.edit(sheet, liked, change)

    def interpolate(self, sheet: Sheet | None, liked: Any) -> tuple[Any, Any, str]:
        """The way to the `h_0` of another seed: a sheet of its steps."""
        seed = secrets.randbelow(MAX_SEED)
        return self.edit(sheet, liked, lambda model, old: editing.interpolate(model, old, seed, STEPS))

    def edit(self, sheet: Sheet | None, liked: Any, change: Edit) -> tuple[Any, Any, str]:
        """Change the drawing that is liked best: (pictures, sheet, what changed), or what is wrong."""
        try:
            if sheet is None:
                raise UsageError("Draw a story first.")
            old = sheet.pick(liked)
            model = self.models[sheet.model]
            new = change(model, old)
        except StoryganError as error:
            return gr.skip(), gr.skip(), problem_html(str(error))
        sheet = sheet.with_edit(liked, new) if len(new) == 1 else sheet.with_way(new)
        said = {s for pair in zip(old.story, new.story, strict=False) if pair[0] != pair[1] for s in pair}
        words, rows = compare(old, new[-1], editing.place_of(*said) if said and grammar_of(model) else None)
        return sheet_html(sheet), sheet, f'<p class="said" role="status">{words}</p>{rows_html(rows)}'


def sentence_box(label: str, name: str) -> tuple[gr.Textbox, gr.HTML]:
    """A box for one sentence, and the place for what is wrong with it."""
    box = gr.Textbox(label=label, max_length=MAX_CHARACTERS, elem_id=name, max_lines=3)
    return box, gr.HTML(visible=False, elem_id=f"{name}-check", elem_classes="sentence-check")
