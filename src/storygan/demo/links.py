"""Links that hold a story in their query: `?model=clevr-sv&seed=7&story=...`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from storygan.demo.history import Samples
from storygan.demo.story_input import MAX_SAMPLES, MAX_SEED, text_of_file, whole_number


class Link(NamedTuple):
    """What to generate."""

    model: str
    story: str
    seed: int
    samples: int


def link_to(samples: Samples) -> str:
    """Return the query that generates the story of the selected sample from its seed. Edits of frames are not in it."""
    values: dict[str, str | int] = {"model": samples.model, "seed": samples.seed}
    if len(samples.outputs) > 1 and not samples.titles:
        values["samples"] = len(samples.outputs)
    return "?" + urlencode({**values, "story": "\n".join(samples.output.sentences)})


def read_link(query: Mapping[str, str], default: Link) -> Link:
    """Read a query; what it does not have is as in `default`. The model and the sentences are not checked.

    Raises:
        UsageError: A number is out of range, or the story is too long or no text.
    """

    def number(name: str, value: int, low: int, high: int) -> int:
        text = query.get(name, str(value))
        found = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else -1
        return whole_number(f"The {name} in this link", found, low, high)

    seed, samples = number("seed", default.seed, 0, MAX_SEED), number("samples", default.samples, 1, MAX_SAMPLES)
    if "story" not in query:
        return default._replace(seed=seed, samples=samples)
    return Link(query.get("model", default.model), text_of_file(query["story"], "link"), seed, samples)
