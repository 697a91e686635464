"""The losses in PyTorch, to terms. The objective is their sum, the penalty times its weight."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.workloads import Workload

Nets = dict[str, Any]
Batch = dict[str, torch.Tensor]
Terms = dict[str, torch.Tensor]


def _scaled(raw: torch.Tensor) -> torch.Tensor:
    return raw.float() * (1.0 / 255.0)


def supervised(nets: Nets, compiled: bool, batch: Batch) -> Terms:
    """Softmax cross-entropy."""
    logits = nets["classifier"](_scaled(batch["image"])).float()
    return {"cross_entropy": functional.cross_entropy(logits, batch["label"].long())}


def binary(nets: Nets, compiled: bool, batch: Batch) -> Terms:
    """Sigmoid cross-entropy of one logit."""
    logits = nets["classifier"](batch["tokens"]).float()
    return {"cross_entropy": functional.binary_cross_entropy_with_logits(logits, batch["label"].float())}


def elbo(nets: Nets, compiled: bool, batch: Batch, z: torch.Tensor) -> Terms:
    """Reconstruction and KL of a VAE, nats per example."""
    image = _scaled(batch["image"])
    mean, log_var = (each.float() for each in nets["vae"].encode(image))
    logits = nets["vae"].decode(mean + torch.exp(0.5 * log_var) * z).float()
    summed = functional.binary_cross_entropy_with_logits(logits, image, reduction="sum")
    kl = 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum(1).mean()
    return {"reconstruction": summed / len(image), "kl": kl}


def _gradient(critic: Any, mixed: torch.Tensor, compiled: bool) -> torch.Tensor:
    if compiled:  # autograd.grad(create_graph=True) cannot be compiled, this can
        return torch.func.grad(lambda x: critic(x).float().sum())(mixed)
    mixed.requires_grad_(True)
    return torch.autograd.grad(critic(mixed).float().sum(), mixed, create_graph=True)[0]


def critic(nets: Nets, compiled: bool, batch: Batch, z: torch.Tensor, mix: torch.Tensor) -> Terms:
    """Wasserstein loss with gradient penalty."""
    net, real = nets["critic"], 2.0 * _scaled(batch["image"]) - 1.0
    with torch.no_grad():
        fake = nets["generator"](z).float()
    wasserstein = net(fake).float().mean() - net(real).float().mean()
    gradient = _gradient(net, real + mix[:, None, None, None] * (fake - real), compiled)
    norm = gradient.flatten(1).square().sum(1).add(1e-12).sqrt()
    return {"wasserstein": wasserstein, "gradient_penalty": (norm - 1.0).square().mean()}


def generator(nets: Nets, compiled: bool, batch: None, z: torch.Tensor) -> Terms:
    """The critic's score of generated images, to be raised."""
    return {"wasserstein": -nets["critic"](nets["generator"](z)).float().mean()}


# loss of the workload -> phase -> its function
LOSSES: dict[str, dict[str, Callable[..., Terms]]] = {
    "supervised": {"classifier": supervised}, "binary": {"classifier": binary}, "vae": {"elbo": elbo},
    "wgan-gp": {"critic": critic, "generator": generator}}


def losses(workload: Workload, nets: Nets, compiled: bool) -> dict[str, Callable[..., Terms]]:
    """Each phase's, compiled if asked for; forward and loss under autocast if ``workload`` is in bfloat16."""
    def ready(function: Callable[..., Terms]) -> Callable[..., Terms]:
        def plain(batch: Any, **draws: torch.Tensor) -> Terms:
            return function(nets, compiled, batch, **draws)

        def mixed(batch: Any, **draws: torch.Tensor) -> Terms:
            with torch.autocast("cuda" if workload.device == "gpu" else "cpu", torch.bfloat16):
                return function(nets, compiled, batch, **draws)

        chosen = mixed if workload.precision == "bfloat16" else plain
        return torch.compile(chosen) if compiled else chosen

    return {phase: ready(function) for phase, function in LOSSES[workload.loss].items()}
