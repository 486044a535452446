"""StoryGAN: story encoder, context encoder and image generator, with the sentence encoder that they were trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from storygan.config import ModelConfig
from storygan.errors import StoryganError, UsageError, reason, require_whole
from storygan.files import atomic_write, parse_json, read_file, read_text
from storygan.models.baselines import CONTEXTS
from storygan.models.image_generator import ImageGenerator
from storygan.models.initialization import initialize_weights
from storygan.models.model_card import make_card
from storygan.models.model_folder import resolve_model
from storygan.models.noise import Noise, seeded
from storygan.models.story_encoder import D, StoryEncoder
from storygan.seal import checked, seal
from storygan.text.encoder import SentenceEncoder, load_sentence_encoder

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo


FRAMES = 256
"""Frames that are drawn at once: the same batches give the same pixels."""
Item = TypeVar("Item")


def batches(N: int, T: int) -> list[slice]:
    """The rows 0 .. N - 1 of stories of T frames, `FRAMES` at a time, or a story."""
    batch = max(1, FRAMES // T)
    return [slice(n, n + batch) for n in range(0, N, batch)]


def with_bar(items: Sequence[Item], unit: str, least: int = 2) -> Iterator[Item]:
    """The items, with a bar on stderr where there are at least so many, and where somebody sees it."""
    if len(items) < least:
        return iter(items)
    from tqdm import tqdm  # late: most drawings need none

    shown: Iterable[Item] = tqdm(items, desc="draw", unit=unit, disable=None)
    return iter(shown)


Story = Sequence[str]
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
MAX_WEIGHTS = 2**31
"""Bytes of a file of weights; ours have 5 MB, and in fp32 10 MB."""
MAX_SAMPLES = 10_000
"""Drawings of one story; those of 4 frames are 500 MB."""


def to_frames(X: Tensor) -> Tensor:
    """Images (..., 3, H, W) in [-1, 1] -> uint8 frames (..., H, W, 3)."""
    return ((X + 1) * 127.5).round().clamp(0, 255).byte().movedim(-3, -1)


def to_uint8(X: Tensor) -> np.ndarray:
    """The same as an array."""
    return to_frames(X).cpu().numpy()


def read_model_config(path: Path) -> tuple[ModelConfig, float | None]:
    """Read `config.json`: the configuration, and the display aspect ratio, None in a folder of version 0.1.

    Version 0.1 called the noise distribution `circle` by another name.
    """
    values = parse_json(read_text(path))
    if values.get("noise") == "circles":
        values["noise"] = "circle"
    aspect_ratio = float(values.pop("aspect_ratio")) if "aspect_ratio" in values else None
    if aspect_ratio is not None and not 0.1 <= aspect_ratio <= 10:
        raise ValueError(f"aspect_ratio is {aspect_ratio}: it must be from 0.1 to 10")
    return ModelConfig(**values), aspect_ratio


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """No gradients, batch norm by its running statistics; the model's own mode comes back afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def require_fit(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raise ValueError with the first name that is missing, not known or of another shape."""
    for name, tensor in expected.items():
        if name not in state:
            raise ValueError(f"it has no {name!r}, which its config.json asks for")
        if state[name].shape != tensor.shape:
            shapes = f"{tuple(state[name].shape)}, and its config.json asks for {tuple(tensor.shape)}"
            raise ValueError(f"the shape of {name!r} is {shapes}")
    for name in state:
        if name not in expected:
            raise ValueError(f"it has a {name!r}, which its config.json does not know")


def encode_stories(encoder: SentenceEncoder, stories: Sequence[Story]) -> np.ndarray:
    """B stories of T sentences -> float32 sentence vectors (B, T, 128). UsageError where one is empty or unreadable."""
    flat = [sentence for story in stories for sentence in story]
    if not all(sentence.strip() for sentence in flat):
        raise UsageError("a sentence is empty: say what its frame shows")
    return encoder.encode(flat).reshape(len(stories), -1, D)


