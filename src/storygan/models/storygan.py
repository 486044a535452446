"""StoryGAN: story encoder, context encoder and image generator, with the sentence encoder they were trained with."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from storygan.config import ModelConfig
from storygan.errors import StoryganError, UnknownWordWarning, UsageError, reason, require_whole
from storygan.files import atomic_write, parse_json, read_text
from storygan.models.accelerate import accelerate, fuse_batch_norm
from storygan.models.baselines import CONTEXTS
from storygan.models.devices import DTYPES, Precision, find_device, resolve_precision
from storygan.models.image_generator import ImageGenerator
from storygan.models.inference import batches, evaluation_mode, progress_bar, to_uint8
from storygan.models.initialization import initialize_weights
from storygan.models.model_card import make_card
from storygan.models.noise import Noise, noise_of_length, seeds_of
from storygan.models.output import OutputType, StoryOutput, generate_from_noise
from storygan.models.story_encoder import StoryEncoder
from storygan.models.weights import SHIPPED, load_weights
from storygan.text.encoder import DIM, SentenceEncoder, load_sentence_encoder
from storygan.text.vocabulary import describe_unknown, unknown_words

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

Story = Sequence[str]
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
HUB_FILES = [CONFIG, WEIGHTS, "sentence_encoder.*", CARD]
"""Files that are fetched from a hub."""
MAX_SENTENCES = 1000
MAX_SAMPLES = 10_000
"""Samples per story; those of 4 frames take 500 MB."""


class StoryGAN(nn.Module):
    """The generator of the paper (Li et al., CVPR 2019), or of one of its baselines (`config.variant`).

    `forward` takes sentence vectors and noise and is what is trained; `generate` takes strings and returns frames.

    Args:
        config: shape of the networks.
        sentence_encoder: turns sentences into `s_t`, and is saved with the model. `generate` needs it, `forward` does
            not.
    """

    def __init__(self, config: ModelConfig, sentence_encoder: SentenceEncoder | None = None) -> None:
        super().__init__()
        self.config = config
        self.sentence_encoder = sentence_encoder
        self.aspect_ratio = 1.0  # display width over height of a frame; 4/3 for CLEVR-SV
        self.card = ""  # text of README.md in the model folder; empty: `save_pretrained` makes one
        self.story_encoder = StoryEncoder(config.T)
        self.context_encoder = CONTEXTS[config.variant](config.noise_dim)
        self.image_generator = ImageGenerator(config.image_size)
        initialize_weights(self)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(self.parameters()).dtype

    def forward(
        self, S: Tensor, noise: Noise, frame_idx: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Generate images from sentence vectors.

        Args:
            S: (B, T, 128) sentence vectors; with a trained model also fewer or more than T, see `context_sentences`.
            noise: for B stories of as many sentences.
            frame_idx: (B, n) int64, from 0, which n frames of each story to generate; None: all.

        Returns:
            `X_hat` (B, n, 3, 64, 64) in [-1, 1], and `h_0`, `mu`, `log_sigma2`, each (B, 128).
        """
        h_0, mu, log_sigma2 = self.story_encoder(self.context_sentences(S), noise.eps_0)  # (B, 128)
        o = self.context_encoder(S, noise.eps, h_0, noise.g_0)  # (B, T, 128, 4, 4)
        if frame_idx is not None:
            o = o[torch.arange(len(o), device=o.device)[:, None], frame_idx]  # (B, n, 128, 4, 4)
        return self.frames(o), h_0, mu, log_sigma2

    def frames(self, o: Tensor) -> Tensor:
        """Generate images from gists: (B, n, 128, 4, 4) -> (B, n, 3, 64, 64) in [-1, 1]."""
        return self.image_generator(o.flatten(0, 1)).unflatten(0, o.shape[:2])

    def context_sentences(self, S: Tensor) -> Tensor:
        """Return the T sentences that `h_0` is computed from: (B, n, 128) -> (B, T, 128).

        Of a longer story these are the first T. A shorter one is padded with zeros, the mean sentence.
        """
        missing = self.config.T - S.shape[1]
        return S[:, : self.config.T] if missing <= 0 else F.pad(S, (0, 0, 0, missing))

    def require_story(self, story: Story) -> None:
        """Raise UsageError unless a story is 1 to 2 T sentences. In longer ones, earlier content fades further."""
        if isinstance(story, str):
            raise UsageError("a story is a list of sentences; this one is a string")
        if not 1 <= len(story) <= 2 * self.config.T:
            raise UsageError(
                f"this model generates stories of 1 to {2 * self.config.T} sentences; this one has {len(story)}"
                + (" (`storygan edit extend` adds more)" if story else "")
            )

    def understand(self, story: Story, before: Story = ()) -> list[str]:
        """Return the sentences that the model reads for a story, which may be free text (`SentenceEncoder.understand`).

        Args:
            story: sentences.
            before: sentences that come before them, as an earlier call has returned them; together at most
                `MAX_SENTENCES`.

        Raises:
            UsageError: a sentence is not understood.
        """
        require_whole("the number of sentences", len(before) + len(story), 1, MAX_SENTENCES)
        if not all(sentence.strip() for sentence in story):
            raise UsageError("a sentence is empty: write what its frame shows")
        return self.sentence_encoder.understand(story, before) if self.sentence_encoder else list(story)

    def unknown_words(self, story: Story, name: str = "this model") -> str:
        """Return a line that names the content words of a story that no training sentence has; "" if there are none.

        Args:
            story: sentences.
            name: of the model, for the line.
        """
        vocabulary = self.sentence_encoder.vocabulary if self.sentence_encoder else ()
        words = unknown_words(story, vocabulary)
        return describe_unknown(words, vocabulary, name) if words else ""

    def generate(
        self,
        stories: Story | Sequence[Story],
        num_samples: int = 1,
        seed: int | Sequence[int] | None = None,
        *,
        generator: torch.Generator | None = None,
        output_type: OutputType = "pil",
    ) -> StoryOutput:
        """Generate the frames of stories. The same story and seed give the same frames, also in a batch with others.

        Warns (`UnknownWordWarning`) of words that the model was not trained on.

        Args:
            stories: one story (n strings), or several of the same n, from 1 to 2 T. The frames beyond T are those that
                `editing.extend` adds, in which earlier objects fade.
            num_samples: number of samples per story, each with its own noise; at most `MAX_SAMPLES`.
            seed: seed of the noise, 0 to 2^63 - 1. A list has one per story; a number is that of the first story, and
                each next story takes one more. None: 0, or what `generator` gives.
            generator: a generator on any device, in place of `seed`. It gives a seed for each story, and other seeds
                at the next call.
            output_type: type of `StoryOutput.images`: `pil`, PIL images at display size; `np` or `pt`, an array or a
                tensor in [0, 1].

        Returns:
            N = stories x `num_samples` samples, those of a story one after the other: `images`, uint8 `frames`
            (N, n, 64, 64, 3), `save`, and all that `storygan.editing` needs.

        Raises:
            UsageError: a sentence is not understood, the stories have different lengths, or an argument does not fit.
        """
        single = not stories or isinstance(stories, str) or isinstance(stories[0], str)
        batch: list[Story] = [stories] if single else list(stories)  # type: ignore[list-item]
        for story in batch:
            self.require_story(story)
        lengths = sorted({len(story) for story in batch})
        if len(lengths) > 1:
            raise UsageError(
                f"the stories have {' and '.join(map(str, lengths))} sentences: one call takes stories of one length, "
                f"of 1 to {2 * self.config.T} sentences with this model; call generate once for each length"
            )
        require_whole("num_samples", num_samples, 1, MAX_SAMPLES)
        if output_type not in get_args(OutputType):
            raise UsageError(f"output_type is {output_type!r}: use one of {', '.join(get_args(OutputType))}")
        seeds = seeds_of(len(batch), seed, generator)
        batch = [self.understand(story) for story in batch]
        if unknown := self.unknown_words([sentence for story in batch for sentence in story]):
            warnings.warn(unknown, UnknownWordWarning, stacklevel=2)
        noise = Noise.cat([noise_of_length(num_samples, lengths[0], self.config, each) for each in seeds])
        S = torch.from_numpy(self.encode(batch)).to(self.device, self.dtype).repeat_interleave(num_samples, dim=0)
        rows = tuple(tuple(story) for story in batch for _ in range(num_samples))
        output = generate_from_noise(self, rows, S, self.context_sentences(S), noise.to(self.device, self.dtype))
        seeds = [each for each in seeds for _ in range(num_samples)]
        return replace(output, seeds=tuple(seeds), output_type=output_type)

    def generate_dataset(self, stories: Sequence[Story], seed: int = 0) -> np.ndarray:
        """Generate the stories of a data set: no free text, no warnings, and the noise of all from one seed.

        Args:
            stories: N stories of n sentences each, from 1 to 2 T.
            seed: of the noise.

        Returns:
            uint8 frames (N, n, 64, 64, 3), one sample per story.

        Raises:
            UsageError: n is not from 1 to 2 T, or the sentence encoder cannot read a sentence.
        """
        self.require_story(stories[0])
        S = torch.from_numpy(self.encode(stories))
        return self.sample(S, noise_of_length(len(S), S.shape[1], self.config, seed))

    def sample(self, S: Tensor, noise: Noise) -> np.ndarray:
        """Generate frames from sentence vectors, in evaluation mode, with a progress bar for more than one batch.

        Args:
            S: (N, n, 128) sentence vectors.
            noise: for N stories of n sentences.

        Returns:
            uint8 frames (N, n, 64, 64, 3).
        """
        parts = []
        with evaluation_mode(self):
            for rows in progress_bar(batches(*S.shape[:2]), "batch"):
                X_hat, *_ = self(S[rows].to(self.device, self.dtype), noise[rows].to(self.device, self.dtype))
                parts.append(to_uint8(X_hat))
        return np.concatenate(parts)

    def encode(self, stories: Sequence[Story]) -> np.ndarray:
        """Encode B stories, as `understand` returns them, as float32 sentence vectors (B, n, 128).

        Raises:
            UsageError: a sentence is empty, or the sentence encoder cannot read it.
            StoryganError: the model has no sentence encoder.
        """
        if self.sentence_encoder is None:
            raise StoryganError("this model has no sentence encoder: set one, or use forward with sentence vectors")
        return encode_stories(self.sentence_encoder, stories)

    # ---- model folder: config.json, model.safetensors, the sentence encoder's files, README.md ----

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model folder, with the weights in their own type (`half_weights` halves their size).

        Each file is replaced atomically.

        Raises:
            StoryganError: a file cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.sentence_encoder is not None:
            self.sentence_encoder.save(folder)
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        atomic_write(folder / WEIGHTS, save(state, metadata={"format": "pt"}))
        encoder = self.sentence_encoder.kind if self.sentence_encoder else ""
        atomic_write(folder / CARD, self.card or make_card(self.config, encoder))
        values = {**asdict(self.config), "aspect_ratio": self.aspect_ratio}
        atomic_write(folder / CONFIG, json.dumps(values, indent=2) + "\n")

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Upload a StoryGAN model",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
    ) -> CommitInfo:
        """Upload the model folder to the Hugging Face hub.

        The same as `huggingface_hub.ModelHubMixin.push_to_hub`. The mixin is no base class, because its import takes a
        tenth of a cold `generate`.

        Args:
            repo_id: `user/model`; created if it does not exist.
            commit_message: message of the commit.
            private: whether a new repository is private; None: the hub's default.
            token: access token; None: the one stored by `hf auth login`.
            branch: branch to commit to; None: `main`.
            create_pr: whether to open a pull request instead.

        Raises:
            huggingface_hub.errors.HfHubHTTPError: the hub refuses.
        """
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message=commit_message, revision=branch, create_pr=create_pr
            )

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> StoryGAN:
        """Load a model, accelerated and in evaluation mode.

        Args:
            name: a shipped model (`clevr-sv`), a model folder, or a hub id (`user/model`).
            device: of the model; `auto`: the accelerator if there is one.
            dtype: of the weights: float32, bfloat16 or float16.
            revision: branch, tag or commit on the hub.
            token: access token of the hub; None: the one stored by `hf auth login`.
            cache_dir: folder for downloads; None: the hub's default.
            local_files_only: load from `cache_dir` without a connection.

        Raises:
            StoryganError: there is no such model, or its files do not fit together.
            UsageError: this machine has no such device.
        """
        device = find_device(str(device))
        folder = resolve_model(
            name, revision=revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only
        )
        try:
            config, aspect_ratio = read_model_config(folder / CONFIG)
            state = load_weights(folder / WEIGHTS)
            encoder = load_sentence_encoder(folder)
            with torch.device("meta"):  # shapes without memory, as the config may be anyone's
                require_state(cls(config).state_dict(), state)
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
        except Exception as error:  # foreign config or weights make the libraries raise many kinds
            raise StoryganError(f"the model in {folder} cannot be loaded: {reason(error)}") from error
        return accelerate(model.eval()).to(device, dtype)

    def half_weights(self) -> StoryGAN:
        """Round the parameters to fp16, in place, for a small model folder; batch norm's statistics stay fp32."""
        for parameter in self.parameters():
            parameter.data = parameter.data.half()
        return self


