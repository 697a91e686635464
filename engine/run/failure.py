"""What an update, an evaluation or a net failed by, in one line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from engine.errors import Invalid
from engine.workers.workers import check_partners

FAILURES = (tf.errors.OpError, MemoryError)  # of data, loss or memory
ACCOUNTS = ("[[", "Stack trace", "tf2xla", "Hint: ")  # of where; how lines begin that a user has no use for
NAMES = re.compile(r"\{\{.*?\}\}|\[Op:.*?\]|\s*name:\s*$| on /job:\S*( by allocator \w+)?")


def one_line(error: BaseException) -> str:
    """What went wrong, without TensorFlow's account of where."""
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    lines = [NAMES.sub("", line).strip() for line in text.splitlines() if not line.strip().startswith(ACCOUNTS)]
    told = [line for line in lines if line]
    text = told[-1] if told else type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def is_of_memory(error: BaseException) -> bool:
    """Whether there was no memory for it."""
    return isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError))


def rule_of(error: BaseException, remedy: str) -> str:
    """What must hold for what failed, and what went wrong.

    Args:
      remedy: What to do where there was no memory.
    """
    rule = f"within the memory: {remedy}" if is_of_memory(error) else "free of errors of the data and the loss"
    return f"{rule}: {one_line(error)}"


@contextmanager
def told(name: str, value: str, remedy: str) -> Iterator[None]:
    """A failure in the block as ``Invalid``; but for what a plan cannot compute."""
    try:
        yield
    except tf.errors.UnimplementedError:
        raise
    except FAILURES as error:
        check_partners()
        raise Invalid(f"`{name}` ({value}) must be {rule_of(error, remedy)}") from None
