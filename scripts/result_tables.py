"""Regenerate the tables of docs/results, docs/model-cards and docs/performance.md: python scripts/result_tables.py.

A table follows a line `<!-- table FILE METRIC ... -->`; FILE, in docs/results, is the output of `storygan evaluate
--json`. Without a METRIC, the table has all metrics by their full names. With some, it is a headline table, with short
names and a note below that states their conventions. After `<!-- speed FILE -->` follows the table of the output of
`benchmarks/speed.py --json FILE`; where there is no such file, the table stays. After `<!-- leaderboard -->` follow the
tables of leaderboard.json; after `<!-- distances PART -->`, that of a part of distances.json.
"""

import json
import re
import sys
from pathlib import Path

from storygan.evaluation.baselines import METHODS
from storygan.evaluation.tables import SHORT_NAMES
from storygan.models.model_card import metric_cell, results_table

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import distance_faults
import timing

DOCS = Path(__file__).parents[1] / "docs"
NOTE = "Conventions: "
TABLE = re.compile(rf"(<!-- table (\S+)((?: \w+)*) -->\n\n)(?:\|.*\n)*\n?(?:{NOTE}.*\n\n?)?")
SPEED = re.compile(r"(<!-- speed (\S+) -->\n\n)(?:\|.*\n)*(?:\n.* Measured on .*\n)?")
DISTANCES = re.compile(r"(<!-- distances (\w+) -->\n\n)(?:\|.*\n)*\n?")
LEADERBOARD = re.compile(r"(<!-- leaderboard -->\n\n)(?:\|.*\n|\n)*")


def updated(match: re.Match[str]) -> str:
    """Return the marker line with the table of the file's present values."""
    marker, file, names = match.groups()
    report, metrics = json.loads((DOCS / "results" / file).read_text()), names.split()
    table = results_table(report, metrics or None, METHODS) + "\n\n"
    if short := [name for name in metrics if name in SHORT_NAMES]:
        for name in short:
            table = table.replace(f"`{name}`", f"`{SHORT_NAMES[name][0]}`")
        conventions = (f"`{SHORT_NAMES[name][0]}` is `{name}`, {SHORT_NAMES[name][1]}" for name in short)
        table += f"{NOTE}{'; '.join(conventions)}.\n\n"
    return marker + table


def speed(match: re.Match[str]) -> str:
    """Return the marker line with the table of the file's present values."""
    file = DOCS / "results" / match[2]
    return match[1] + timing.table(json.loads(file.read_text())) if file.exists() else match[0]


def leaderboard(match: re.Match[str]) -> str:
    """Return the marker line with a table for each data set of leaderboard.json, in the order of its rows."""
    lines = []
    for title, board in json.loads((DOCS / "results/leaderboard.json").read_text()).items():
        names = [f"`{SHORT_NAMES.get(name, (name,))[0]}`" for name in board["metrics"]]
        header = [title, *names, "version", "training seeds", "training", "command"]
        lines += [header, ["---"] * len(header)]
        for row in board["rows"]:
            values = json.loads((DOCS / "results" / row["file"]).read_text())["metrics"][row["method"]]
            about = [str(row.get(name, "")) for name in ("version", "seeds", "hours", "command")]
            about[-1] = about[-1] and f"`{about[-1]}`"
            lines.append([row["name"], *(metric_cell(values.get(name)) for name in board["metrics"]), *about])
        lines.append([])
    return match[1] + "".join(f"| {' | '.join(cells)} |\n" if cells else "\n" for cells in lines)


def distances(match: re.Match[str]) -> str:
    """Return the marker line with a table of one part of distances.json: rows are changes, columns the candidates."""
    part = json.loads((DOCS / "results/distances.json").read_text())[match[2]]
    splits = {name: found["splits"] for name, found in part.items()}
    lines = [["KID", *(f"{name} ({part[name]['stories']})" for name in splits)]]
    lines.append(["---", *["---:"] * len(splits)])
    for change in next(iter(splits.values()))[0]:
        values = [[split[change]["kid"] for split in found] for found in splits.values()]
        lines.append([change, *map(spread, values)])
    if match[2] == "faults":
        orders = [
            [distance_faults.order({name: value["kid"] for name, value in split.items()}) for split in found]
            for found in splits.values()
        ]
        lines.append(["**pairs in the right order**", *(f"**{spread(found)}**" for found in orders)])
    return match[1] + "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n"


def spread(values: list[float]) -> str:
    """Return the mean, and the lowest and highest value if there are several."""
    mean = sum(values) / len(values)
    return f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else f"{mean:.3f}"


def main() -> None:
    for page in [*DOCS.glob("results/*.md"), *DOCS.glob("model-cards/*.md")]:
        text = DISTANCES.sub(distances, LEADERBOARD.sub(leaderboard, TABLE.sub(updated, page.read_text())))
        page.write_text(text)
    page = DOCS / "performance.md"
    page.write_text(SPEED.sub(speed, page.read_text()))


if __name__ == "__main__":
    main()
