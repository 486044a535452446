"""Editing a drawn story: change a sentence, redraw frames, interpolate, continue, and see what a frame owes to what.

    from storygan import StoryGAN, editing

    model = StoryGAN.from_pretrained("clevr-sv")
    before = editing.draw(model, story, seed=7)
    after = editing.change_sentence(model, before, 3, "small green rubber cube at (0.9, 0.4)", keep_context=True)
    after.frames  # uint8 (1, 4, 64, 64, 3)

Each edit takes a `Drawing` and gives another, so that edits follow one another. Sentences and frames count from 1.
"""

from storygan.editing.attribution import Influence, gist_grid, influence
from storygan.editing.edits import change_sentence, continue_story, interpolate, redraw
from storygan.editing.effects import Effect, effect, place_of
from storygan.editing.figures import before_and_after, between, influence_rows, told
from storygan.editing.output import Drawing, draw

__all__ = [
    "Drawing",
    "Effect",
    "Influence",
    "before_and_after",
    "between",
    "change_sentence",
    "continue_story",
    "draw",
    "effect",
    "gist_grid",
    "influence",
    "influence_rows",
    "interpolate",
    "place_of",
    "redraw",
    "told",
]
