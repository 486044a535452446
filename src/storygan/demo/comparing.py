"""What an edit did to a drawing, in words and as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storygan.editing import Drawing, effect
from storygan.editing.pictures import where_changed
from storygan.viz import Row

LITTLE, MUCH = 0.25, 1.0
"""Mean change of a picture, of 255: below the one hardly anyone sees it, from the other on everyone does."""


def compare(before: Drawing, after: Drawing, place: np.ndarray | None = None) -> tuple[str, list[Row]]:
    """Two single drawings of a story, one of which may be longer -> which pictures changed; before, after, and where.

    The last row glows where pixels changed. `place` (H, W), bool, is where a change was called for: then the words say
    how much more changed there than elsewhere.
    """
    n = min(len(before.story), len(after.story))
    old, new = before.frames[0], after.frames[0]
    change = effect(before.frames, after.frames, place)
    amounts = change.everywhere
    changed = [t for t in range(1, n + 1) if not np.array_equal(old[t - 1], new[t - 1])]
    same = [t for t in range(1, n + 1) if t not in changed]
    parts = []
    if len(new) > len(old):
        parts.append(f"{numbered([len(new)])} is new.")
    if same:
        parts.append(f"{numbered(same)} stayed exactly as {'they were' if len(same) > 1 else 'it was'}.")
    if changed and max(amounts) < LITTLE:
        parts.append(f"{numbered(changed)} changed, but so little that it is hard to see.")
    elif changed:
        parts.append(f"{numbered(changed)} changed.")
        inside, outside = (float(x[[t - 1 for t in changed]].mean()) for x in (change.inside, change.outside))
        if inside > outside > 0:
            parts.append(f"Where the old and the new thing stand, {inside / outside:.1f} times as much as elsewhere.")
    rows = [Row("Before", old, before.story), Row("After", new, after.story)]
    if changed:
        glow = where_changed(old[:n], new[:n])
        rows.append(Row("What changed: it glows there", glow, [in_words(amount) for amount in amounts]))
    return " ".join(parts), rows


def in_words(amount: float) -> str:
    """A mean change of pixels, of 255."""
    if amount == 0:
        return "nothing"
    word = "almost nothing" if amount < LITTLE else "a little" if amount < MUCH else "a lot"
    return f"{word} ({amount:.2f})"


def numbered(frames: Sequence[int]) -> str:
    """`Picture 1`, `Pictures 1 and 2`, `Pictures 1, 2 and 3`."""
    *most, last = map(str, frames)
    return f"Pictures {', '.join(most)} and {last}" if most else f"Picture {last}"
