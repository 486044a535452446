"""Text2Gist and the filter bank against naive loops written from the equations."""

import torch
from torch.nn import functional as F

from storygan.config import VARIANTS, ModelConfig
from storygan.models.context_encoder import LowerGRU, Text2Gist, gist
from storygan.models.initialize import initialize_weights
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN

B, T = 5, 4


def naive_gist(filters: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """One story, by hand: filter f at place p is sum_k filter[f, k] h[p + k - 31], zero outside; place is channel."""
    o = torch.zeros(128, 16)
    for f in range(16):
        for p in range(128):
            for k in range(64):
                if 0 <= p + k - 31 < 128:
                    o[p, f] += filters[f, k] * h[p + k - 31]
    return o.view(128, 4, 4)


def test_gist_against_the_sum() -> None:
    filters, h = torch.randn(1, 16, 64), torch.randn(1, 128)
    torch.testing.assert_close(gist(filters, h)[0], naive_gist(filters[0], h[0]), atol=1e-4, rtol=1e-4)


def same_conv1d(h: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """`F.conv1d(padding="same")`, whose 31 + 32 zeros are written out: torch warns about them. -> (128, 16)."""
    return F.conv1d(F.pad(h.view(1, 1, 128), (31, 32)), filters.view(16, 1, 64))[0].T


def test_gist_against_conv1d_story_by_story() -> None:
    filters, h = torch.randn(B, 16, 64), torch.randn(B, 128)
    for n in range(B):
        expected = same_conv1d(h[n], filters[n])
        torch.testing.assert_close(gist(filters, h)[n].flatten(1), expected, atol=1e-5, rtol=1e-4)


def test_text2gist_against_the_equations() -> None:
    torch.manual_seed(0)
    cell = Text2Gist().eval()
    initialize_weights(cell, std=0.3)
    i, h_0 = torch.randn(B, T, 128), torch.randn(B, 128)
    W_z, W_r, W_h = cell.W_z.weight, cell.W_r.weight, cell.W_h.weight
    U_z, U_r, U_h = cell.U_z.weight, cell.U_r.weight, cell.U_h.weight
    b_z, b_r, b_h = cell.W_z.bias, cell.W_r.bias, cell.W_h.bias
    o = cell(i, h_0)
    for n in range(B):
        h = h_0[n]
        for t in range(T):
            i_t = i[n, t]
            z_t = torch.sigmoid(W_z @ i_t + U_z @ h + b_z)
            r_t = torch.sigmoid(W_r @ i_t + U_r @ h + b_r)
            h = (1 - z_t) * h + z_t * torch.tanh(W_h @ i_t + U_h @ (r_t * h) + b_h)
            filters = cell.filter_network(i_t[None])[0]
            expected = same_conv1d(h, filters)
            torch.testing.assert_close(o[n, t].flatten(1), expected, atol=1e-4, rtol=1e-4)


def test_lower_gru_against_a_sequence_gru() -> None:
    lower = LowerGRU(noise_dim=100).eval()
    gru = torch.nn.GRU(128, 128, batch_first=True)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(gru, f"{name}_l0").data = getattr(lower.gru, name).data
    S, eps, g_0 = torch.randn(B, T, 128), torch.randn(B, T, 100), torch.randn(B, 128)
    inputs = torch.stack([lower.layer(torch.cat([S[:, t], eps[:, t]], dim=1)) for t in range(T)], dim=1)
    torch.testing.assert_close(lower(S, eps, g_0), gru(inputs, g_0[None])[0], atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_parameter_of_the_generator() -> None:
    for variant in VARIANTS:
        config = ModelConfig(variant=variant)
        model = StoryGAN(config)
        noise = Noise.draw(B, config, torch.Generator().manual_seed(0))
        X_hat, *_ = model(torch.randn(B, T, 128), noise)
        (X_hat * torch.randn_like(X_hat)).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, (variant, name)
            assert parameter.grad.abs().max() > 0, (variant, name)
