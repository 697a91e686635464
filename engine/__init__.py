"""phaseloop's engine: loss strategies in, compiled multi-optimizer training out."""

from engine.cycle.health import BadUpdate, Spike
from engine.cycle.step import StepEngine
from engine.cycle.update import Update
from engine.data.source import ArraySource, DatasetSource, Source
from engine.errors import Invalid
from engine.noise import Noise
from engine.run.counters import Counters
from engine.run.environment import prepare
from engine.run.events import Event, Every
from engine.run.goal import Goal
from engine.run.signals import Interrupted
from engine.run.trainer import Trainer
from engine.strategy import LossStrategy, Phase

__all__ = ["ArraySource", "BadUpdate", "Counters", "DatasetSource", "Event", "Every", "Goal", "Interrupted", "Invalid",
           "LossStrategy", "Noise", "Phase", "Source", "Spike", "StepEngine", "Trainer", "Update", "prepare"]
