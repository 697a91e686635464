"""phaseloop's engine: loss strategies in, compiled multi-optimizer training out."""

from importlib import metadata

from engine import clash
from engine.quiet import quiet

with quiet():
    import tensorflow  # noqa: F401  (first: it says a good deal while it loads)

from engine.cycle.average import average_of
from engine.cycle.health import BadUpdate, Spike
from engine.cycle.pull import Pull
from engine.cycle.scope import at, weights_of
from engine.cycle.step_engine import StepEngine
from engine.cycle.update import Update
from engine.data.bucketed import BucketedSource
from engine.data.dataset_source import DatasetSource
from engine.data.source import ArraySource, Source
from engine.errors import Invalid
from engine.noise import Noise
from engine.opened import Run, open_run
from engine.reporting.recording import Recording
from engine.reporting.writer import History, Start, Timestamp, Writer
from engine.run.counters import Counters
from engine.run.environment import prepare
from engine.run.events import Event, Every, Stop
from engine.run.goal import Goal
from engine.run.plateau import Plateau
from engine.run.signals import Interrupted
from engine.strategy import Counts, LossStrategy, Phase, Ratio
from engine.trainer import Trainer
from engine.warm_start import freeze, warm_start
from engine.workers.links import WorkerLost

__all__ = [
    "ArraySource",
    "BadUpdate",
    "BucketedSource",
    "Counters",
    "Counts",
    "DatasetSource",
    "Event",
    "Every",
    "Goal",
    "History",
    "Interrupted",
    "Invalid",
    "LossStrategy",
    "Noise",
    "Phase",
    "Plateau",
    "Pull",
    "Ratio",
    "Recording",
    "Run",
    "Source",
    "Spike",
    "Start",
    "StepEngine",
    "Stop",
    "Timestamp",
    "Trainer",
    "Update",
    "WorkerLost",
    "Writer",
    "at",
    "average_of",
    "freeze",
    "open_run",
    "prepare",
    "warm_start",
    "weights_of",
]

try:
    __version__ = metadata.version("phaseloop")
except metadata.PackageNotFoundError:  # the folder of a clone on Python's path, not installed
    __version__ = "unknown"
clash.explain()
