"""The floor plan of CLEVR-SV: a click places an object and writes its sentence."""

from __future__ import annotations

import gradio as gr

from storygan.demo.floor_plan import draw_plan, place_object, remove_last
from storygan.demo.page.components import IMMEDIATE
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject

# Sends a click in plan coordinates.
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


class FloorPlan:
    """The attributes of the next object, and the plan."""

    def __init__(self, models: dict[str, StoryGAN], start: str, T: int) -> None:
        self.models = models
        gr.HTML("<h2><b>1</b> Place objects on the floor</h2>")
        with gr.Group(elem_id="attributes"):
            self.attributes = [
                gr.Radio(list(options), value=default, label=label, elem_id=f"pick-{label.lower()}")
                for label, options, default in CHOICES
            ]
        self.plan = gr.HTML(draw_plan(start, T), js_on_load=CLICK, elem_id="plan", apply_default_css=False)
        with gr.Row(equal_height=True):
            self.undo = gr.Button("↩ Undo last object", size="md", min_width=120)
            self.clear = gr.Button("Clear the floor", size="md", min_width=120)

    def connect(self, model: gr.Dropdown, text: gr.Textbox) -> None:
        """Create the events, which write the story's text."""
        self.plan.click(self.place, [model, text, *self.attributes], [text, self.plan], **IMMEDIATE)
        self.undo.click(lambda text: remove_last(text or ""), text, text, **IMMEDIATE)
        self.clear.click(lambda: "", None, text, **IMMEDIATE)

    def place(
        self, name: str, text: str, colour: str, shape: str, size: str, material: str, event: gr.EventData
    ) -> tuple[str, str]:
        """Place an object where the plan was clicked. Raises UsageError if the event has no location."""
        T = self.models[name].config.T
        new = ClevrObject(shape, colour, material, size, 0.0, 0.0)
        try:
            u, v = float(event.u), float(event.v)
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            raise UsageError("Click on the floor.") from error
        text, note = place_object(text or "", new, u, v, T)
        return text, draw_plan(text, T, note)
