"""Model cards: README.md of a model folder, with front matter for the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from storygan.config import ModelConfig, TrainConfig
from storygan.errors import UsageError, reason
from storygan.files import parse_yaml, read_text

SENTENCES = {
    "clevr": "Sentences follow the CLEVR-SV grammar: `large red rubber cube at (-1.8, 1.5)`.",
    "sentence": "Sentences are plain English, which needs `pip install 'storygan[sentence]'`.",
}
"""By kind of sentence encoder."""
RESULTS = "## Evaluation\n"


def make_card(
    config: ModelConfig,
    encoder: str = "",
    training: TrainConfig | None = None,
    iterations: int = 0,
    stories: int = 0,
    time: str = "",
    license: str = "",
) -> str:
    """Write a model card.

    Args:
        config: of the model.
        encoder: kind of its sentence encoder; empty: it has none.
        training: configuration of the training run; None: unknown, and the next three are ignored.
        iterations: number of iterations.
        stories: number of training stories.
        time: duration and machine, such as `12 minutes on 2 cores (x86_64)`.
        license: the hub's identifier, such as `cc-by-sa-4.0`; empty: `other`, not stated, as the training data decide.

    Returns:
        Markdown with YAML front matter: license, library, task, language and tags.
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
    trained = "The training of this model is not documented.\n"
    if training is not None:
        dump = yaml.safe_dump(_without_folders(training), sort_keys=False)
        trained = f"{iterations:,} iterations on {stories:,} stories, in {time}.\n"
        if training.init_from:
            trained += f"It was initialized from `{_name(training.init_from)}`.\n"
        trained += f"\n```yaml\n{dump}```\n"
    size = config.image_size
    return f"""---
{data.to_yaml()}
---

# StoryGAN, variant `{config.variant}`

Generates {config.T} frames of {size}x{size} from a story of {config.T} sentences, one frame per sentence, with the
generator of StoryGAN (Li et al., CVPR 2019, https://arxiv.org/abs/1812.02784).
{SENTENCES.get(encoder, "It takes sentence vectors, not sentences.")}

```python
from storygan import StoryGAN

model = StoryGAN.from_pretrained("...")  # this folder, or its id on the hub
output = model.generate(story, num_samples=3)  # story: {config.T} sentences
output.save("story.png")  # output.images: PIL; output.frames: uint8 (3, {config.T}, {size}, {size}, 3)
```

## Training

{trained}
{RESULTS}
Not evaluated. `storygan evaluate --model FOLDER --data DATA --card` writes a table here.

## Limitations

Frames have {size}x{size} pixels. The model was trained on stories of {config.T} sentences; in longer ones, earlier
content fades. It generates only content like that of its training data. The discriminators are not included.
"""


def _without_folders(training: TrainConfig) -> dict[str, Any]:
    """Return the configuration without folders in paths, which are private, without None and without zero weights."""

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
    """Return the last part of a path: `clevr` for `/home/me/data/clevr`, but `a/model` for `runs/a/model`."""
    parts = Path(path).parts
    return "/".join(parts[-2:]) if parts[-1:] == ("model",) else Path(path).name


def read_card(path: Path) -> str:
    """Read a card. Raise UsageError if it cannot be read, or its front matter is not that of a model card."""
    try:
        card = read_text(path)
        _parsed(card)
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}: name a model folder") from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is not a valid model card: {reason(error)}") from error
    return card


def add_results(card: str, report: Mapping[str, Any]) -> str:
    """Write evaluation results into the text and the front matter of a card, and return it.

    Args:
        card: a model card. Its section `Evaluation` is replaced, or added at the end.
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
    table += [[f"`{name}`", *(metric_cell(values.get(name)) for values in rows.values())] for name in names]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def add_metadata(card: str, report: Mapping[str, Any]) -> str:
    """Write evaluation results into the front matter of a card only, and return it."""
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
    """Parse a card. Raise ValueError, TypeError or yaml.YAMLError if the front matter is not valid."""
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    matter = REGEX_YAML_BLOCK.search(card)
    if matter is None:
        return ModelCard(f"---\nlibrary_name: storygan\n---\n\n{card}")
    parse_yaml(matter.group(2))  # bounded, as the hub's reader is not
    return ModelCard(card)


def metric_cell(value: Mapping[str, float] | None) -> str:
    return "" if value is None else f"{value['mean']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
