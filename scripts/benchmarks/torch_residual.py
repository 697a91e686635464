"""ResNet-18 and DenseNet in PyTorch, layer for layer those of nets/, in the same order."""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_layers import Dense, batch_norm


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Padded as Keras does: evenly, but with a stride only at the end, where ``_padded`` does it."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2 if stride == 1 else 0, bias=False)


def _padded(x: torch.Tensor, stride: int) -> torch.Tensor:
    return functional.pad(x, (0, 1, 0, 1)) if stride == 2 else x


def _norm(channels: int) -> nn.BatchNorm2d:
    return batch_norm(channels, 0.9, 1e-5)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride, self.projects = stride, stride > 1 or inputs != width
        if self.projects:
            self.projection, self.projection_norm = _conv(inputs, width, 1, stride), _norm(width)
        self.conv1, self.norm1 = _conv(inputs, width, 3, stride), _norm(width)
        self.conv2, self.norm2 = _conv(width, width, 3), _norm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, inputs, h, w] -> [B, width, h/stride, w/stride]."""
        y = functional.relu(self.norm1(self.conv1(_padded(x, self.stride))))
        y = self.norm2(self.conv2(y))
        return functional.relu((self.projection_norm(self.projection(x)) if self.projects else x) + y)


class ResNet18(nn.Module):
    """As nets.ResNet18 after the stem "cifar"."""

    def __init__(self, last: bool, stem: str, channels: int = 3) -> None:
        super().__init__()
        assert stem == "cifar", stem
        self.conv, self.norm = _conv(channels, 64, 3), _norm(64)
        widths = [64 << stage for stage in range(4) for _ in range(2)]
        self.blocks = nn.Sequential(*[BasicBlock(before, width, 1 if before == width else 2)
                                      for before, width in zip([64, *widths], widths, strict=False)])
        self.logits = Dense(512, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, c, h, w] -> logits [B, 10]."""
        x = self.blocks(functional.relu(self.norm(self.conv(images))))
        return self.logits(x.mean((2, 3)))


class DenseLayer(nn.Module):
    """Normalisation, ReLU, 3x3 convolution to channels that are appended to the input's."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = _norm(inputs), _conv(inputs, growth, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w] -> [B, C + growth, h, w]."""
        return torch.cat([x, self.conv(functional.relu(self.norm(x)))], 1)


class Transition(nn.Module):
    """Normalisation, ReLU, 1x1 convolution, means of 2x2; an odd side is rounded up, its edge the mean of what is."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm, self.conv = _norm(inputs), _conv(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w] -> [B, outputs, h/2, w/2]."""
        x = self.conv(functional.relu(self.norm(x)))
        return functional.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)


class DenseNet(nn.Module):
    """As nets.DenseNet: 4 blocks of 4 layers, growth 32, half the channels kept between blocks."""

    def __init__(self, last: bool, growth: int = 32) -> None:
        super().__init__()
        self.conv, channels = _conv(1, 64, 3), 64
        parts: list[nn.Module] = []
        for block in range(4):
            if block:
                parts.append(Transition(channels, channels // 2))
                channels //= 2
            for _ in range(4):
                parts.append(DenseLayer(channels, growth))
                channels += growth
        self.parts, self.last_norm, self.logits = nn.Sequential(*parts), _norm(channels), Dense(channels, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, 1, h, w] -> logits [B, 10]."""
        x = functional.relu(self.last_norm(self.parts(self.conv(images))))
        return self.logits(x.mean((2, 3)))
