"""The sentence templates of Toon-SV, loaded from templates.json beside this file.

Slots: {S} the subject ({Sa} in the accusative), {O} the others, {it} the thing, {at} the place, {sky} the sky. The
events 'open_two', 'meet' and 'cheer_all' have several subjects, the others one. In a template, a thing is named before
'it' refers to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class Templates(NamedTuple):
    """Templates of one kind: `seen` in every split, `unseen` only in the part 'wording' of the test split."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def _templates(table: dict[str, dict[str, list[str]]]) -> dict[str, Templates]:
    return {kind: Templates(tuple(texts["seen"]), tuple(texts["unseen"])) for kind, texts in table.items()}


_TABLES = json.loads(Path(__file__).with_name("templates.json").read_text())
EVENTS = _templates(_TABLES["events"])
SKY_CHANGES = _templates(_TABLES["sky_changes"])
"""By the sky that follows."""
PLACES = _templates(_TABLES["places"])
SKIES = _templates(_TABLES["skies"])
LINKS = tuple(_TABLES["links"])
"""Before a template that starts with {S}."""
