"""Write the tables of docs/results and docs/model-cards anew: python scripts/result_tables.py.

A table stands below a line `<!-- table FILE METRIC ... -->` (all metrics where none is named); FILE is in docs/results,
and is what `storygan evaluate --json` printed.
"""

import json
import re
from pathlib import Path

from storygan.evaluation.baselines import ROWS
from storygan.models.model_card import results_table

DOCS = Path(__file__).parents[1] / "docs"
TABLE = re.compile(r"(<!-- table (\S+)((?: \w+)*) -->\n\n)(?:\|.*\n)*\n?")


def anew(match: re.Match[str]) -> str:
    """The line, and the table of what the file holds now."""
    line, file, metrics = match.groups()
    report = json.loads((DOCS / "results" / file).read_text())
    return f"{line}{results_table(report, metrics.split() or None, ROWS)}\n\n"


def main() -> None:
    for page in [*DOCS.glob("results/*.md"), *DOCS.glob("model-cards/*.md")]:
        page.write_text(TABLE.sub(anew, page.read_text()))


if __name__ == "__main__":
    main()
