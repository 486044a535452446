"""The dataset card of a rendered CLEVR-SV folder: README.md with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from pathlib import Path

from storygan.data.render_config import Plan, card_fields
from storygan.files import atomic_write


def write_card(out: Path, plan: Plan) -> None:
    """Write OUT/README.md from the plan and the shards that are there."""
    atomic_write(out / "README.md", _CARD.format(**card_fields(out, plan)))


_CARD = """---
pretty_name: CLEVR-SV, rendered anew
license: mit
language: [en]
task_categories: [text-to-image]
tags: [story-visualization, clevr-sv, synthetic]
size_categories: [{bucket}]
configs:
  - config_name: default
    data_files:
{files}
---
# CLEVR-SV, rendered anew

Stories of {T} sentences and {T} pictures of {size}x{size}: each sentence adds one object to the scene, and frame k
shows the first k objects under the same camera and lights. After the data set of StoryGAN (Li et al., CVPR 2019) and
CLEVR (Johnson et al., CVPR 2017); every picture here was rendered by storygan with Blender's Cycles.

| split | stories | frames |
|---|---|---|
{counts}

{megabytes:.1f} MB of Parquet. Columns: `story_id`, `sentences` ({T} strings such as
`large red rubber cube at (2.18, -2.85)`), `frames` ({T} PNG images), `labels` ({T} x 15: which shapes, colours,
materials and sizes a frame shows), and the nuisance variables, which no sentence names:

| column | shape | meaning | distribution |
|---|---|---|---|
| `story_nuisance` | 12 | jitter of camera, key, fill and back light, x, y and z each | standard normal |
| `frame_nuisance` | {T} x 2 | a cube's yaw from the camera's line of sight, times 4: cosine and sine, times a random \
radius; null for a sphere or cylinder | standard normal |
| `foreground` | {T} PNG masks | nonzero where a frame shows an object | |

Jitter is uniform, and stored as the standard normal value of the same rank. The names of labels and nuisance values
stand in the schema metadata under `storygan`.

```python
from datasets import load_dataset
stories = load_dataset("path/to/this/folder")
```

Made by `storygan data render-clevr OUT {flags} --seed {seed} --frames {T} --size {size}` (renderer {renderer});
the same command gives the same pictures.
"""
