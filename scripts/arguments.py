"""What a training script's options mean for the ``Trainer``, and what of them the run records."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import fields
import groups

Chosen = TypeVar("Chosen", bound=groups.TrainOptions)


def of_trainer(options: groups.TrainOptions) -> dict[str, Any]:
    """The Trainer's arguments that are options."""
    from engine import Every, Goal, Spike
    from engine.errors import require

    run, watch = options.run, options.watch
    require(watch.goal or not watch.patience, "--patience", watch.patience, "left out without --goal")
    spike = Spike(standard_deviations=watch.spike_threshold) if watch.spike_threshold else None
    patience = Every(epochs=watch.patience) if watch.patience else None
    goal = Goal(watch.goal, watch.better, patience) if watch.goal else None
    return {"seed": run.seed, "run_dir": None if run.measure else run.run_dir, "plan": run.plan,
            "precision": run.precision, "deterministic": not run.not_deterministic,
            "reproducible": run.reproducible,
            "on_bad_update": watch.on_bad_update, "spike": spike, "goal": goal, "keep": watch.keep}


def recording(options: groups.TrainOptions, job: Any) -> Any:
    """What is recorded, and when."""
    from engine import Every, Recording

    often = options.often
    log = Every(cycles=often.log_every) if often.log_every else None
    return Recording(log, Every(epochs=often.evaluate_every), Every(seconds=often.checkpoint_every), job.draw,
                     job.at_end, often.histograms, often.profile)


def length(options: groups.TrainOptions) -> dict[str, Any]:
    """How long is trained."""
    return {"cycles": options.run.cycles} if options.run.cycles else {"epochs": options.run.epochs}


def config(options: groups.TrainOptions) -> dict[str, Any]:
    """What makes two runs the same run: the script and its options, those left out aside."""
    return {"script": options.SCRIPT, **fields.identity(options)}


@contextlib.contextmanager
def of_smoke(options: Chosen) -> Iterator[Chosen]:
    """The options; with --smoke those of a short training in a temporary folder."""
    if not options.often.smoke:
        yield options
        return
    with tempfile.TemporaryDirectory() as folder:
        yield fields.replaced(options, {"batch_size": 8, "cycles": 2, "log_every": 1,
                                        "run_dir": Path(folder) / "smoke"})
