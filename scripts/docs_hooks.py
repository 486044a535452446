"""Let `mkdocs build` build the pages that scripts/docs_pages.py writes."""

import runpy
from pathlib import Path
from typing import Any

PAGES = Path(__file__).with_name("docs_pages.py")


def on_config(config: Any) -> Any:
    """Write the pages and set their folder."""
    runpy.run_path(str(PAGES), run_name="__main__")
    config.docs_dir = str(PAGES.parents[1] / "build/docs")
    return config
