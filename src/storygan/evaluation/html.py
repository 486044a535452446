"""Self-contained HTML pages: tables that can be sorted, and stories with images as data URIs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape

import numpy as np

from storygan import viz

STYLE = """
body { font: 15px/1.45 sans-serif; color: #222; margin: 1.5rem auto; padding: 0 1rem; max-width: 1480px }
.wide { overflow-x: auto }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
th, td { padding: .2rem .4rem; text-align: right; vertical-align: top; white-space: nowrap; font-size: 12px }
th:first-child, td:first-child, .story { text-align: left }
thead th { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f4f4f4 }
.samples tbody tr td, .samples th { text-align: left; background: #fff; vertical-align: middle }
.samples td + td { white-space: normal }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer }
th[aria-sort] button { text-decoration: underline }
"""
SORT = """
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.closest("th"), column = head.cellIndex, body = head.closest("table").tBodies[0];
  const sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
  const text = (row) => row.cells[column].textContent;
  const value = (row) => column ? parseFloat(text(row)) : NaN;
  body.append(...[...body.rows].sort((a, b) => {
    const x = value(a), y = value(b);
    if (isNaN(x) && isNaN(y)) return sign * text(b).localeCompare(text(a));
    return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
  }));
});
"""
"""Sorts the rows of a table by the column whose header is clicked: numbers, missing ones last, or names."""


def make_document(title: str, body: Sequence[str], script: str = "") -> str:
    """Return a page with a content security policy by which the browser fetches nothing, and runs only `script`."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        policy += f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    parts = [f"<h1>{escape(title)}</h1>", *body, *([f"<script>{script}</script>"] if script else [])]
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def html_table(cells: Sequence[Sequence[str]], sortable: bool = False) -> str:
    """Format cells, the first row the header, as a table that scrolls where it is too wide; `sortable` needs SORT."""
    head, *rows = cells
    button = "<button>{}</button>" if sortable else "{}"
    header = "".join(f"<th>{button.format(escape(cell))}</th>" for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>'


def html_list(items: Sequence[str]) -> str:
    """Format lines as a list."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def html_story(title: str, sentences: Sequence[str], rows: Mapping[str, np.ndarray], aspect_ratio: float = 1.0) -> str:
    """Format a story as a table: a row for each name with its frames, then the sentences under them.

    Args:
        title: of the story.
        sentences: T sentences.
        rows: by name, uint8 frames (T, H, W, 3).
        aspect_ratio: display width over height of a frame.
    """
    lines = []
    for name, frames in rows.items():
        pictures = (
            f'<td><img src="{viz.data_uri(viz.enlarge(frame, aspect_ratio=aspect_ratio))}" '
            f'alt="{escape(f"{name}, {title}, frame {t}")}"></td>'
            for t, frame in enumerate(frames, 1)
        )
        lines.append(f"<tr><th>{escape(name)}</th>{''.join(pictures)}</tr>")
    lines.append("<tr><td></td>" + "".join(f"<td>{escape(sentence)}</td>" for sentence in sentences) + "</tr>")
    table = f'<table class="samples"><tbody>{"".join(lines)}</tbody></table>'
    return f'<h3>{escape(title)}</h3><div class="wide">{table}</div>'
