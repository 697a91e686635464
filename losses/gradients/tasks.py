"""The tasks of an objective: those of its terms whose gradients a transformation looks at one by one."""

from __future__ import annotations

from typing import Any

from losses import guard
from losses.gradients.norms import Gradients


def check(terms: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless ``terms`` are names, each once."""
    names = all(isinstance(term, str) for term in terms) and len(set(terms)) == len(terms)
    guard.require(names, "terms", terms, "names of terms, each once")


def gradients_of(pull: Any, terms: tuple[str, ...]) -> tuple[list[Gradients], list[Gradients]]:
    """The gradient of each task, and a list with that of the rest of the objective, empty if there is none.

    Args:
      terms: Names of the tasks, a watched term too (its factor is 1). None named: every term that is minimised
        but ``regularization``, which is no task.
    """
    names = terms or tuple(name for name in pull.factors if name != "regularization")
    rest = {name: factor for name, factor in pull.factors.items() if name not in names}
    found = pull.gradients(*({name: pull.factors.get(name, 1.0)} for name in names), *([rest] if rest else []))
    return found[:len(names)], found[len(names):]
