"""PyTorch's layers as Keras has them, and the table by which weights are handed over."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import layouts
from benchmarks.layouts import Size

Turn = Callable[[np.ndarray], np.ndarray]
NORM_EPSILON = 1e-3  # Keras's, of batch and layer normalisation; PyTorch's own is 1e-5


class Dense(nn.Linear):
    """A dense layer from and to units or feature maps; ``last``: these lie as [h, w, c] in memory."""

    def __init__(self, inputs: Size, outputs: Size, last: bool = False, bias: bool = True) -> None:
        count, units = (size if isinstance(size, int) else math.prod(size) for size in (inputs, outputs))
        super().__init__(count, units, bias)
        self.inputs, self.outputs, self.last = inputs, outputs, last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, c, h, w] or [B, in] -> [B, c, h, w] or [B, out]; ``last`` saves the copy between the two layouts."""
        x = super().forward((x.permute(0, 2, 3, 1) if self.last and x.dim() == 4 else x).flatten(1))
        if isinstance(self.outputs, int):
            return x
        channels, height, width = self.outputs
        return x.view(-1, height, width, channels).permute(0, 3, 1, 2) if self.last else x.view(-1, *self.outputs)


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


def batch_norm(channels: int, momentum: float = 0.99, epsilon: float = NORM_EPSILON) -> nn.BatchNorm2d:
    """Batch normalisation with Keras's ``momentum``, which PyTorch counts from the other end."""
    return nn.BatchNorm2d(channels, epsilon, 1.0 - momentum)


def _dense(layer: Dense) -> list[Any]:
    inputs, outputs = (math.prod(size) if layer.last and not isinstance(size, int) else size
                       for size in (layer.inputs, layer.outputs))
    return [(layer.weight, partial(layouts.dense, inputs=inputs, outputs=outputs)),
            (layer.bias, partial(layouts.units, outputs=outputs))]


def _convolution(layer: Any) -> list[Any]:
    return [(layer.weight, layouts.convolution), (layer.bias, layouts.same)]


def _layer_norm(layer: LayerNorm) -> list[Any]:
    turn = layouts.same if layer.last else layouts.feature_map
    return [(layer.weight, turn), (layer.bias, turn)]


def _batch_norm(layer: nn.BatchNorm2d) -> list[Any]:
    return [(each, layouts.same) for each in (layer.weight, layer.bias, layer.running_mean, layer.running_var)]


def _lstm(layer: nn.LSTM) -> list[Any]:
    return [(getattr(layer, f"{name}_l{i}"), layouts.gates) for i in range(layer.num_layers)
            for name in ("weight_ih", "weight_hh", "bias_ih")]


# Layer -> its tensors in Keras's order, each with what turns Keras's array into it; a tensor may be None.
CONVERSIONS: dict[type, Callable[[Any], list[tuple[torch.Tensor | None, Turn]]]] = {
    Dense: _dense, nn.Conv2d: _convolution, nn.ConvTranspose2d: _convolution, LayerNorm: _layer_norm,
    nn.BatchNorm2d: _batch_norm, nn.Embedding: lambda layer: [(layer.weight, layouts.same)], nn.LSTM: _lstm}


def load_weights(nets: Mapping[str, nn.Module], weights: Mapping[str, np.ndarray]) -> None:
    """From Keras's, {"net.<name>.<number>": array}: the layers of a net come in the same order here and there."""
    for name, net in nets.items():
        targets = [each for layer in net.modules() if type(layer) in CONVERSIONS
                   for each in CONVERSIONS[type(layer)](layer) if each[0] is not None]
        arrays = [weights[key] for key in sorted(weights) if key.startswith(f"net.{name}.")]
        with torch.no_grad():
            for (target, turn), array in zip(targets, arrays, strict=True):
                assert target is not None
                assert target.shape == turn(array).shape, (name, target.shape, array.shape)
                target.copy_(torch.from_numpy(turn(array)))


def initialise(net: nn.Module) -> None:
    """Keras's own initial distributions: Glorot's for kernels, zeros for biases."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Embedding):
            nn.init.uniform_(layer.weight, -0.05, 0.05)
