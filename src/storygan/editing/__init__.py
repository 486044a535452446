"""Edit generated stories: change a sentence, resample frames, extend, interpolate; attribute frames to their inputs.

from storygan import StoryGAN, editing

model = StoryGAN.from_pretrained("clevr-sv")
before = editing.generate(model, story, seed=7)
after = editing.change_sentence(model, before, 3, "small green rubber cube at (0.9, 0.4)", keep_context=True)
after.frames  # uint8 (1, 4, 64, 64, 3)
"""

from storygan.editing.attribution import Attribution, attribute, gist_grid
from storygan.editing.changes import PixelChange, pixel_change, sentence_mask
from storygan.editing.edits import change_sentence, extend, interpolate, resample
from storygan.editing.figures import attribution_rows, before_after_rows, interpolation_rows, output_rows
from storygan.editing.output import StoryOutput, generate

__all__ = [
    "Attribution",
    "PixelChange",
    "StoryOutput",
    "attribute",
    "attribution_rows",
    "before_after_rows",
    "change_sentence",
    "extend",
    "generate",
    "gist_grid",
    "interpolate",
    "interpolation_rows",
    "output_rows",
    "pixel_change",
    "resample",
    "sentence_mask",
]
