"""PyTorch on the CPU, at the best of eager, channels last, torch.compile (inductor) and threads."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.worker import Figures, Loop, Settings
from benchmarks.workloads import ADAM_EPSILON, PENALTY_WEIGHT, Workload, draw_shapes


def candidates(workload: Workload) -> list[Settings]:
    """Compiled or not, channels first or last, PyTorch's own number of threads or one."""
    lasts = (False,) if workload.name == "vae" else (False, True)
    return [{"compile": compiled, "channels_last": last, "threads": threads}
            for compiled, last, threads in itertools.product((False, True), lasts, (None, 1))
            if workload.name == "vae" or not (compiled and threads)]  # two minutes of compilation to no avail


def losses(workload: Workload, nets: dict[str, Any], compiled: bool) -> dict[str, Callable[..., dict[str, Any]]]:
    """phase -> (raw, **draws) -> terms. The objective is their sum, the penalty times its weight."""
    import torch
    from torch.nn import functional

    def scaled(raw: Any) -> Any:
        return raw.float() * (1.0 / 255.0)

    def elbo(raw: Any, z: Any) -> dict[str, Any]:
        image = scaled(raw).flatten(1)
        mean, log_var = nets["vae"].encode(image)
        logits = nets["vae"].decode(mean + torch.exp(0.5 * log_var) * z)
        summed = functional.binary_cross_entropy_with_logits(logits, image, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum(1).mean()
        return {"reconstruction": summed / len(image), "kl": kl}

    def slope(mixed: Any) -> Any:
        if compiled:  # autograd.grad(create_graph=True) cannot be compiled, this can
            return torch.func.grad(lambda x: nets["critic"](x).sum())(mixed)
        mixed.requires_grad_(True)
        return torch.autograd.grad(nets["critic"](mixed).sum(), mixed, create_graph=True)[0]

    def critic(raw: Any, z: Any, mix: Any) -> dict[str, Any]:
        real = 2.0 * scaled(raw) - 1.0
        with torch.no_grad():
            fake = nets["generator"](z)
        wasserstein = nets["critic"](fake).mean() - nets["critic"](real).mean()
        norm = slope(real + mix[:, None, None, None] * (fake - real)).flatten(1).square().sum(1).add(1e-12).sqrt()
        return {"wasserstein": wasserstein, "gradient_penalty": (norm - 1.0).square().mean()}

    def generator(raw: None, z: Any) -> dict[str, Any]:
        return {"wasserstein": -nets["critic"](nets["generator"](z)).mean()}

    phases = {"elbo": elbo, "critic": critic, "generator": generator}
    return {name: torch.compile(phases[name]) if compiled else phases[name] for name in workload.repeats}


def set_up(workload: Workload, settings: Settings) -> tuple[dict[str, Any], dict[str, Any], Callable[..., Any]]:
    """Nets, optimizers, and the update (phase, raw, draws) -> terms."""
    import torch

    from benchmarks.torch_nets import make_nets

    torch.set_flush_denormal(True)  # as TensorFlow does
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    nets = make_nets(workload, settings["channels_last"])
    terms_of = losses(workload, nets, settings["compile"])
    moved = {phase: list(nets[net].parameters()) for phase, net in workload.nets.items()}
    optimizers = {phase: torch.optim.Adam(each, workload.learning_rate, workload.betas, ADAM_EPSILON, fused=True)
                  for phase, each in moved.items()}

    def update(phase: str, raw: Any, draws: Any) -> dict[str, Any]:
        for other, parameters in moved.items() if len(moved) > 1 else ():  # one phase's gradients are no other's
            for parameter in parameters:
                parameter.requires_grad_(other == phase)
        optimizers[phase].zero_grad(set_to_none=True)
        terms = terms_of[phase](raw, **draws)
        weights = {"gradient_penalty": PENALTY_WEIGHT}
        sum(weights.get(name, 1.0) * term for name, term in terms.items()).backward()
        optimizers[phase].step()
        return terms

    return nets, moved, update


def make(workload: Workload, images: np.ndarray, settings: Settings) -> Loop:
    """Images stay uint8 in memory, in the nets' layout; a batch is gathered at random."""
    import torch

    _, _, update = set_up(workload, settings)
    data = _stored(images, settings)

    def run(cycles: int) -> int:
        for _ in range(cycles):
            for phase, repeats in workload.repeats.items():
                for _ in range(repeats):
                    raw = None if phase == "generator" else data[torch.randint(len(data), (workload.batch_size,))]
                    draws = {name: torch.randn(shape) if name == "z" else torch.rand(shape)
                             for name, shape in draw_shapes(workload, phase).items()}
                    update(phase, raw, draws)
        return cycles

    return Loop(run)


def _stored(images: np.ndarray, settings: Settings) -> Any:
    import torch

    layout = torch.channels_last if settings["channels_last"] else torch.contiguous_format
    return torch.from_numpy(images.transpose(0, 3, 1, 2)).contiguous(memory_format=layout)


def verify(workload: Workload, exchange: Path, settings: Settings) -> Figures:
    """See ``worker.Contestant``."""
    import torch

    from benchmarks.torch_nets import load_weights

    held = dict(np.load(exchange / f"{workload.name}.npz"))
    figures = {}
    for phase in workload.repeats:
        nets, moved, update = set_up(workload, settings)
        load_weights(nets, held)
        before = [parameter.detach().clone() for parameter in moved[phase]]
        draws = {name: torch.from_numpy(held[f"{phase}.{name}"]) for name in draw_shapes(workload, phase)}
        terms = update(phase, _stored(held["raw"], settings), draws)
        steps = [parameter.detach() - old for parameter, old in zip(moved[phase], before, strict=True)]
        figures[phase] = {**{name: term.item() for name, term in terms.items()},
                          "gradient_norm": _norm([parameter.grad for parameter in moved[phase]]), "step": _norm(steps)}
    return figures


def _norm(tensors: list[Any]) -> float:
    return float(sum(tensor.double().square().sum() for tensor in tensors)) ** 0.5


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("torch", candidates, make, verify)))
