"""phaseloop with everything on: health watch, keyed draws, a log each 100 cycles, a checkpoint each minute."""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.worker import Figures, Loop, Settings
from benchmarks.workloads import LAYERS, PENALTY_WEIGHT, PLANS, Workload, draw_shapes

CHECKPOINT_SECONDS = 60.0


def candidates(workload: Workload) -> list[Settings]:
    """One: the plan is given."""
    return [{"plan": PLANS[workload.name], "threads": None}]


def strategy(workload: Workload) -> Any:
    """The loss strategy of ``workload``."""
    from losses.strategies import VAE, WGANGP

    return VAE() if workload.name == "vae" else WGANGP(workload.latent_dim, PENALTY_WEIGHT)


def make(workload: Workload, images: np.ndarray, settings: Settings) -> Loop:
    """A ``Trainer`` with the events of a person's run, less evaluation and pictures."""
    from benchmarks import plain_tf

    plain_tf.set_threads(settings["threads"])

    from engine import ArraySource, Event, Every, Trainer, prepare
    from engine.data.augment import scale
    from engine.reporting.recorder import Recorder

    prepare(0)
    nets = plain_tf.make_nets(workload)
    source = ArraySource({"image": images}, workload.batch_size, transform=scale)
    folder = tempfile.TemporaryDirectory()
    trainer = Trainer(strategy(workload), nets, plain_tf.make_optimizers(workload, nets), source,
                      run_dir=Path(folder.name) / "run", plan=settings["plan"])
    held_out = ArraySource({"image": images[:workload.batch_size]}, workload.batch_size, transform=scale)
    recorder = Recorder(trainer, held_out, lambda trainer: {}, target=10**9)
    events = recorder.events(Every(cycles=100), Every(epochs=10**6), Every(seconds=CHECKPOINT_SECONDS))
    trainer.events = [Event(event.when, event.what, at_end=False) for event in events]

    def run(cycles: int) -> int:
        trainer.train(cycles=trainer.counters.cycles + cycles)
        return cycles

    def rare() -> float:
        began = time.perf_counter()
        trainer.save()
        spent = time.perf_counter() - began
        folder.cleanup()
        return spent / (CHECKPOINT_SECONDS + spent)

    return Loop(run, rare)


def verify(workload: Workload, exchange: Path, settings: Settings) -> Figures:
    """See ``worker.Contestant``. Each phase is run alone, so that all of them start from the same weights."""
    from benchmarks import plain_tf
    from engine import ArraySource, StepEngine, Update, prepare
    from engine.data.augment import scale

    prepare(0)
    images = np.load(exchange / f"{workload.name}.npy")
    source = ArraySource({"image": images}, workload.batch_size, transform=scale)
    weights = _weights(plain_tf.make_nets(workload))
    held: dict[str, np.ndarray] = {**weights, "raw": source.batch(0, ())["image"].numpy()}
    figures = {}
    for phase in strategy(workload).phases():
        alone = replace(phase, repeats=1, reads_batch=True)  # an engine needs a phase that reads
        nets = plain_tf.make_nets(workload)
        plain_tf.load_weights(nets, weights)
        optimizer = plain_tf.make_optimizers(workload, nets)[phase.name]
        variables = nets[workload.nets[phase.name]].trainable_variables
        before = [variable.numpy() for variable in variables]
        engine = StepEngine([alone], nets, {phase.name: Update(optimizer)}, source, plan=settings["plan"])
        totals = engine.run(1).totals[phase.name]
        figures[phase.name] = {name: float(total / count) for name, (total, count) in totals.items()
                               if name != "objective"}
        figures[phase.name]["step"] = plain_tf.moved(variables, before)
        held.update(_draws(workload, phase.name))
    _write(exchange / f"{workload.name}.npz", held)
    return figures


def _draws(workload: Workload, phase: str) -> dict[str, np.ndarray]:
    """What the engine drew at the first update of ``phase``."""
    from engine.noise import Request, key

    kinds = {"z": "normal", "mix": "uniform"}
    return {f"{phase}.{name}": Request(kinds[name], shape[1:]).draw(key(0, phase, 0, name), shape[0]).numpy()
            for name, shape in draw_shapes(workload, phase).items()}


def _weights(nets: dict[str, Any]) -> dict[str, np.ndarray]:
    return {f"{name}.{layer}.{i}": array for name, net in nets.items() for layer in LAYERS[name]
            for i, array in enumerate(getattr(net, layer).get_weights())}


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with open(f"{path}.part", "wb") as file:
        np.savez(file, **arrays)
    os.replace(f"{path}.part", path)


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("ours", candidates, make, verify)))
