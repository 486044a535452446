"""Editing a drawn story: change a sentence, redraw frames, interpolate, continue, and see what a frame owes to what.

from storygan import StoryGAN, editing

model = StoryGAN.from_pretrained("clevr-sv")
before = editing.draw(model, story, seed=7)
after = editing.change_sentence(model, before, 3, "small green rubber cube at (0.9, 0.4)", keep_context=True)
after.frames  # uint8 (1, 4, 64, 64, 3)
"""

from storygan.editing.drawing import Drawing, draw
from storygan.editing.edits import change_sentence, continue_story, interpolate, redraw

__all__ = ["Drawing", "change_sentence", "continue_story", "draw", "interpolate", "redraw"]
