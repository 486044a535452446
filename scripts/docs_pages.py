"""Write the pages of the site into build/docs: python scripts/docs_pages.py (`make docs` does).

A page is a Markdown file of docs/, or the card of a shipped model or classifier, which becomes `cards/NAME.md`.
Formulas ($...$, and $$...$$ on lines of its own) become MathML, links are changed to lead to pages of the site, and
`<!-- fields: CLASS -->` becomes the table of a class of config.py.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
DOCS, WEIGHTS, SITE = ROOT / "docs", ROOT / "src/storygan/weights", ROOT / "build/docs"
LEFT_OUT = {"model-cards"}  # the shipped cards are generated from them
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`[^`\n]+`)")
LINK = re.compile(r"(!?)\[((?:[^]\[]|\[[^]]*\])*)\]\((?!\w+:)([^)#\s]+)([^)]*)\)")
DISPLAY_MATH = re.compile(r"^\$\$\n(.+?)\n\$\$$", re.MULTILINE | re.DOTALL)
INLINE_MATH = re.compile(r"(?<!\$)\$(?=\S)([^$\n]+?)(?<=\S)\$(?!\$)")
FIELDS = re.compile(r"<!-- fields: (\w+) -->")


def main() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    sources = [path for path in DOCS.rglob("*") if path.is_file() and path.relative_to(DOCS).parts[0] not in LEFT_OUT]
    for source in [*sources, *WEIGHTS.glob("*/README.md"), *WEIGHTS.glob("*/*.png")]:
        page = SITE / site_path(source)
        page.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            page.write_text(markdown(source))
        else:
            shutil.copy(source, page)


def site_path(file: Path) -> str | None:
    """Return the place in the site of a file of the repository; None if it has none."""
    if file.is_relative_to(DOCS):
        return str(file.relative_to(DOCS))
    if file.parent.parent == WEIGHTS and file.name == "README.md":
        return f"cards/{file.parent.name}.md"
    return f"cards/{file.name}" if file.parent.parent == WEIGHTS else None


def markdown(source: Path) -> str:
    """Return the text of a page."""
    text = FRONT_MATTER.sub("", source.read_text())
    text = FIELDS.sub(lambda match: fields_table(match[1]), text)
    parts = FENCE.split(text)  # every other one is a block of code
    parts[::2] = [LINK.sub(lambda match: link(match, source), with_math(part)) for part in parts[::2]]
    return "".join(parts)


def with_math(text: str) -> str:
    """Return text with its formulas as MathML."""
    text = DISPLAY_MATH.sub(lambda match: f"<div>{convert(' '.join(match[1].split()), display='block')}</div>", text)
    parts = CODE.split(text)
    parts[::2] = [INLINE_MATH.sub(lambda match: f"<span>{convert(match[1])}</span>", part) for part in parts[::2]]
    return "".join(parts)


def link(match: re.Match[str], source: Path) -> str:
    """Return a link or a picture with its target in the site; of other files of the repository, the path."""
    picture, text, target, rest = match.groups()
    file = Path(os.path.normpath(source.parent / target))
    here, there = site_path(source), site_path(file)
    if not file.exists() or (picture and there is None):
        raise FileNotFoundError(f"{source}: {target}")
    if there is not None:
        assert here is not None
        return f"{picture}[{text}]({os.path.relpath(there, Path(here).parent)}{rest})"
    return f"{text} (`{file.relative_to(ROOT)}` in the repository)"


def fields_table(name: str) -> str:
    """Return the fields of a class of config.py as a table: name, values, default, and the docstring below each."""
    module = ast.parse((ROOT / "src/storygan/config.py").read_text()).body
    classes = {node.name: node.body for node in module if isinstance(node, ast.ClassDef)}
    aliases = {ast.unparse(node.targets[0]): ast.unparse(node.value) for node in module if isinstance(node, ast.Assign)}
    rows = ["| field | values | default | meaning |", "|---|---|---|---|"]
    for node, below in zip(classes[name], [*classes[name][1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and node.value:
            docstring = below.value if isinstance(below, ast.Expr) else None
            meaning = " ".join(str(docstring.value).split()) if isinstance(docstring, ast.Constant) else ""
            kind = ast.unparse(node.annotation)
            values, default = values_of(aliases.get(kind, kind)), default_of(ast.unparse(node.value))
            rows.append(f"| `{ast.unparse(node.target)}` | {values} | {default} | {meaning} |")
    return "\n".join(rows)


def values_of(annotation: str) -> str:
    """Return the values that a field accepts, from its annotation."""
    if choices := re.fullmatch(r"Literal\[(.*)\]", annotation):
        return ", ".join(f"`{choice.strip()}`" for choice in choices[1].replace("'", "").split(","))
    names = {"dict[str, StageConfig]": "StageConfig by name", "list[int]": "ints", "tuple[float, float]": "two floats"}
    return names.get(annotation, annotation.replace(" | None", " or null"))


def default_of(source: str) -> str:
    """Return a default as in YAML; nothing for a nested class, whose fields have their own."""
    if factory := re.fullmatch(r"field\(default_factory=(\w+)\)", source):
        return {"dict": "`{}`", "list": "`[]`"}.get(factory[1], "")
    words = {"None": "null", "True": "true", "False": "false", "''": '""'}
    number = source.replace("_", "") if source[0].isdigit() else source
    return f"`{words.get(source, number.strip(chr(39)))}`"


if __name__ == "__main__":
    main()
