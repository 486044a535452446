"""What mkdocs does beside its plugins: the cards of what ships become pages; links out of docs/ stay in the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src/storygan/weights"
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
CARD = re.compile(r"\(\.\./src/storygan/weights/([\w-]+)/README\.md\)")
OUTSIDE = re.compile(r"\[([^]]+)\]\(\.\./([^)#]+)[^)]*\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add `cards/NAME.md` for every model and classifier that ships, and their pictures."""
    for card in sorted(WEIGHTS.glob("*/README.md")):
        text = FRONT_MATTER.sub("", card.read_text())
        files.append(File.generated(config, f"cards/{card.parent.name}.md", content=text))
    for picture in sorted(WEIGHTS.glob("*/*.png")):
        files.append(File.generated(config, f"cards/{picture.name}", content=picture.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to cards to their pages; of other files of the repository give the path."""
    if page.file.src_uri.startswith("cards/"):
        return markdown
    return OUTSIDE.sub(r"\1 (`\2` in the repository)", CARD.sub(r"(cards/\1.md)", markdown))
