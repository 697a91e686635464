"""PyTorch at its best: on the CPU of eager, channels last, torch.compile (inductor) and threads; on a GPU compiled,
channels last, and with or without one CUDA graph for the whole cycle, random batches and draws included.
"""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.inputs import batch_of
from benchmarks.worker import Arrays, Loop, Metrics, Settings
from benchmarks.workloads import ADAM_EPSILON, PENALTY_WEIGHT, Workload, draw_shapes, reads

TRIAL_LIMIT = 600.0  # seconds: torch.compile needs more than two minutes for a WGAN-GP


def candidates(workload: Workload) -> list[Settings]:
    """Compiled or not, channels first or last, PyTorch's own number of threads or one; or those of a GPU."""
    if workload.device == "gpu":
        ways = [(True, False), (True, True)] + [(False, True)] * (workload.name == "lstm")  # which is cuDNN's
        return [{"compile": compiled, "channels_last": not workload.small, "threads": None, "captured": captured}
                for compiled, captured in ways]
    return [{"compile": compiled, "channels_last": last, "threads": threads}
            for compiled, last, threads in itertools.product((False, True), (False, True), (None, 1))
            if not (last if workload.small else threads)]  # convolutions are faster on all cores


def set_up(workload: Workload, settings: Settings, epsilon: float = ADAM_EPSILON
           ) -> tuple[dict[str, Any], dict[str, Any], Callable[..., Any]]:
    """Nets, the parameters that each phase moves, and the update (phase, batch, draws) -> terms."""
    import torch

    from benchmarks.torch_losses import losses
    from benchmarks.torch_nets import make_nets

    torch.set_flush_denormal(True)  # as TensorFlow does
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    if workload.device == "gpu":
        torch.set_float32_matmul_precision("high")  # TF32, as TensorFlow has it by default
        torch.backends.cudnn.benchmark = True
    captured = settings.get("captured", False)
    nets = {name: net.to(device(workload)) for name, net in make_nets(workload, settings["channels_last"]).items()}
    terms_of = losses(workload, nets, settings["compile"])
    moved = {phase: [each for each in nets[net].parameters() if each.requires_grad]
             for phase, net in workload.moves.items()}
    optimizers = {phase: torch.optim.Adam(each, workload.learning_rate, workload.betas, epsilon, fused=True,
                                          capturable=captured)
                  for phase, each in moved.items()}

    def update(phase: str, batch: Any, draws: Any) -> dict[str, Any]:
        for other, parameters in moved.items() if len(moved) > 1 else ():  # one phase's gradients are no other's
            for parameter in parameters:
                parameter.requires_grad_(other == phase)
        optimizers[phase].zero_grad(set_to_none=True)
        terms = terms_of[phase](batch, **draws)
        weights = {"gradient_penalty": PENALTY_WEIGHT}
        sum(weights.get(name, 1.0) * term for name, term in terms.items()).backward()
        optimizers[phase].step()
        return terms

    return nets, moved, update


def make(workload: Workload, arrays: Arrays, settings: Settings) -> Loop:
    """Inputs stay in memory as stored, images in the nets' layout; a batch is gathered at random."""
    import torch

    _, _, update = set_up(workload, settings)
    place, on_gpu = device(workload), workload.device == "gpu"
    data = {name: _stored(array, settings).to(place) for name, array in arrays.items()}
    size = len(next(iter(data.values())))

    def cycle() -> None:
        for phase, repeats in workload.repeats.items():
            for _ in range(repeats):
                chosen = torch.randint(size, (workload.batch_size,), device=place)
                batch = {name: each[chosen] for name, each in data.items()} if reads(phase) else None
                draws = {name: torch.randn(shape, device=place) if name == "z" else torch.rand(shape, device=place)
                         for name, shape in draw_shapes(workload, phase).items()}
                update(phase, batch, draws)

    once = _captured(cycle) if settings.get("captured") else cycle

    def run(cycles: int) -> int:
        for _ in range(cycles):
            once()
        if on_gpu:
            torch.cuda.synchronize()
        return cycles

    return Loop(run, facts=lambda: {"gpu_peak_bytes": torch.cuda.max_memory_allocated()} if on_gpu else {})


def device(workload: Workload) -> str:
    """PyTorch's name of where it computes."""
    return "cuda" if workload.device == "gpu" else "cpu"


def _captured(cycle: Callable[[], None]) -> Callable[[], None]:
    """``cycle`` as one CUDA graph, after the three runs on a stream of their own that PyTorch's manual asks for."""
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            cycle()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        cycle()
    return graph.replay


def _stored(array: np.ndarray, settings: Settings) -> Any:
    """Images as [N, c, h, w]."""
    import torch

    if array.ndim < 4:
        return torch.from_numpy(array)
    layout = torch.channels_last if settings["channels_last"] else torch.contiguous_format
    return torch.from_numpy(array.transpose(0, 3, 1, 2)).contiguous(memory_format=layout)


def verify(workload: Workload, exchange: Path, settings: Settings) -> Metrics:
    """See ``worker.Contestant``.

    PyTorch adds Adam's epsilon after the correction of the second moment, Keras before: at the first update Keras's
    counts for epsilon / sqrt(1 - beta2) here.
    """
    import torch

    from benchmarks.torch_layers import load_weights

    held = dict(np.load(exchange / f"{workload.name}.npz"))
    place = device(workload)
    batch = {name: _stored(array, settings).to(place) for name, array in batch_of(held, workload.inputs).items()}
    metrics = {}
    for phase in workload.repeats:
        nets, moved, update = set_up(workload, settings, ADAM_EPSILON / (1.0 - workload.betas[1]) ** 0.5)
        load_weights(nets, held)
        before = [parameter.detach().clone() for parameter in moved[phase]]
        draws = {name: torch.from_numpy(held[f"draw.{phase}.{name}"]).to(place)
                 for name in draw_shapes(workload, phase)}
        terms = update(phase, batch, draws)
        steps = [parameter.detach() - old for parameter, old in zip(moved[phase], before, strict=True)]
        metrics[phase] = {**{name: term.item() for name, term in terms.items()},
                          "gradient_norm": _norm([parameter.grad for parameter in moved[phase]]), "step": _norm(steps)}
    return metrics


def _norm(tensors: list[Any]) -> float:
    return float(sum(tensor.double().square().sum() for tensor in tensors)) ** 0.5


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("torch", candidates, make, verify, TRIAL_LIMIT)))
