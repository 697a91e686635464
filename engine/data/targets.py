"""Transforms of targets that run in the graph: ``transform(batch, noise) -> batch``."""

from engine.data.source import Batch
from engine.noise import Noise


def one_target(batch: Batch, noise: Noise) -> Batch:
    """Targets ``batch["y"]`` [B, 1], where there are any, as [B]: what a net with one output gives."""
    return {**batch, "y": batch["y"][:, 0]} if "y" in batch else dict(batch)
