"""Batches of several lengths: each is stored and handed on at the longest, and computed at that of its bucket.

So a loop, a block or a worker knows one form, and a short batch costs what a short batch costs.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from engine.cycle.inputs import Inputs
from engine.cycle.reads import Reads
from engine.cycle.trace import Traced
from engine.data.source import BUCKET, Batch, Specs
from engine.noise import Request


class Buckets:
    """The forms in which a function is computed.

    Attributes:
      declared: Whether it reads a source with buckets; else there is nothing to choose.
    """

    def __init__(self, reads: Reads, traced: Traced) -> None:
        self._bucketed = reads.bucketed
        self.declared = bool(self._bucketed)
        self._forms = list(zip(reads.in_each_bucket, traced.draws, strict=True)) if self._bucketed else []

    def choose(self, inputs: Inputs, function: Callable[[Inputs], Any]) -> Any:
        """``function`` of the inputs, cut to the form of their bucket. It must give the same forms for all of them."""
        if not self._bucketed:
            return function(inputs)
        if len(self._forms) == 1:
            return function(self._cut(inputs, 0))
        return tf.switch_case(self._place(inputs), [partial(self._branch, function, inputs, place)
                                                    for place in range(len(self._forms))])

    def _branch(self, function: Callable[[Inputs], Any], inputs: Inputs, place: int) -> Any:
        return tf.nest.map_structure(tf.convert_to_tensor, function(self._cut(inputs, place)))

    def _place(self, inputs: Inputs) -> tf.Tensor:
        """Among the combinations of ``Reads.in_each_bucket``."""
        place = tf.constant(0)
        for name, count in self._bucketed.items():
            place = place * count + inputs.raw[name][BUCKET][0]
        return place

    def _cut(self, inputs: Inputs, place: int) -> Inputs:
        reads, (requests, data_requests) = self._forms[place]
        return inputs._replace(
            raw={name: cut(raw, reads.specs(name)) for name, raw in inputs.raw.items()},
            data={name: _drawn(drawn, data_requests[name]) for name, drawn in inputs.data.items()},
            loss=_drawn(inputs.loss, requests))


def cut(raw: Batch, specs: Specs) -> dict[str, tf.Tensor]:
    """A raw batch, or a part of one, as the transform gets it."""
    return {name: _to(raw[name], spec.shape[1:]) for name, spec in specs.items()}


def _drawn(drawn: Mapping[str, tf.Tensor], requests: Mapping[str, Request]) -> dict[str, tf.Tensor]:
    return {name: _to(drawn[name], request.shape) for name, request in requests.items()}


def _to(tensor: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """The beginning of each example."""
    if tuple(tensor.shape[1:]) == tuple(shape):
        return tensor
    sides = (slice(None), *(slice(side) for side in shape))
    return tensor[sides]
