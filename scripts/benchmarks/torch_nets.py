"""The nets in PyTorch: as those in nets/, layer for layer, with their names, epsilons and initial distributions."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.workloads import LAYERS, NORM_EPSILON, Workload

SLOPE = 0.2


class VAE(nn.Module):
    """As nets.DenseVAE."""

    def __init__(self, latent_dim: int, pixels: int) -> None:
        super().__init__()
        self.encoder_hidden, self.encoder_output = nn.Linear(pixels, 128), nn.Linear(128, 2 * latent_dim)
        self.decoder_hidden, self.decoder_output = nn.Linear(latent_dim, 128), nn.Linear(128, pixels)

    def encode(self, images: torch.Tensor) -> Any:
        """[B, pixels] -> mean, log_var, each [B, D]."""
        return self.encoder_output(functional.relu(self.encoder_hidden(images))).chunk(2, dim=1)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """[B, D] -> logits [B, pixels]."""
        return self.decoder_output(functional.relu(self.decoder_hidden(z)))


class LayerNorm(nn.Module):
    """Over (channels, height, width) of each example, with the scale and shift in the layout of the images."""

    def __init__(self, channels: int, side: int, last: bool) -> None:
        super().__init__()
        shape = (side, side, channels) if last else (channels, side, side)
        self.last, self.weight, self.bias = last, nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, c, h, w] -> [B, c, h, w]."""
        x = x.permute(0, 2, 3, 1) if self.last else x
        x = functional.layer_norm(x, self.weight.shape, self.weight, self.bias, NORM_EPSILON)
        return x.permute(0, 3, 1, 2) if self.last else x


class Generator(nn.Module):
    """As nets.Generator64."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(latent_dim, 512 * 3 * 3)
        self.up1 = nn.ConvTranspose2d(512, 256, 3, stride=3, bias=False)
        self.up2 = nn.ConvTranspose2d(256, 128, 5, stride=2, bias=False)
        self.up3 = nn.ConvTranspose2d(128, 3, 4, stride=3)
        self.norm1, self.norm2 = (nn.BatchNorm2d(size, eps=NORM_EPSILON, momentum=0.01) for size in (256, 128))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """[B, latent_dim] -> [B, 3, 64, 64] in [-1, 1]."""
        x = functional.leaky_relu(self.dense(z), SLOPE).view(-1, 512, 3, 3)
        x = functional.leaky_relu(self.norm1(self.up1(x)), SLOPE)
        return torch.tanh(self.up3(functional.leaky_relu(self.norm2(self.up2(x)), SLOPE)))


class Critic(nn.Module):
    """As nets.Critic64 with layer normalisation."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 64, 5, stride=3), nn.Conv2d(64, 128, 5, stride=3)
        self.down3, self.score = nn.Conv2d(128, 256, 5, stride=3), nn.Linear(256, 1)
        self.norm2, self.norm3 = LayerNorm(128, 6, last), LayerNorm(256, 1, last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, 3, 64, 64] -> [B]."""
        x = functional.leaky_relu(self.down1(images), SLOPE)
        x = functional.leaky_relu(self.norm2(self.down2(x)), SLOPE)
        x = functional.leaky_relu(self.norm3(self.down3(x)), SLOPE)
        return self.score(x.flatten(1)).squeeze(1)


def make_nets(workload: Workload, last: bool) -> dict[str, Any]:
    """The nets, with Keras's initial distributions; ``last``: channels last in memory."""
    torch.manual_seed(0)
    nets: dict[str, Any] = ({"vae": VAE(workload.latent_dim, 28 * 28)} if workload.name == "vae" else
                            {"generator": Generator(workload.latent_dim), "critic": Critic(last)})
    for name, net in nets.items():
        for layer in LAYERS[name]:
            held = getattr(net, layer)
            if held.weight.dim() in (2, 4):
                nn.init.xavier_uniform_(held.weight)
                if layer.endswith("hidden"):
                    nn.init.kaiming_normal_(held.weight, nonlinearity="relu")
                if held.bias is not None:
                    nn.init.zeros_(held.bias)
        if last:
            net.to(memory_format=torch.channels_last)
    return nets


def load_weights(nets: dict[str, Any], weights: Any) -> None:
    """From Keras's: dense [in, out], convolution [h, w, in, out], transposed one [h, w, out, in]."""
    for name, net in nets.items():
        for layer in LAYERS[name]:
            held = getattr(net, layer)
            arrays = [weights[key] for key in sorted(weights) if key.startswith(f"{name}.{layer}.")]
            targets = [held.weight, held.bias] if held.bias is not None else [held.weight]
            if isinstance(held, nn.BatchNorm2d):
                targets += [held.running_mean, held.running_var]
            for target, array in zip(targets, arrays, strict=True):
                with torch.no_grad():
                    target.copy_(torch.from_numpy(_turned(held, layer, array)))


def _turned(held: nn.Module, layer: str, array: np.ndarray) -> np.ndarray:
    if layer == "dense":  # its units are (h, w, c) there and (c, h, w) here
        array = np.moveaxis(array.reshape(-1, 3, 3, 512), -1, 1).reshape(-1, 512 * 3 * 3).squeeze()
    if isinstance(held, LayerNorm):
        return array if held.last else array.transpose(2, 0, 1)
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array.T.copy()
