"""The generators and critics in PyTorch, layer for layer those of nets/, in the same order."""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_layers import Dense, LayerNorm, batch_norm

NEGATIVE_SLOPE = 0.2


class Generator28(nn.Module):
    """As nets.Generator28."""

    def __init__(self, last: bool, latent_dim: int) -> None:
        super().__init__()
        self.dense, self.norm1 = Dense(latent_dim, (64, 7, 7), last, bias=False), batch_norm(64, 0.9)
        self.up1, self.norm2 = nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), batch_norm(32, 0.9)
        self.up2 = nn.ConvTranspose2d(32, 1, 4, 2, 1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """[B, latent_dim] -> [B, 1, 28, 28] in [-1, 1]."""
        x = functional.relu(self.norm1(self.dense(z)))
        return torch.tanh(self.up2(functional.relu(self.norm2(self.up1(x)))))


class Critic28(nn.Module):
    """As nets.Critic28 with layer normalisation."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 32, 4, 2, 1), nn.Conv2d(32, 64, 4, 2, 1)
        self.norm2, self.score = LayerNorm(64, 7, last), Dense((64, 7, 7), 1, last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, 1, 28, 28] -> [B]."""
        x = functional.leaky_relu(self.down1(images), NEGATIVE_SLOPE)
        return self.score(functional.leaky_relu(self.norm2(self.down2(x)), NEGATIVE_SLOPE)).squeeze(1)


class Generator64(nn.Module):
    """As nets.Generator64."""

    def __init__(self, last: bool, latent_dim: int) -> None:
        super().__init__()
        self.dense = Dense(latent_dim, (512, 3, 3), last)
        self.up1, self.norm1 = nn.ConvTranspose2d(512, 256, 3, 3, bias=False), batch_norm(256)
        self.up2, self.norm2 = nn.ConvTranspose2d(256, 128, 5, 2, bias=False), batch_norm(128)
        self.up3 = nn.ConvTranspose2d(128, 3, 4, 3)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """[B, latent_dim] -> [B, 3, 64, 64] in [-1, 1]."""
        x = functional.leaky_relu(self.dense(z), NEGATIVE_SLOPE)
        x = functional.leaky_relu(self.norm1(self.up1(x)), NEGATIVE_SLOPE)
        return torch.tanh(self.up3(functional.leaky_relu(self.norm2(self.up2(x)), NEGATIVE_SLOPE)))


class Critic64(nn.Module):
    """As nets.Critic64 with layer normalisation."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(3, 64, 5, 3)
        self.down2, self.norm2 = nn.Conv2d(64, 128, 5, 3), LayerNorm(128, 6, last)
        self.down3, self.norm3 = nn.Conv2d(128, 256, 5, 3), LayerNorm(256, 1, last)
        self.score = Dense((256, 1, 1), 1, last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, 3, 64, 64] -> [B]."""
        x = functional.leaky_relu(self.down1(images), NEGATIVE_SLOPE)
        x = functional.leaky_relu(self.norm2(self.down2(x)), NEGATIVE_SLOPE)
        x = functional.leaky_relu(self.norm3(self.down3(x)), NEGATIVE_SLOPE)
        return self.score(x).squeeze(1)
