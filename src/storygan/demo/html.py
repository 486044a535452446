"""HTML of the page's content. Pictures are data URIs, so no file is served."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from storygan.demo.floor_plan import COLOURS, draw_plan
from storygan.demo.history import Samples
from storygan.demo.story_input import Report
from storygan.editing import Attribution, StoryOutput, pixel_change
from storygan.editing.attribution import OTHER_FILTERS, OTHER_MEMORY, OTHER_NOISE, ZERO_CONTEXT
from storygan.editing.figures import heatmap, heatmap_range
from storygan.text.clevr import ATTRIBUTES, ClevrObject
from storygan.viz import data_uri, enlarge

SCALE, SMALL = 6, 1
"""Of pictures and of thumbnails: display pixels per frame pixel."""
WAITING = '<p class="empty" role="status">Generating the first pictures ...</p>'
EMPTY = '<p class="empty" role="status">The pictures appear here when the story is ready.</p>'


def cards_css(names: Sequence[str], pictures: Mapping[str, Path]) -> str:
    """Return the style of the model cards: each one's technical name, and its picture if there is one."""
    rules = []
    for k, name in enumerate(names, 1):
        # A name may be that of a folder: only letters, digits and marks that end neither the string nor the style.
        safe = re.sub(r"[^\w .()+-]", "?", name)
        rules.append(f'#model label:nth-of-type({k}) span::after {{ content: "{safe}"; }}')
        if name in pictures:
            uri = "data:image/webp;base64," + b64encode(pictures[name].read_bytes()).decode()
            rules.append(f'#model label:nth-of-type({k})::before {{ background-image: url("{uri}"); }}')
    return f"<style>{' '.join(rules)}</style>"


def check_html(report: Report, T: int, grammar: bool, note: str = "") -> str:
    """Return what the sentences were understood as, or their errors, and what is left to do.

    Args:
        report: of the story.
        T: of the model.
        grammar: whether the sentences describe objects: then each has chips, and the floor is below.
        note: why an action was refused, or what the model does not know.
    """
    rows, objects = [], {}
    for number, line in enumerate(report.lines, 1):
        if line.problem:
            rows.append(f'<li class="problem"><b>{number}</b><span>{_message(line.problem)}</span></li>')
        elif line.thing:
            objects[number] = line.thing
            rows.append(f"<li>{chips_html(number, line.thing)}</li>")
    n = len(report.lines)
    hint = "" if n == T else f" The model was trained on stories of {T} sentences; this one has {n}."
    status = "" if report.problem else f'<p class="ready">✓ Ready.{hint}</p>'
    if report.problem and all(not line.problem for line in report.lines):  # otherwise it is shown with its sentence
        status = problem_html(report.problem)
    status += problem_html(note) if note else ""
    chips = f'<ol class="chips">{"".join(rows)}</ol>' if rows else ""
    add = '<button type="button" class="chip" data-add="1" data-key="add">+ Add an object</button>'
    help = "<small>Click the floor to add an object. Drag objects, or move them with the arrow keys.</small>"
    plan = f'<div class="plan">{draw_plan(objects)}<p>{add} {help}</p></div>' if grammar else ""
    return f"{chips}{status}{plan}"


def chips_html(number: int, thing: ClevrObject) -> str:
    """Return the attributes of an object as lists to choose from, its place, and a button that removes it."""
    selects = []
    for attribute, options in ATTRIBUTES.items():
        value = getattr(thing, attribute)
        choices = "".join(f"<option{' selected' * (option == value)}>{option}</option>" for option in options)
        key = f"{attribute}-{number}"
        selects.append(
            f'<select class="chip" name="{attribute}" data-line="{number}" data-key="{key}" '
            f'aria-label="{attribute} of object {number}">{choices}</select>'
        )
    return (
        f'<b style="--colour:{COLOURS[thing.colour]}">{number}</b>{"".join(selects)}'
        f'<span class="place">({thing.x:.2f}, {thing.y:.2f})</span>'
        f'<button type="button" data-remove="{number}" aria-label="Remove object {number}">✕</button>'
    )


def problem_html(message: str) -> str:
    """Return an error message."""
    return f'<p class="problem" role="status">{_message(message)}</p>'


def pictures_html(samples: Samples) -> str:
    """Return the frames of the selected sample as buttons with captions, and thumbnails of all samples."""
    output, n = samples.output, len(samples.output.sentences)
    columns = 1 if n == 1 else 2 if n <= 4 else 3 if n <= 6 else 4
    figures = "".join(
        f'<button type="button" data-frame="{t}" aria-pressed="{str(t == samples.frame).lower()}" '
        f'title="Edit this picture">{picture_html(frame, output.aspect_ratio, sentence)}'
        f'<span class="caption"><b>{t}</b> {escape(sentence)}</span></button>'
        for t, (frame, sentence) in enumerate(zip(output.frames[0], output.sentences, strict=True), 1)
    )
    style = f"--n:{n}; --columns:{columns}; --rows:{-(-n // columns)}; --aspect:{output.aspect_ratio:.4f}"
    return f'<div class="strip" style="{style}">{figures}</div>{thumbnails_html(samples)}'