def load_for_inference(name: str | Path, device: str | torch.device = "cpu", precision: Precision = "fp32") -> StoryGAN:
    """Load a model with batch norm fused: faster than `from_pretrained`, but it cannot be trained or saved.

    Args:
        name: as for `StoryGAN.from_pretrained`.
        device: of the model; `auto`: the accelerator if there is one.
        precision: of weights and computations; `auto`: bf16 where the hardware computes it.
    """
    device = find_device(str(device))
    dtype = DTYPES[resolve_precision(precision, device)]
    return fuse_batch_norm(StoryGAN.from_pretrained(name, device=device)).to(dtype)


def shipped_models() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(folder.parent.name for folder in SHIPPED.glob(f"*/{CONFIG}"))


def resolve_model(name: str | Path, **hub_options: Any) -> Path:
    """Return the folder of a shipped model, of a path, or of a hub id, which is downloaded.

    Raises:
        UsageError: there is no such model.
    """
    if str(name) in shipped_models():
        return SHIPPED / str(name)
    if Path(name).is_dir():
        return Path(name)
    shipped = ", ".join(shipped_models())
    parent = str(Path(name).parent)  # of a hub id: the user
    if str(name).count("/") != 1 or parent in (".", "..", "~", "runs") or Path(parent).is_dir():
        raise UsageError(f"no model {str(name)!r}: name a shipped one ({shipped}), a model folder or a hub id")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name), **{"allow_patterns": HUB_FILES, **hub_options}))
    except Exception as error:
        raise UsageError(f"no folder {str(name)!r}, and the hub does not have it: {reason(error)}") from error


