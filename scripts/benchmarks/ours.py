"""phaseloop with everything on: health watch, keyed draws, a log each 100 cycles, a checkpoint each minute.

Its plan is what plan="auto" finds for a run of ten minutes, its threads what --threads auto would: both in the trial of
settings. The pairs run with what was found, as a continued run does.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.worker import Arrays, Loop, Metrics, Settings
from benchmarks.workloads import PENALTY_WEIGHT, Workload, draw_shapes

CHECKPOINT_SECONDS = 60.0
PLANNED_SECONDS = 600.0  # of the run for which a plan is chosen


def candidates(workload: Workload) -> list[Settings]:
    """The plan is chosen by a trial within the process, on all threads and on one for an operation; on a GPU both."""
    if workload.device == "gpu":
        return [{"plan": plan, "threads": None} for plan in ("graph", "xla")]
    return [{"plan": "auto", "threads": threads} for threads in (None, 1)]


def strategy(workload: Workload) -> Any:
    """The loss strategy of ``workload``."""
    from losses.strategies import VAE, WGANGP, Binary, Supervised

    makers: dict[str, Callable[[], Any]] = {"supervised": Supervised, "binary": Binary, "vae": VAE,
                                            "wgan-gp": lambda: WGANGP(workload.latent_dim, PENALTY_WEIGHT)}
    return makers[workload.loss]()


def source(workload: Workload, arrays: Arrays) -> Any:
    """What ours reads."""
    from engine import ArraySource
    from engine.data.augment import scale
    from engine.data.source import unchanged

    return ArraySource(arrays, workload.batch_size, transform=scale if "image" in arrays else unchanged)


def make(workload: Workload, arrays: Arrays, settings: Settings) -> Loop:
    """A ``Trainer`` with the events of a person's run, less evaluation and pictures."""
    from benchmarks import plain_tf

    plain_tf.set_threads(settings["threads"])

    from engine import Event, Every, Recording, Trainer, prepare
    from engine.reporting.recorder import Recorder

    prepare(0, workload.precision)
    nets = plain_tf.make_nets(workload)
    folder = tempfile.TemporaryDirectory()
    trainer = Trainer(strategy(workload), nets, plain_tf.make_optimizers(workload, nets), source(workload, arrays),
                      run_dir=Path(folder.name) / "run", precision=workload.precision, record=False,
                      plan="graph" if settings["plan"] == "auto" else settings["plan"],
                      reproducible=settings.get("reproducible"))
    held_out = source(workload, {name: array[:workload.batch_size] for name, array in arrays.items()})
    recorder = Recorder(trainer, held_out, Recording(Every(cycles=100), Every(epochs=10**6),
                                                     Every(seconds=CHECKPOINT_SECONDS), lambda trainer: {}))
    trainer.events = [Event(event.when, event.what, at_end=False) for event in recorder.events()]
    trainer.open()
    recorder.open(target=10**9)

    def run(cycles: int) -> int:
        trainer.train(cycles=trainer.counters.cycles + cycles)
        return cycles

    if settings["plan"] == "auto":
        settings = {**settings, "plan": _chosen(trainer.engine)}

    def rare() -> float:
        began = time.perf_counter()
        trainer.save()
        spent = time.perf_counter() - began
        folder.cleanup()
        return spent / (CHECKPOINT_SECONDS + spent)

    def facts() -> dict[str, Any]:
        from benchmarks.multiply_adds import cycle_multiply_adds

        return {"settings": settings, "multiply_adds": cycle_multiply_adds(trainer.engine), **gpu_memory()}

    return Loop(run, rare, facts)


def gpu_memory() -> dict[str, int]:
    """The most that TensorFlow had of a GPU's memory, bytes."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return {}
    return {"gpu_peak_bytes": tf.config.experimental.get_memory_info("GPU:0")["peak"]}


def _chosen(engine: Any) -> str:
    """The plan that a trial finds."""
    from engine.run.trial import Trial

    engine.run(1)
    began = time.perf_counter()
    engine.run(1)
    cycles = round(PLANNED_SECONDS / (time.perf_counter() - began))
    return Trial(engine, cycles, time.perf_counter).choose().plan


def verify(workload: Workload, exchange: Path, settings: Settings) -> Metrics:
    """See ``worker.Contestant``. Each phase is run alone, so that all of them start from the same weights."""
    from benchmarks import inputs, plain_tf
    from engine import StepEngine, Update, prepare
    from engine.cycle.plan import Plan

    prepare(0, workload.precision)
    data = source(workload, inputs.read(exchange, workload))
    weights = plain_tf.weights_of(plain_tf.make_nets(workload))
    batch = data.batch(0, ())
    held: dict[str, np.ndarray] = {**weights, **{f"batch.{name}": batch[name].numpy() for name in workload.inputs}}
    metrics = {}
    for phase in strategy(workload).phases():
        alone = replace(phase, repeats=1, reads="data")  # an engine needs a phase that reads
        nets = plain_tf.make_nets(workload)
        plain_tf.load_weights(nets, weights)
        optimizer = plain_tf.make_optimizers(workload, nets)[phase.name]
        variables = nets[workload.moves[phase.name]].trainable_variables
        before = [variable.numpy() for variable in variables]
        plan = "graph" if settings["plan"] == "auto" else Plan(settings["plan"]).of(phase.name).name
        engine = StepEngine([alone], nets, {phase.name: Update(optimizer)}, data, plan=plan)
        totals = engine.run(1).totals[phase.name]
        metrics[phase.name] = {name: float(total / count) for name, (total, count) in totals.items()
                               if name not in ("objective", *phase.watch)}
        metrics[phase.name]["step"] = plain_tf.moved(variables, before)
        held.update(_draws(workload, phase.name))
    _write(exchange / f"{workload.name}.npz", held)
    return metrics


def _draws(workload: Workload, phase: str) -> dict[str, np.ndarray]:
    """What the engine drew at the first update of ``phase``."""
    from engine.noise import Request, key

    kinds = {"z": "normal", "mix": "uniform"}
    return {f"draw.{phase}.{name}": Request(kinds[name], shape[1:]).draw(key(0, phase, 0, name), shape[0]).numpy()
            for name, shape in draw_shapes(workload, phase).items()}


def _write(path: Path, arrays: Arrays) -> None:
    with open(f"{path}.part", "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(f"{path}.part", path)


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("ours", candidates, make, verify)))
