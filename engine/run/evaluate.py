"""Exact metrics over a source: every example once, padding never, averaged weights when there are any."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.agreement import survey_each
from engine.cycle.buckets import Buckets
from engine.cycle.converted import as_loss, converted
from engine.cycle.inputs import Inputs
from engine.cycle.lookups import check_ranges
from engine.cycle.plan import Plan
from engine.cycle.reads import Reads
from engine.cycle.scope import Scope
from engine.data.source import Source
from engine.errors import require
from engine.noise import Noise, key
from engine.run.failure import told
from engine.strategy import Loss, Nets
from engine.workers.workers import Workers


class Evaluation:
    """``function(nets, batch, noise) -> {name: [B, ...]}`` over all of ``source``, in stored order.

    Args:
      averages: (variable, averaged value) pairs: the nets are read with the averages in place.
      state: The strategy's, for a function with a fourth argument.
      place: Part of the key of the random draws: the same draws at every evaluation.
      workers: Those among whom the batches are dealt out in turn; the numbers are the same for any number of them.
    """

    def __init__(self, function: Loss, nets: Nets, source: Source, *, seed: int, plan: str,
                 averages: Sequence[tuple[Any, Any]] = (), state: Mapping[str, tf.Variable] | None = None,
                 place: str = "evaluation", workers: Workers | None = None) -> None:
        self.source, self._nets, self._averages, self._state = source, nets, averages, state or {}
        self._function, self._transform = as_loss(function, nets), converted(source.transform)
        self._seed, self._place, self._workers = seed, place, workers or Workers()
        specs = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in self._state.items()}
        self._survey = survey_each(function, nets, Reads.one(source), place, specs)
        check_ranges(self._survey.lookups, Reads.one(source), place)
        self._buckets = Buckets(Reads.one(source), self._survey)
        for name, shape in self._survey.shapes.items():
            require(shape[:1] == (source.batch_size,), f"{place} {name}", f"shape {list(shape)}",
                    f"of first axis {source.batch_size}, one number per example")
        compiled = Plan(plan)
        self._values = compiled.part(self._values_of)
        self._loop = compiled.loop(self._sums)
        self._each = Plan(plan).loop(self._batch)

    @property
    def names(self) -> list[str]:
        """Names of the metrics."""
        return list(self._survey.shapes)

    def means(self) -> dict[str, float]:
        """The mean of each per-example metric over all examples."""
        for name, shape in self._survey.shapes.items():
            require(len(shape) == 1, f"metric {name}", f"shape {list(shape)}", "one number per example")
        if not self._survey.shapes:
            return {}
        with self._told():
            reader = self.source.open_in_order(self._workers.part)
            sums = self._loop(reader).numpy()  # [batches, metrics and the weight]
        whole = np.cumsum(self._workers.added(sums, self._place), axis=0)[-1]  # one after the other
        self.source.check_read(int(whole[-1]), reader)
        return {name: float(total) / float(whole[-1]) for name, total in zip(self.names, whole, strict=False)}

    def examples(self) -> dict[str, np.ndarray]:
        """The metric of each example, [N, ...] each, in stored order."""
        part, found = self._workers.part, dict[str, np.ndarray]()
        reader = self.source.open_in_order(part)
        for number in range(part.number, self.source.batches_in_order, part.of):
            with self._told():
                values, weights = self._each(tf.constant(number, tf.int64), reader)
                kept = weights.numpy() > 0
                found |= {f"{number}/{name}": value.numpy()[kept] for name, value in values.items()}
                found[f"{number}/"] = np.array(kept.sum())
        for other in self._workers.arrays_from_all(found, self._place):
            found |= other
        batches = range(self.source.batches_in_order)
        self.source.check_read(int(sum(found[f"{number}/"] for number in batches)), reader)
        whole = {name: np.concatenate([found[f"{number}/{name}"] for number in batches]) for name in self.names}
        if self.source.stored_places is None:
            return whole
        order = np.argsort(self.source.stored_places)
        return {name: values[order] for name, values in whole.items()}

    def _told(self) -> AbstractContextManager[None]:
        return told("evaluation", f"{self.source.size} examples, {self.source.batch_size} at a time",
                    "it takes smaller examples or nets, or fewer at a time")

    # Traced from here on.

    def _values_of(self, raw: Any, data_draws: Any, draws: Any) -> dict[str, tf.Tensor]:
        inputs = Inputs({"": raw}, {"": data_draws}, draws, tf.zeros([0, 2], tf.int64))
        found: dict[str, tf.Tensor] = self._buckets.choose(inputs, self._values_at)
        return found

    def _values_at(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        examples = self.source.batch_size
        state = {name: variable.read_value() for name, variable in self._state.items()}
        with Scope([(v, tf.convert_to_tensor(average)) for v, average in self._averages]):
            batch = self._transform(inputs.raw[""], Noise(examples=examples, drawn=inputs.data[""]))
            return dict(self._function(self._nets, batch, Noise(examples=examples, drawn=inputs.loss), state))

    def _batch(self, number: tf.Tensor, reader: Any) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        raw, weights = self.source.in_order(number, reader)
        draws = [{name: request.draw(key(self._seed, place, number, name), self.source.batch_size)
                  for name, request in requests.items()}
                 for place, requests in (("evaluation data", self._survey.data_requests[""]),
                                         (self._place, self._survey.requests))]
        return self._values(raw, *draws), weights

    def _sums(self, reader: Any) -> tf.Tensor:
        """[batches, metrics and one]: of each batch of this worker the sums of metrics and of weights, float64."""
        count, part = self.source.batches_in_order, self._workers.part

        def one(number: tf.Tensor, sums: tf.TensorArray) -> Any:
            values, weights = self._batch(number, reader)
            counted = [tf.where(weights > 0, tf.cast(values[name], tf.float64), 0.0) for name in self.names]
            row = tf.stack([tf.reduce_sum(each) for each in [*counted, tf.cast(weights, tf.float64)]])
            return number + part.of, sums.write(tf.cast(number, tf.int32), row)

        sums = tf.TensorArray(tf.float64, count, element_shape=[len(self.names) + 1])
        begun = sums.unstack(tf.zeros([count, len(self.names) + 1], tf.float64))
        found: tf.Tensor = tf.while_loop(lambda number, *_: number < count, one,
                                         [tf.constant(part.number, tf.int64), begun])[1].stack()
        return found


def first_examples(source: Source, count: int) -> dict[str, tf.Tensor]:
    """The first ``count`` raw examples of ``source`` in stored order, at most all of them; at the longest bucket."""
    reader, parts, places = source.open_in_order(), [], source.stored_places
    count, found, passed = min(count, source.size), 0, 0
    for number in range(source.batches_in_order):
        raw, weights = source.in_order(tf.constant(number, tf.int64), reader)
        held = int(tf.reduce_sum(weights))
        mine = np.arange(passed, passed + held) if places is None else places[passed:passed + held]
        rows = np.flatnonzero(mine < count)
        parts.append((mine[rows], {name: tf.gather(raw[name], rows) for name in Reads.one(source).specs("")}))
        found, passed = found + len(rows), passed + held
        if found == count:
            break
    order = np.argsort(np.concatenate([mine for mine, _ in parts]))
    return {name: tf.gather(tf.concat([part[name] for _, part in parts], axis=0), order) for name in parts[0][1]}
