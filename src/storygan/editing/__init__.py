"""Edit generated stories: change a sentence, resample frames, extend, interpolate; attribute frames to their inputs.

from storygan import StoryGAN, editing

model = StoryGAN.from_pretrained("clevr-sv")
before = model.generate(story, seed=7)
after = editing.change_sentence(model, before, 3, "small green rubber cube at (0.9, 0.4)", keep_context=True)
after.frames  # uint8 (1, 4, 64, 64, 3)
"""

from storygan.editing.attribution import Attribution, attribute, gist_grid
from storygan.editing.changes import PixelChange, pixel_change, sentence_mask
from storygan.editing.edits import change_sentence, extend, interpolate, resample
from storygan.editing.figures import attribution_rows, before_after_rows, interpolation_rows
from storygan.models.output import StoryOutput

__all__ = [
    "Attribution",
    "PixelChange",
    "StoryOutput",
    "attribute",
    "attribution_rows",
    "before_after_rows",
    "change_sentence",
    "extend",
    "gist_grid",
    "interpolate",
    "interpolation_rows",
    "pixel_change",
    "resample",
    "sentence_mask",
]
