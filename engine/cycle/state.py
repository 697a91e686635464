"""What the compiled loop carries from update to update."""

from typing import Any, NamedTuple

import tensorflow as tf


class Place(NamedTuple):
    """Where a run stands. Integers: Python's on the host, int64 scalars in the loop.

    Attributes:
      slot: Completed updates, those included that were not due: each phase has ``repeats`` of them in a cycle.
      completed: Completed updates of each phase; not those that were not due.
      batches: Batches read from each source.
    """

    slot: Any
    completed: tuple[Any, ...]
    batches: tuple[Any, ...]


class Tally(NamedTuple):
    """What one phase has done in this call.

    Attributes:
      rejected: Updates that were not applied; int64.
      sums: [2, n] float64: of the vectors of applied updates, and what the roundings left out.
      fault: [n] float32: the vector of the last bad update.
    """

    rejected: tf.Tensor
    sums: tf.Tensor
    fault: tf.Tensor


class LoopState(NamedTuple):
    """All of it.

    Attributes:
      streak: Bad updates in a row, up to now.
      fault_slot: Slot of the last bad update in this call, or -1. fault_update: Its number within its phase.
      tallies: One per phase.
      waited: Seconds (float64) that readers of batches were waited for.
    """

    place: Place
    streak: tf.Tensor
    fault_slot: tf.Tensor
    fault_update: tf.Tensor
    tallies: tuple[Tally, ...]
    waited: tf.Tensor


class Outcome(NamedTuple):
    """What one update was: the streak and its phase's tally after it, and whether it was at fault."""

    streak: tf.Tensor
    tally: Tally
    fault: tf.Tensor
