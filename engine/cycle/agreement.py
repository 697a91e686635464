"""A function that reads batches of several lengths is traced at each; what the engine counts on must be the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from engine.cycle.failing import CannotTake
from engine.cycle.reads import Reads
from engine.cycle.symbolic import Specs
from engine.cycle.trace import Traced, survey, trace
from engine.data.source import BUCKET, Source
from engine.errors import Invalid, require
from engine.noise import Request
from engine.strategy import Nets, Phase


def trace_each(phase: Phase, nets: Nets, reads: Reads, state: Specs | None = None, every_term: bool = False) -> Traced:
    """``trace`` in each bucket, in the longest first: that is the form that nets are built for.

    Raises:
      Invalid: Terms, statistics or draws that are others in another bucket.
    """
    place = f"phase {phase.name}"
    each = _each(reads, place, lambda at: trace(phase, nets, at, state, every_term))
    longest = each[-1]
    for at, traced in zip(reads.in_each_bucket, each, strict=True):
        where = _where(at)
        for what, of in (("terms", lambda traced: {name: form.value for name, form in traced.terms.items()}),
                         ("penalties", lambda traced: traced.regularized),
                         ("assigned variables", lambda traced: sorted(v.path for v in traced.assigned))):
            require(of(traced) == of(longest), f"{what} of {place}{where}", of(traced),
                    f"as in the longest bucket, {of(longest)}")
        _require_forms(place, where, traced, longest, phase.passes)
    without = [{id(v) for v in traced.without_gradient} for traced in each]
    return replace(
        _largest(place, each), whole=list(dict.fromkeys(name for traced in each for name in traced.whole)),
        without_gradient=[v for v in longest.without_gradient if all(id(v) in lost for lost in without)],
        weights_move=any(traced.weights_move for traced in each), single=any(traced.single for traced in each),
        inner_gradient=any(traced.inner_gradient for traced in each), loops=any(traced.loops for traced in each),
        pools=any(traced.pools for traced in each))


def survey_each(function: Callable[..., Any], nets: Nets, reads: Reads, place: str, state: Specs | None = None
                ) -> Traced:
    """``survey`` in each bucket. Raises ``Invalid`` for results or draws that are others in another bucket."""
    each = _each(reads, place, lambda at: survey(function, nets, at, place, state))
    for at, traced in zip(reads.in_each_bucket, each, strict=True):
        names = list(traced.shapes)
        require(set(names) == set(each[-1].shapes), f"results of {place}{_where(at)}", names,
                f"as in the longest bucket, {list(each[-1].shapes)}")
        _require_forms(place, _where(at), traced, each[-1], names)
    return _largest(place, each)


def _each(reads: Reads, place: str, traced: Callable[[Reads], Traced]) -> list[Traced]:
    for name, source in reads.sources.items():
        if source.buckets:
            _check(name, source)
    *shorter, longest = reads.in_each_bucket
    found = [traced(longest)]
    for at in shorter:
        try:
            found.append(traced(at))
        except Exception as error:
            if isinstance(error, Invalid) and not isinstance(error, CannotTake):
                raise
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise Invalid(f"`{place}{_where(at)}` ({lines[0]}) must run, as in the longest bucket: shapes must not be "
                          "those of one length; a net that is built for any is net.build([None, None])") from error
    return [*found[1:], found[0]]


def _where(reads: Reads) -> str:
    return f" for {reads.bucket}" if reads.bucket else ""


def _check(name: str, source: Source) -> None:
    """Raises ``Invalid`` unless the buckets of a source are the beginnings of its batches, as stored."""
    stored = {key: spec for key, spec in source.spec.items() if key != BUCKET}
    require(source.spec.get(BUCKET) == tf.TensorSpec([source.batch_size], tf.int32), f"spec of source {name}",
            source.spec.get(BUCKET), f"with {BUCKET!r}, int32 [{source.batch_size}], as the source has buckets")
    require(dict(source.buckets[-1]) == stored, f"last bucket of source {name}", dict(source.buckets[-1]),
            f"the form of a batch as stored, {stored}")
    for specs in source.buckets:
        fits = set(specs) == set(stored) and all(
            spec.dtype == stored[key].dtype and spec.shape.rank == stored[key].shape.rank
            and all(a <= b for a, b in zip(spec.shape, stored[key].shape, strict=True))
            and spec.shape[0] == source.batch_size for key, spec in specs.items())
        require(fits, f"buckets of source {name}", dict(specs), f"cut from a batch as stored, {stored}")


def _require_forms(place: str, where: str, traced: Traced, longest: Traced, names: Sequence[str]) -> None:
    for name in names:
        form, wanted = ((of.shapes[name], of.dtypes[name]) for of in (traced, longest))
        require(form == wanted, f"{name} of {place}{where}", f"{form[1].name}{list(form[0])}",
                f"of one form in all buckets, {wanted[1].name}{list(wanted[0])}")


def _largest(place: str, each: Sequence[Traced]) -> Traced:
    """The last, the longest, with the largest of all draws."""
    longest = each[-1]
    return replace(longest, requests=_requests(place, [traced.requests for traced in each]),
                   data_requests={source: _requests(place, [traced.data_requests[source] for traced in each])
                                  for source in longest.data_requests},
                   draws=[(traced.requests, traced.data_requests) for traced in each])


def _requests(place: str, each: Sequence[Mapping[str, Request]]) -> dict[str, Request]:
    """{name: the largest form}. Raises ``Invalid`` unless all others are the beginning of it."""
    found: dict[str, Request] = {}
    for requests in reversed(each):
        for name, request in requests.items():
            other = found.setdefault(name, request)
            fits = other[::2] == request[::2] and len(other.shape) == len(request.shape)
            small, large = sorted((other, request), key=lambda one: one.shape)
            fits = fits and all(a <= b for a, b in zip(small.shape, large.shape, strict=True))
            require(fits, f"noise {name} of {place}", f"{request.kind}{list(request.shape)} in one bucket",
                    f"of one kind in all, and the larger of two forms at least as large in each axis: another is "
                    f"{other.kind}{list(other.shape)}")
            found[name] = large
    return found