def read_model_config(path: Path) -> tuple[ModelConfig, float | None]:
    """Read `config.json`: the configuration, and the display aspect ratio, None in a folder of version 0.1.

    Version 0.1 has another name for the noise distribution `circle`.
    """
    values = parse_json(read_text(path))
    if values.get("noise") == "circles":
        values["noise"] = "circle"
    aspect_ratio = float(values.pop("aspect_ratio")) if "aspect_ratio" in values else None
    if aspect_ratio is not None and not 0.1 <= aspect_ratio <= 10:
        raise ValueError(f"aspect_ratio is {aspect_ratio}: it must be from 0.1 to 10")
    return ModelConfig(**values), aspect_ratio


def require_state(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raise ValueError that names the first missing, unknown or differently shaped tensor."""
    for name, tensor in expected.items():
        if name not in state:
            raise ValueError(f"{WEIGHTS} has no {name!r}, which {CONFIG} requires")
        if state[name].shape != tensor.shape:
            shapes = f"{tuple(state[name].shape)}, but {CONFIG} requires {tuple(tensor.shape)}"
            raise ValueError(f"the shape of {name!r} is {shapes}")
    for name in state:
        if name not in expected:
            raise ValueError(f"{WEIGHTS} has {name!r}, which is not in a model with this {CONFIG}")


def encode_stories(encoder: SentenceEncoder, stories: Sequence[Story], cache: Path | None = None) -> np.ndarray:
    """Encode B stories of T sentences as float32 sentence vectors (B, T, 128).

    Args:
        cache: folder for embeddings (`SentenceEncoder.encode`).

    Raises:
        UsageError: a sentence is empty, or the encoder cannot read it.
    """
    flat = [sentence for story in stories for sentence in story]
    if not all(sentence.strip() for sentence in flat):
        raise UsageError("a sentence is empty: write what its frame shows")
    return encoder.encode(flat, cache).reshape(len(stories), -1, DIM)
