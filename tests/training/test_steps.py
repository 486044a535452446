"""What each update of the iteration changes, and what it must leave alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from storygan.config import VARIANTS, DiscriminatorConfig, LossConfig, ModelConfig, Variant, WarmUpConfig
from storygan.models.baselines import HAS_STORY_DISCRIMINATOR
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.initialize import initialize_weights
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN
from storygan.training import steps

B, T, K = 4, 2, 15


@dataclass
class Setting:
    """Three networks, their optimizers, a batch, and what the generator made of it."""

    fabric: Fabric
    networks: steps.Networks
    optimizers: steps.Optimizers
    batch: steps.Batch
    config: ModelConfig

    def fake(self) -> steps.Generated:
        noise = Noise.draw(B, self.config, torch.Generator().manual_seed(1))
        return steps.generate(self.networks.G, self.batch.S, noise)

    def state(self) -> dict[str, dict[str, torch.Tensor]]:
        nets = {"G": self.networks.G, "D_I": self.networks.D_I, "D_S": self.networks.D_S}
        return {
            name: {key: value.clone() for key, value in net.state_dict().items()}
            for name, net in nets.items()
            if net is not None
        }

    def changed(self, before: dict[str, dict[str, torch.Tensor]]) -> set[str]:
        """Names of the networks whose parameters or buffers are not what they were."""
        after = self.state()
        return {n for n in before if any(not torch.equal(before[n][key], after[n][key]) for key in before[n])}


def test_only_imagegan_has_no_story_discriminator() -> None:
    assert {variant for variant, has in HAS_STORY_DISCRIMINATOR.items() if not has} == {"imagegan"}


def setting(variant: Variant = "storygan", spectral_norm: bool = False, labels: bool = False) -> Setting:
    torch.manual_seed(0)
    config = ModelConfig(variant=variant, T=T)  # type: ignore[arg-type]
    options = DiscriminatorConfig(spectral_norm=spectral_norm)
    D_I = ImageDiscriminator(options, n_labels=K if labels else 0)
    D_S = StoryDiscriminator(T, options) if HAS_STORY_DISCRIMINATOR[config.variant] else None
    networks = steps.Networks(StoryGAN(config), D_I, D_S)
    fabric = Fabric(accelerator="cpu", devices=1)

    def setup(network: nn.Module | None) -> tuple[nn.Module | None, object]:
        if network is None:
            return None, None
        initialize_weights(network)
        return fabric.setup(network, torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)))

    (G, G_adam), (D_I_, D_I_adam), (D_S_, D_S_adam) = (setup(n) for n in (networks.G, networks.D_I, networks.D_S))
    batch = steps.Batch(
        X=torch.rand(B, T, 3, 64, 64) * 2 - 1,
        S=torch.randn(B, T, 128),
        labels=torch.randint(0, 2, (B, T, K)).float() if labels else None,
    )
    return Setting(fabric, steps.Networks(G, D_I_, D_S_), steps.Optimizers(G_adam, D_I_adam, D_S_adam), batch, config)


CONFIGS = {
    "paper": LossConfig(),
    "saturating": LossConfig(saturating=True),
    "options": LossConfig(mismatched=True, r1=1.0, r1_every=1, squared_error=10.0),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_each_update_changes_its_own_network_alone(config: LossConfig, spectral_norm: bool) -> None:
    check_updates(setting(spectral_norm=spectral_norm, labels=config.mismatched), config)


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant != "storygan"])
def test_each_update_of_a_baseline_changes_its_own_network_alone(variant: Variant) -> None:
    check_updates(setting(variant), LossConfig())


def check_updates(s: Setting, config: LossConfig) -> None:
    """Each update, with a fresh drawing, changes its network and nothing else (imagegan's has no D_S to change)."""
    updates: dict[str, Callable[[steps.Generated], steps.Metrics]] = {
        "D_I": lambda f: steps.update_image_discriminator(s.fabric, s.networks, s.optimizers, s.batch, f, config, 0),
        "D_S": lambda f: steps.update_story_discriminator(s.fabric, s.networks, s.optimizers, s.batch, f, config, 0),
        "G": lambda f: steps.update_generator(s.fabric, s.networks, s.optimizers, s.batch, f, config),
    }
    for name, update in updates.items():
        fake = s.fake()
        before = s.state()
        metrics = update(fake)
        assert s.changed(before) == ({name} if name in before else set())
        assert all(torch.isfinite(value) and not value.requires_grad for value in metrics.values())
    assert all(p.requires_grad for net in (s.networks.D_I, s.networks.D_S) if net for p in net.parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_iteration_moves_every_parameter(variant: Variant) -> None:
    s = setting(variant, labels=True)
    before = s.state()
    fake, config = s.fake(), LossConfig(mismatched=True)
    steps.update_image_discriminator(s.fabric, s.networks, s.optimizers, s.batch, fake, config, 0)
    steps.update_story_discriminator(s.fabric, s.networks, s.optimizers, s.batch, fake, config, 0)
    steps.update_generator(s.fabric, s.networks, s.optimizers, s.batch, fake, config)
    after = s.state()
    still = [f"{n}.{key}" for n in before for key in before[n] if torch.equal(before[n][key], after[n][key])]
    assert still == []


def test_the_discriminators_do_not_teach_the_story_encoder_through_the_condition() -> None:
    """h_0 as a condition is detached: alone among the paths from h_0 it must carry no gradient."""
    h_0 = torch.randn(B, 128, requires_grad=True)
    _, condition = steps.conditions(torch.randn(B, T, 128), h_0)
    assert not condition.requires_grad
    assert torch.equal(condition.view(B, T, 128)[:, 1], h_0)


@pytest.mark.parametrize("updated", ["D_I", "G"])
def test_judging_some_frames_estimates_judging_all(updated: str) -> None:
    """Over every choice of one frame a story, the loss's mean is that of judging all, where D_I's norms evaluate."""
    config = LossConfig(mismatched=True)
    s = setting(labels=True)
    s.networks.D_I.eval()

    def loss(judged: torch.Tensor | None) -> torch.Tensor:
        before = s.state()["D_I"], s.state()["G"]
        s.batch.judged = judged
        if updated == "D_I":
            L = steps.update_image_discriminator(s.fabric, s.networks, s.optimizers, s.batch, s.fake(), config, 0)
        else:
            L = steps.update_generator(s.fabric, s.networks, s.optimizers, s.batch, s.fake(), config)
        s.networks.D_I.load_state_dict(before[0])
        s.networks.G.load_state_dict(before[1])
        return torch.stack([L[f"{updated}_image" if updated == "G" else "D_I"], L[f"{updated[0]}_label"]])

    each = [loss(torch.full((B, 1), t)) for t in range(T)]
    torch.testing.assert_close(torch.stack(each).mean(0), loss(None), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss(torch.tensor([[1, 0]] * B)), loss(None), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(each[0], each[1])


def test_image_gan_has_no_story_discriminator() -> None:
    s = setting("imagegan")
    fake, config = s.fake(), LossConfig()
    assert steps.update_story_discriminator(s.fabric, s.networks, s.optimizers, s.batch, fake, config, 0) == {}
    metrics = steps.update_generator(s.fabric, s.networks, s.optimizers, s.batch, fake, config)
    assert "G_story" not in metrics
    assert "G_image" in metrics


def test_mismatched_pairs_are_another_storys() -> None:
    S = torch.arange(3.0)[:, None, None].expand(3, T, 128)
    assert (steps.other_story(Fabric(accelerator="cpu", devices=1), S) != S).all()


def test_warm_up_leaves_the_discriminators_alone() -> None:
    s = setting()
    fake = s.fake()
    before = s.state()
    steps.warm_up_generator(s.fabric, s.optimizers, s.batch, fake, WarmUpConfig(kl=0.01))
    assert s.changed(before) == {"G"}


def test_overfit_on_four_stories() -> None:
    """Smooth random pictures: the generator learns them, and the discriminators to tell the real ones."""
    s = setting()
    coarse = torch.rand(B * T, 3, 4, 4, generator=torch.Generator().manual_seed(3)) * 2 - 1
    s.batch.X = nn.functional.interpolate(coarse, size=64, mode="bilinear").unflatten(0, (B, T))
    untrained, config = s.fake(), LossConfig()
    for k in range(12):
        losses = steps.update_image_discriminator(s.fabric, s.networks, s.optimizers, s.batch, untrained, config, k)
        losses |= steps.update_story_discriminator(s.fabric, s.networks, s.optimizers, s.batch, untrained, config, k)
    undecided = 2 * math.log(2)  # the loss of D = 1/2, real and generated, a frame or a story
    assert losses["D_I"].item() < 0.5 * T * undecided
    assert losses["D_S"].item() < 0.5 * undecided
    for group in s.optimizers.G.param_groups:
        group["lr"] = 2e-3
    errors = [
        steps.warm_up_generator(s.fabric, s.optimizers, s.batch, s.fake(), WarmUpConfig(kl=0.001))[
            "squared_error"
        ].item()
        for _ in range(25)
    ]
    assert errors[-1] < 0.25 * errors[0]
    metrics = steps.update_generator(s.fabric, s.networks, s.optimizers, s.batch, s.fake(), config)
    assert metrics["squared_error"].item() < 0.3 * errors[0]


def test_some_frames_are_drawn_as_they_are_among_all() -> None:
    s = setting()
    noise, drawn = Noise.draw(B, s.config, torch.Generator().manual_seed(1)), torch.tensor([[1], [0], [1], [0]])
    model = s.networks.G.eval()
    some, every = steps.generate(model, s.batch.S, noise, drawn), steps.generate(model, s.batch.S, noise)
    rows = torch.arange(B)[:, None]
    torch.testing.assert_close(some.X_hat, every.X_hat[rows, drawn])
    of_drawn = s.batch.of_drawn(drawn)
    assert torch.equal(of_drawn.X, s.batch.X[rows, drawn])
    assert of_drawn.S is s.batch.S


def test_the_noise_nearest_to_the_real_frames_is_picked_story_by_story() -> None:
    s = setting()
    draws = [Noise.draw(B, s.config, torch.Generator().manual_seed(seed)) for seed in (1, 2, 3)]
    before = s.state()
    picked = steps.nearest_noise(s.networks.G, s.batch, draws)
    assert not s.changed(before)  # no running mean either
    with torch.no_grad(), steps.frozen(s.networks.G):
        drawn = [steps.generate(s.networks.G, s.batch.S, noise).X_hat for noise in draws]
    for b in range(B):
        errors = [float(((X_hat[b] - s.batch.X[b]) ** 2).mean()) for X_hat in drawn]
        best = draws[errors.index(min(errors))]
        for name, part in vars(picked).items():
            assert torch.equal(part[b], getattr(best, name)[b])
