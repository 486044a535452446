"""All metrics of all methods on one set of stories: one model or several, beside real frames and trivial baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from numpy import ndarray

from storygan.data.clevr.locations import GRID_STEP, SAFE_DISTANCE
from storygan.data.dataset import StoryDataset, open_split
from storygan.data.hub import resolve_dataset
from storygan.data.schema import splits
from storygan.evaluation import metrics
from storygan.evaluation.baselines import FramePool, build_pool, mean_image
from storygan.evaluation.bootstrap import RESAMPLES, Metrics, PerStory, concatenate, estimates
from storygan.evaluation.distances import COMPONENTS, MIN_STORIES, MIN_STORY_FID, distances, stories_per_side
from storygan.evaluation.labelled_frames import LabelledFrames, find_classifiers, labelled_frames_if_any
from storygan.evaluation.nearest_story import nearest_story_indices
from storygan.evaluation.predictions import Predictions, predict
from storygan.evaluation.r_precision import find_matcher, measure_r_precision
from storygan.evaluation.st_lpips import ST_LPIPS, measure_st_lpips
from storygan.evaluation.tables import LABEL_METRICS, OBJECT_METRICS
from storygan.models.attribute_classifier import AttributeClassifier
from storygan.models.storygan import StoryGAN
from storygan.progress import tqdm

BATCH = 16
"""Stories a batch of pixel metrics."""
DIVERSITY_STORIES = 50
"""Stories of which diversity and sensitivity are measured, at most."""
DIVERSITY_NOTE = f"diversity, sensitivity: the first {DIVERSITY_STORIES} stories, or all if there are fewer"


@dataclass(frozen=True)
class Measurement:
    """The metrics of N stories, by method."""

    pool: FramePool
    classifier_metrics: dict[str, dict[str, PerStory]]
    """Per story, by method and name; larger is better. Empty dictionaries without a classifier."""
    pixel_metrics: dict[str, dict[str, PerStory]]
    """Likewise, of pixels; ST-LPIPS among them, of which smaller is better."""
    table: dict[str, Metrics]
    """All metrics with their intervals, by method."""
    notes: list[str]
    """How they were measured, as text."""

    def per_story(self, method: str) -> dict[str, PerStory]:
        """Return the metrics of a method that have a value for each story, by name."""
        return self.classifier_metrics[method] | self.pixel_metrics[method]


def measure(
    dataset: StoryDataset,
    data: str | Path,
    generated: Mapping[str, ndarray | str],
    seed: int,
    classifiers: Sequence[str | Path] = (),
    device: torch.device | None = None,
    matcher: str | Path | None = None,
) -> Measurement:
    """Measure generated frames of a data set's N stories beside real frames and trivial baselines.

    Args:
        dataset: the stories with their real frames.
        data: folder of the data set; the mean image is that of its training split.
        generated: by method, uint8 frames (N, T, H, W, 3), or the name of a baseline to use instead.
        seed: of the bootstrap.
        classifiers: folders of the evaluation classifiers; empty: the shipped ones that fit the stories. The metrics of
            all but the first have `_2`, ... at the end of their names.
        device: of the classifier and the networks of KID and FID; None: CPU.
        matcher: folder of the matcher of R-precision; None: the shipped one if it fits the stories.

    Raises:
        UsageError: the generated frames do not fit the real ones, N < 2, or a classifier or the matcher does not fit.
        StoryganError: the data, the classifier or the matcher cannot be read.
    """
    truth = labelled_frames_if_any(dataset)
    evaluator, *others = find_classifiers(truth, classifiers, device)
    locations, labels = truth.supported_by(evaluator) if truth else (False, False)
    train = training_split(data, dataset)
    pool = build_pool(dataset.frames, mean_image(train or dataset), generated, nearest_stories(train, dataset))
    predictions, predicted = classify(evaluator, pool, truth, dataset.sentences)
    disagreements: list[str] = []
    for k, other in enumerate(others, 2):
        _, second = classify(other, pool, truth, dataset.sentences)
        disagreements += [
            f"classifier {k}: {_describe(other)}",
            *describe_disagreements(predicted, second, list(generated), k),
        ]
        for method, found in second.items():
            predicted[method] |= {f"{name}_{k}": metric for name, metric in found.items()}
    matched, matcher_note = measure_r_precision(pool, dataset.sentences, find_matcher(dataset.sentences, matcher), seed)
    for method, value in matched.items():
        predicted[method]["r_precision"] = value
    pixels = {method: _pixel_metrics(pool, method) for method in tqdm(pool.index, desc="pixels")}
    perceptual, perceptual_note = measure_st_lpips(pool, device)
    for method, value in perceptual.items():
        pixels[method][ST_LPIPS] = value
    table = {method: estimates(predicted[method] | pixels[method], seed) for method in pool.index}
    features = predictions.features if locations or labels else None
    for method, values in distances(pool, features, seed, device).items():
        table[method] |= values
    mean_note = (
        "of the training split" if train else "of the evaluated frames, as there is no training split of this size"
    )
    notes = [f"mean image: {mean_note}", *_notes(len(dataset), evaluator, locations, labels)]
    notes += [*disagreements, matcher_note, perceptual_note]
    return Measurement(pool, predicted, pixels, table, notes)


def measure_diversity(model: StoryGAN, stories: Sequence[Sequence[str]], seed: int) -> Metrics:
    """Measure diversity and sensitivity to noise on the first DIVERSITY_STORIES stories."""
    S = torch.from_numpy(model.encode(stories[:DIVERSITY_STORIES]))
    return estimates(metrics.diversity_metrics(model, S, seed), seed)


def classify(
    classifier: AttributeClassifier, pool: FramePool, truth: LabelledFrames | None, stories: Sequence[Sequence[str]]
) -> tuple[Predictions, dict[str, dict[str, PerStory]]]:
    """Predict the content of all frames; compute, by method, the metrics of what classifier and ground truth share."""
    locations, labels = truth.supported_by(classifier) if truth else (False, False)
    predictions = predict(classifier, pool, stories if locations else None)
    found: dict[str, dict[str, PerStory]] = {}
    for method, index in pool.index.items():
        found[method] = metrics.object_metrics(predictions.objects[method]) if locations else {}
        if truth and labels:
            predicted = predictions.labels[index]
            found[method] |= metrics.label_metrics(predicted, truth.labels.astype(bool), truth.label_names)
    return predictions, found


def describe_disagreements(
    first: Mapping[str, Mapping[str, PerStory]],
    second: Mapping[str, Mapping[str, PerStory]],
    systems: list[str],
    k: int,
) -> list[str]:
    """Return a line for each headline metric and pair of systems that the two classifiers rank differently."""
    lines = []
    for name in (*OBJECT_METRICS, *LABEL_METRICS):
        for a, b in combinations(systems, 2):
            if name in first[a] and name in second[a]:
                pairs = [[by[system][name].value for system in (a, b)] for by in (first, second)]
                if (pairs[0][0] - pairs[0][1]) * (pairs[1][0] - pairs[1][1]) < 0:
                    each = [f"{x:.3f} and {y:.3f}" for x, y in pairs]
                    lines.append(
                        f"the classifiers disagree on the ranking of {a} and {b} by {name}: {each[0]} by the first, "
                        f"{each[1]} by classifier {k}"
                    )
    return lines


def _describe(classifier: AttributeClassifier) -> str:
    """Return what a classifier is, and what it was trained on."""
    about = classifier.about
    trained = f"trained on {about.get('stories')} stories of {about.get('data')}, seed {about.get('seed')}"
    return f"{classifier.architecture}, {trained}"


def _pixel_metrics(pool: FramePool, method: str) -> dict[str, PerStory]:
    """Compute a method's pixel metrics in batches."""
    parts = [slice(start, start + BATCH) for start in range(0, len(pool.index[method]), BATCH)]
    found = [metrics.pixel_metrics(pool.select(method, part), pool.select("real_frames", part)) for part in parts]
    return {name: concatenate([values[name] for values in found]) for name in found[0]}