def thumbnails_html(samples: Samples) -> str:
    """Return a button with all frames of each sample, if there are several."""
    if len(samples.outputs) == 1:
        return ""
    buttons = "".join(
        f'<button type="button" data-sample="{number}" aria-pressed="{str(number == samples.number).lower()}">'
        f"<span>{samples.title(number)}</span>"
        f"{picture_html(np.concatenate(list(output.frames[0]), 1), output.aspect_ratio, '', SMALL)}</button>"
        for number, output in enumerate(samples.outputs, 1)
    )
    return f'<div class="thumbnails" role="group" aria-label="Samples">{buttons}</div>'


def picture_html(frame: np.ndarray, aspect_ratio: float, words: str, scale: int = SCALE) -> str:
    """Return a frame, uint8 (H, W, 3), at display size."""
    return f'<img src="{data_uri(enlarge(frame, scale, aspect_ratio))}" alt="{escape(words)}">'


def _message(text: str) -> str:
    """Escape a message and mark the first thing that it quotes."""
    return re.sub(r"(&#x27;|&quot;)(.*?)\1", r"<mark>\2</mark>", escape(text), count=1)


BARELY_VISIBLE, VISIBLE = 0.25, 1.0
"""Mean change of a frame in levels of 0 to 255."""


def compare(before: StoryOutput, after: StoryOutput, mask: np.ndarray | None = None) -> str:
    """Return a text that names the frames that an edit changed.

    Args:
        before, after: single samples of a story, one of which may be longer.
        mask: bool (H, W), the region that the edit is about; then the text compares the change inside and outside.
    """
    n = min(len(before.sentences), len(after.sentences))
    old, new = before.frames[0], after.frames[0]
    change = pixel_change(before.frames, after.frames, mask)
    changed = [t for t in range(1, n + 1) if not np.array_equal(old[t - 1], new[t - 1])]
    same = [t for t in range(1, n + 1) if t not in changed]
    parts = []
    if len(new) > len(old):
        parts.append(f"{numbered([len(new)])} is new.")
    if same:
        parts.append(f"{numbered(same)} did not change.")
    if changed and max(change.overall) < BARELY_VISIBLE:
        parts.append(f"{numbered(changed)} changed, but barely visibly.")
    elif changed:
        parts.append(f"{numbered(changed)} changed.")
        inside, outside = (float(x[[t - 1 for t in changed]].mean()) for x in (change.inside, change.outside))
        if inside > outside > 0:
            ratio = f"{inside / outside:.1f} times"
            parts.append(f"The change is {ratio} as large where the old and the new object are as elsewhere.")
    return " ".join(parts)


def amount_text(amount: float) -> str:
    """Describe a mean pixel change in levels of 0 to 255."""
    if amount == 0:
        return "none"
    word = "barely visible" if amount < BARELY_VISIBLE else "small" if amount < VISIBLE else "large"
    return f"{word} ({amount:.2f})"


def numbered(frames: Sequence[int]) -> str:
    """Return `Picture 1`, `Pictures 1 and 2` or `Pictures 1, 2 and 3`."""
    *first, last = map(str, frames)
    return f"Pictures {', '.join(first)} and {last}" if first else f"Picture {last}"


SOURCE_TITLES = {
    ZERO_CONTEXT: "Without the story context",
    OTHER_NOISE: "With other noise",
    OTHER_FILTERS: "With other gist filters",
    OTHER_MEMORY: "With another memory",
}
SHARES = ("Its own sentence", "Other sentences", "The story context h_0", "The noise")


def shares_html(share: np.ndarray) -> str:
    """Return how much a frame depends on each of SHARES, as bars."""
    bars = "".join(
        f'<span>{name}</span><i style="--share:{x:.0%}"></i><b>{x:.0%}</b>'
        for name, x in zip(SHARES, share, strict=True)
    )
    return f'<h3>This picture depends on</h3><div class="shares">{bars}</div>'


def heatmaps_html(output: StoryOutput, attribution: Attribution, t: int) -> str:
    """Return where frame `t`, from 1, changes without each input. `output` is one sample."""
    n, frame, maps = len(output.sentences), output.frames[0, t - 1 : t], attribution.maps[:, t - 1]
    titles = [f"Without sentence {k}" for k in range(1, n + 1)]
    titles += [SOURCE_TITLES.get(source, "") for source in attribution.sources[n:]]
    heatmaps = heatmap(np.repeat(frame, len(maps), 0), maps / heatmap_range(attribution.maps))
    figures = "".join(
        f"<figure>{picture_html(picture, output.aspect_ratio, '', 2)}"
        f"<figcaption>{title}: {amount_text(amount)}</figcaption></figure>"
        for title, picture, amount in zip(titles, heatmaps, maps.mean((1, 2)), strict=True)
        if title
    )
    return f'<h3>Where it changes without an input</h3><div class="heatmaps">{figures}</div>'


def shares(attribution: Attribution, n: int) -> np.ndarray:
    """Compute how a frame's changes divide into SHARES: (n, 4) in [0, 1] with rows that sum to 1, or 0 if none."""
    amounts = attribution.amounts
    sentences = amounts[:n]  # (n, n): sentence k, frame t
    parts = np.stack(
        [
            sentences.diagonal(),
            sentences.sum(0) - sentences.diagonal(),
            amounts[attribution.sources.index(ZERO_CONTEXT)],
            amounts[attribution.sources.index(OTHER_NOISE)],
        ],
        axis=1,
    )
    total = parts.sum(1, keepdims=True)
    return np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