class StoryGAN(nn.Module):
    """The generator of the paper (Li et al., CVPR 2019) or of one of its baselines (`config.variant`).

    `forward` takes sentence vectors and noise and is what is trained; `generate` takes strings and gives pictures.

    Args:
        config: shape of the networks.
        sentence_encoder: makes `s_t` from strings; saved with the model. `generate` needs it, `forward` does not.
    """

    def __init__(self, config: ModelConfig, sentence_encoder: SentenceEncoder | None = None) -> None:
        super().__init__()
        self.config = config
        self.sentence_encoder = sentence_encoder
        self.aspect_ratio = 1.0  # of a frame on display, width over height; 4/3 for CLEVR-SV
        self.card = ""  # text of the model card, README.md in the model folder; empty: one is made when it is saved
        self.story_encoder = StoryEncoder(config.T)
        self.context_encoder = CONTEXTS[config.variant](config.noise_dim)
        self.image_generator = ImageGenerator()
        initialize_weights(self)

    def forward(
        self, S: Tensor, noise: Noise, frame_idx: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw stories.

        Args:
            S: (B, T, 128) sentence vectors.
            noise: for B stories.
            frame_idx: (B, n) int64, from 0, which n frames of each story to generate; None: all T.

        Returns:
            `X_hat` (B, n, 3, 64, 64) in [-1, 1], and `h_0`, `mu`, `log_sigma2`, each (B, 128).
        """
        h_0, mu, log_sigma2 = self.story_encoder(S, noise.eps_0)
        o = self.context_encoder(S, noise.eps, h_0, noise.g_0)  # (B, T, 128, 4, 4)
        if frame_idx is not None:
            o = o[torch.arange(len(o), device=o.device)[:, None], frame_idx]
        return self.frames(o), h_0, mu, log_sigma2

    def frames(self, o: Tensor) -> Tensor:
        """Gists (B, n, 128, 4, 4) -> frames (B, n, 3, 64, 64) in [-1, 1]."""
        return self.image_generator(o.flatten(0, 1)).unflatten(0, o.shape[:2])

    def require_story(self, story: Story) -> None:
        """UsageError unless it is T sentences."""
        if isinstance(story, str):
            raise UsageError("a story is a list of sentences; this one is a string")
        if len(story) != self.config.T:
            raise UsageError(f"this model draws stories of {self.config.T} sentences; this one has {len(story)}")

    @torch.no_grad()
    def generate(self, stories: Story | Sequence[Story], samples: int = 1, seed: int = 0) -> np.ndarray:
        """Draw pictures from sentences. The same seed gives the same pictures.

        Args:
            stories: one story (T strings), or several.
            samples: drawings of each story, each from other noise.
            seed: of the noise.

        Returns:
            uint8 frames (N, T, 64, 64, 3), N = stories x samples, the samples of a story one after the other.

        Raises:
            UsageError: where a story has not T sentences, the sentence encoder does not know a word, or a number is
                out of its range.
        """
        one = not stories or isinstance(stories, str) or isinstance(stories[0], str)
        told: list[Story] = [stories] if one else list(stories)  # type: ignore[list-item]
        for story in told:
            self.require_story(story)
        require_whole("samples", samples, 1, MAX_SAMPLES)
        S = torch.from_numpy(self.encode(told)).repeat_interleave(samples, dim=0)
        noise = Noise.draw(len(S), self.config, seeded(seed))
        return self.draw(S, noise)

    def draw(self, S: Tensor, noise: Noise) -> np.ndarray:
        """(N, T, 128) sentence vectors and noise -> uint8 frames (N, T, 64, 64, 3), in evaluation mode.

        With a progress bar where it takes more than one batch.
        """
        device, parts = next(self.parameters()).device, []
        with evaluation_mode(self):
            for rows in with_bar(batches(*S.shape[:2]), "batch"):
                X_hat, *_ = self(S[rows].to(device), noise[rows].to(device))
                parts.append(to_uint8(X_hat))
        return np.concatenate(parts)

    def encode(self, stories: Sequence[Story]) -> np.ndarray:
        """B stories of T sentences -> float32 sentence vectors (B, T, 128). UsageError where one is empty, or cannot be
        read."""
        if self.sentence_encoder is None:
            raise StoryganError("this model has no sentence encoder: give it one, or use forward with sentence vectors")
        return encode_stories(self.sentence_encoder, stories)

    # ---- model folder: config.json, model.safetensors, the sentence encoder's files, README.md; no pickle ----

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model folder; the weights in the type they have (`half_weights` makes them half as large).

        Each file is replaced whole, so that a training that is killed here leaves a folder that can be drawn with.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.sentence_encoder is not None:
            self.sentence_encoder.save(folder)
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        atomic_write(folder / WEIGHTS, seal(save(state, metadata={"format": "pt"})))
        encoder = self.sentence_encoder.kind if self.sentence_encoder else ""
        atomic_write(folder / CARD, self.card or make_card(self.config, encoder))
        values = {**asdict(self.config), "aspect_ratio": self.aspect_ratio}
        atomic_write(folder / CONFIG, json.dumps(values, indent=2) + "\n")

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "A model of storygan",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
    ) -> CommitInfo:
        """Upload the model folder, as `huggingface_hub.ModelHubMixin` does. It is no base class: its import takes a
        tenth of a cold `generate`.

        Args:
            repo_id: `user/model`; made where there is none.
            commit_message: of the one commit.
            private: whether a new repository is; None: as the hub has it.
            token: of the hub; None: the one of `hf auth login`.
            branch: None: `main`.
            create_pr: as a pull request.

        Raises:
            huggingface_hub.errors.HfHubHTTPError: the hub refuses.
        """
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=commit_message,
                revision=branch,
                create_pr=create_pr,
            )

    @classmethod
    def from_pretrained(cls, name: str | Path, **hub_options: Any) -> StoryGAN:
        """Load a model: a shipped one's name (`clevr-sv`), a model folder, or a hub id (`user/model`).

        Args:
            name: which model.
            hub_options: `revision`, `token`, `cache_dir`, ... of `huggingface_hub.snapshot_download`.

        Raises:
            StoryganError: where there is no such model, or its files do not fit together.
        """
        folder = resolve_model(name, **hub_options)
        try:
            config, aspect_ratio = read_model_config(folder / CONFIG)
            state = load(checked(read_file(folder / WEIGHTS, MAX_WEIGHTS)))
            encoder = load_sentence_encoder(folder)
            with torch.device("meta"):  # shapes without memory: a lying config must not take any
                require_fit(cls(config).state_dict(), state)
            model = cls(config, encoder)
            model.load_state_dict(state)
            if aspect_ratio is None:
                aspect_ratio = 4 / 3 if encoder.kind == "clevr" else 1.0
            model.aspect_ratio = aspect_ratio
            model.card = read_text(folder / CARD) if (folder / CARD).exists() else ""
        except OSError as error:
            raise StoryganError(f"{folder} is not a model folder: {error}") from error
        except StoryganError:
            raise
        except Exception as error:  # a lying config, torn or foreign weights: whatever the readers raise
            raise StoryganError(f"the model in {folder} does not load: {reason(error)}") from error
        return model.float().eval()

    def half_weights(self) -> StoryGAN:
        """Round the parameters to fp16 for a small model folder, in place; batch norm's statistics stay fp32."""
        for parameter in self.parameters():
            parameter.data = parameter.data.half()
        return self
