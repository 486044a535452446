"""A comparison as one HTML file that needs nothing else: pictures are data URIs, curves inline SVG, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from storygan import viz
from storygan.compare.result import Comparison
from storygan.data.images import data_uri

STYLE = """
body { font: 15px/1.45 sans-serif; color: #222; margin: 1.5rem auto; padding: 0 1rem; max-width: 1480px }
.wide { overflow-x: auto }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
th, td { padding: .2rem .4rem; text-align: right; vertical-align: top; white-space: nowrap; font-size: 12px }
th:first-child, td:first-child, .story { text-align: left }
thead th { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f4f4f4 }
.drawings td, .drawings th { padding: .15rem .3rem; text-align: left; background: #fff }
.drawings .story { padding-top: .7rem; white-space: normal; font-weight: normal }
.drawings img { display: block; image-rendering: pixelated }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The browser fetches nothing."""


def make_page(
    comparison: Comparison, stories: Sequence[Sequence[str]], drawings: dict[str, np.ndarray], curves: str
) -> str:
    """The page.

    Args:
        comparison: what was found.
        stories: n stories of T sentences.
        drawings: by column, uint8 frames (n or more, T, H, W, 3): of these stories first.
        curves: an SVG.
    """
    title = escape(comparison.title)
    body = [f"<h1>{title}</h1>", "<h2>The same stories, drawn by each</h2>", _drawings(stories, drawings)]
    for table in comparison.tables():
        body += [f"<h2>{escape(table.title)}</h2>", html_table(table.cells)]
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    body += ["<h2>Training curves</h2>", f'<div class="wide">{curves}</div>']
    body += ["<h2>How it was measured</h2>", f"<ul>{notes}</ul>"]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def html_table(cells: Sequence[Sequence[str]]) -> str:
    """Cells, the first row a header -> a table that scrolls where it is too wide."""
    head, *rows = cells
    header = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table></div>'


def _drawings(stories: Sequence[Sequence[str]], drawings: dict[str, np.ndarray]) -> str:
    """Two rows a story: its sentences, and under each column's name its frames side by side."""
    head = "".join(f"<th>{escape(name)}</th>" for name in drawings)
    rows = []
    for n, story in enumerate(stories):
        told = "; ".join(f"{t}. {sentence}" for t, sentence in enumerate(story, 1))
        rows.append(f'<tr><th class="story" colspan="{len(drawings)}">{escape(told)}</th></tr>')
        pictures = (
            _picture(viz.strips(frames[n : n + 1]), f"{name}: story {n + 1}") for name, frames in drawings.items()
        )
        rows.append("<tr>" + "".join(f"<td>{picture}</td>" for picture in pictures) + "</tr>")
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table class="drawings"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _picture(image: np.ndarray, alt: str) -> str:
    """uint8 (h, w, 3) -> an <img> with the PNG in it."""
    height, width = image.shape[:2]
    return f'<img src="{data_uri(image)}" width="{width}" height="{height}" alt="{escape(alt)}">'
