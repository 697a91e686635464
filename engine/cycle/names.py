"""Names of what is computed, as a profile shows them: ``<phase>/loss``, ``<phase>/apply`` and ``<phase>/inputs``."""

import re
from typing import Any

import tensorflow as tf

PARTS = ("loss", "apply", "inputs")  # of an update


def named(phase: str, part: str) -> Any:
    """What is traced inside has this name in a profile. It is another name, and nothing else."""
    return tf.name_scope(f"{scope_of(phase)}/{part}")


def scope_of(phase: str) -> str:
    """The name of a phase, with no letter that TensorFlow refuses in the name of an operation."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", phase).lstrip("_-") or "phase"