def training_split(data: str | Path, dataset: StoryDataset) -> StoryDataset | None:
    """Return the training split if its frames have the size of the evaluated ones."""
    if "train" not in splits(resolve_dataset(data)):
        return None
    train = open_split(data, "train")
    return train if train.size == dataset.size else None


def nearest_stories(train: StoryDataset | None, dataset: StoryDataset) -> ndarray | None:
    """Return the frames of the training stories nearest in text; None if the stories are of the training split."""
    if train is None or train.T != dataset.T or train.fingerprint == dataset.fingerprint:
        return None
    return train.batch(nearest_story_indices(dataset.sentences, train.sentences))


def _notes(N: int, classifier: AttributeClassifier, locations: bool, labels: bool) -> list[str]:
    """Return how the metrics were measured."""
    about = classifier.about
    notes = [f"in brackets: 95% interval over stories ({RESAMPLES} bootstrap resamples)"]
    if locations or labels:
        trained = f"trained on {about.get('stories')} stories of {about.get('data')}, split {about.get('split')}"
        notes.append(f"classifier {trained}; its errors show in the column of real frames")
    else:
        notes.append("no classifier for these stories: train one (storygan train-classifier), name it (--classifier)")
    if locations:
        notes.append(
            f"no_false_positives: no object at floor locations {GRID_STEP} apart, at least {SAFE_DISTANCE} from all "
            "objects so far"
        )
    if side := stories_per_side(N):
        notes.append(f"kid, fid: {side} stories of the second half against the real frames of {side} of the first half")
        notes.append(
            "intervals of fid cover the generated stories only, by a linear approximation; those of kid both sides"
        )
    else:
        notes.append(f"no kid, no fid: they need {2 * MIN_STORIES} stories")
    if side >= MIN_STORY_FID:
        notes.append(f"story_fid: the same stories, {COMPONENTS} principal components of the real stories")
    else:
        notes.append(
            f"no story_fid: it needs {2 * MIN_STORY_FID} stories, as it fits covariances of {COMPONENTS} components"
        )
    return notes
