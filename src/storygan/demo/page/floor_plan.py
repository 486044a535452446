"""The floor plan of CLEVR-SV: where one clicks an object into place and its sentence writes itself."""

from __future__ import annotations

import gradio as gr

from storygan.demo.floor_plan import draw_plan, place, take_back
from storygan.demo.page.components import QUICK
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject

# Where a click falls, in the coordinates of the plan.
CLICK = """
element.addEventListener('click', (event) => {
    const svg = element.querySelector('svg');
    if (!svg || !svg.contains(event.target)) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    trigger('click', {u: at.x, v: at.y});
});
"""
CHOICES = (
    ("Colour", COLOURS, "red"),
    ("Shape", SHAPES, "cube"),
    ("Size", SIZES, "large"),
    ("Material", MATERIALS, "rubber"),
)


class Placing:
    """What to place, and the plan to place it on."""

    def __init__(self, models: dict[str, StoryGAN], start: str, T: int) -> None:
        self.models = models
        gr.HTML("<h2><b>1</b> Choose a thing and click the floor</h2>")
        with gr.Group(elem_id="words"):
            self.words = [
                gr.Radio(list(options), value=chosen, label=label, elem_id=f"pick-{label.lower()}")
                for label, options, chosen in CHOICES
            ]
        self.plan = gr.HTML(draw_plan(start, T), js_on_load=CLICK, elem_id="plan", apply_default_css=False)
        with gr.Row(equal_height=True):
            self.back = gr.Button("↩ Take the last one back", size="md", min_width=120)
            self.clear = gr.Button("Clear the floor", size="md", min_width=120)

    def connect(self, model: gr.Dropdown, text: gr.Textbox) -> None:
        """The plan writes the story's text."""
        self.plan.click(self.place, [model, text, *self.words], [text, self.plan], **QUICK)
        self.back.click(lambda text: take_back(text or ""), text, text, **QUICK)
        self.clear.click(lambda: "", None, text, **QUICK)

    def place(
        self, name: str, text: str, colour: str, shape: str, size: str, material: str, event: gr.EventData
    ) -> tuple[str, str]:
        """Put a thing where the plan was clicked. UsageError where the click says no place."""
        T = self.models[name].config.T
        thing = ClevrObject(shape, colour, material, size, 0.0, 0.0)
        try:
            u, v = float(event.u), float(event.v)
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            raise UsageError("Click on the floor.") from error
        text, note = place(text or "", thing, u, v, T)
        return text, draw_plan(text, T, note)
