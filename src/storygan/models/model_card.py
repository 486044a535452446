"""The model card: README.md of a model folder, with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from storygan.config import ModelConfig, TrainConfig
from storygan.errors import UsageError, reason
from storygan.files import parse_yaml, read_text

READS = {
    "clevr": "Sentences are CLEVR-SV's: `large red rubber cube at (-1.8, 1.5)`.",
    "sentence": "Sentences are plain English; whoever loads the model needs `pip install 'storygan[sentence]'`.",
}
RESULTS = "## How good it is\n"


def make_card(
    config: ModelConfig,
    encoder: str = "",
    training: TrainConfig | None = None,
    iterations: int = 0,
    stories: int = 0,
    time: str = "",
    license: str = "",
) -> str:
    """A card from what is known.

    Args:
        config: of the model.
        encoder: kind of its sentence encoder, where it has one.
        training: how it was trained, where that is known, and
        iterations: for how long,
        stories: on how many,
        time: by the clock and on what machine, `12 minutes on 2 cores (x86_64)`.
        license: the hub's name of it, such as `cc-by-sa-4.0`. Only who shares a model can know what its data allow, so
            without one the card says `other`, not stated.

    Returns:
        Markdown with YAML front matter: licence, library, task, language and tags.
    """
    tags = ["story-visualization", "text-to-image", "gan", config.variant]
    if encoder == "clevr":
        tags.append("clevr-sv")
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        language="en",
        license=license or "other",
        license_name=None if license else "not-stated",
        library_name="storygan",
        pipeline_tag="text-to-image",
        tags=tags,
    )
    trained = "It is not known how this model was trained.\n"
    if training is not None:
        dump = yaml.safe_dump(_without_folders(training), sort_keys=False)
        trained = f"{iterations:,} iterations on {stories:,} stories, in {time}.\n"
        if training.init_from:
            trained += f"It began with the weights of `{_name(training.init_from)}`, whose training comes on top.\n"
        trained += f"\n```yaml\n{dump}```\n"
    return f"""---
{data.to_yaml()}
---

# StoryGAN, variant `{config.variant}`

Draws {config.T} frames of 64x64 from a story of {config.T} sentences, one a sentence, as the generator of StoryGAN
(Li et al., CVPR 2019, https://arxiv.org/abs/1812.02784).
{READS.get(encoder, "It takes sentence vectors, not sentences.")}

```python
from storygan import StoryGAN

model = StoryGAN.from_pretrained("...")  # this folder, or where it is on the hub
frames = model.generate(story, samples=3)  # story: {config.T} sentences; uint8 (3, {config.T}, 64, 64, 3)
```

## What it was trained on, and for how long

{trained}
{RESULTS}
Not measured. `storygan evaluate --model FOLDER --data DATA --card` measures it and writes the table here.

## Limits

64x64 pixels, stories of exactly {config.T} sentences, and nothing that its training data do not show. The
discriminators are not part of it.
"""


def _without_folders(training: TrainConfig) -> dict[str, Any]:
    """Return the configuration with the last part of each path alone: where somebody keeps files is not for the hub.
    Networks that do not learn and terms without a weight are left out."""

    def named(values: dict[str, Any], part: str = "") -> dict[str, Any]:
        kept = {name: value for name, value in values.items() if value is not None and (part != "loss" or value)}
        return {name: named(value, name) if isinstance(value, dict) else value for name, value in kept.items()}

    fields = named(training.to_dict())
    fields["data"]["path"] = _name(training.data.path)
    for name in ("run", "init_from", "aux_classifier"):
        if fields[name]:
            fields[name] = _name(fields[name])
    return fields


def _name(path: str) -> str:
    """`clevr` of `/home/me/data/clevr`; of a run's model folder, `runs/a/model`, `a/model`."""
    parts = Path(path).parts
    return "/".join(parts[-2:]) if parts[-1:] == ("model",) else Path(path).name


def read_card(path: Path) -> str:
    """A card that results can be added to. UsageError where it cannot be read, or its front matter is not a card's."""
    try:
        card = read_text(path)
        _parsed(card)
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}: give a model folder") from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is no model card whose results can be written: {reason(error)}") from error
    return card


def add_results(card: str, report: Mapping[str, Any]) -> str:
    """The card with what `storygan evaluate --json` found, in its text and in its front matter.

    Args:
        card: a card with the heading `How good it is`; its section is replaced, or added at the end.
        report: `Report.to_dict()`; its row `model` is this model.
    """
    how = f"{report['stories']} stories of {report['data']}, split {report['split']}, seed {report['seed']}"
    if report.get("id_prefix"):
        how += f", the stories whose ids begin with {report['id_prefix']}"
    section = f"{RESULTS}\nOn {how}, with 95% bootstrap intervals:\n\n{results_table(report)}\n\n"
    before, _, after = card.partition(RESULTS)
    _, heading, rest = after.partition("\n## ")
    text = f"{before}{section}## {rest}" if heading else f"{before.rstrip()}\n\n{section}"
    return add_metadata(text.rstrip() + "\n", report)


def results_table(
    report: Mapping[str, Any], metrics: Sequence[str] | None = None, titles: Mapping[str, str] | None = None
) -> str:
    """Markdown: a line for each of the metrics (all that the model's row has), a column for each row of the report; the
    header's first cell says on how many stories and with which seed."""
    rows = report["metrics"]
    names = list(rows["model"]) if metrics is None else metrics
    header = f"{report['stories']:,} stories, seed {report['seed']}"
    table = [[header, *((titles or {}).get(name, name) for name in rows)], ["---"] * (len(rows) + 1)]
    table += [[f"`{name}`", *(_cell(values.get(name)) for values in rows.values())] for name in names]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def add_metadata(card: str, report: Mapping[str, Any]) -> str:
    """The same, in the front matter alone: for a card whose text says it in its own way."""
    from huggingface_hub import EvalResult

    values = report["metrics"]["model"]
    parsed = _parsed(card)
    parsed.data.model_name = "storygan"
    parsed.data.eval_results = [
        EvalResult(
            task_type="text-to-image",
            dataset_type=report["data"],
            dataset_name=report["data"],
            dataset_split=report["split"],
            dataset_config=report.get("id_prefix") or None,
            metric_type=name,
            metric_value=round(value["mean"], 4),
        )
        for name, value in values.items()
    ]
    return str(parsed)


def _parsed(card: str) -> Any:
    """The hub's ModelCard. ValueError, TypeError, yaml.YAMLError: the front matter is not one that the hub reads."""
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    matter = REGEX_YAML_BLOCK.search(card)
    if matter is None:
        return ModelCard(f"---\nlibrary_name: storygan\n---\n\n{card}")
    parse_yaml(matter.group(2))  # bounded, as the hub's reader is not
    return ModelCard(card)


def _cell(value: Mapping[str, float] | None) -> str:
    return "" if value is None else f"{value['mean']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
