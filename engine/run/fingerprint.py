"""What optimizers and a strategy are, as JSON values: two runs of one configuration do the same."""

import ast
import contextlib
import hashlib
import inspect
import math
import textwrap
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.cycle.update import Update
from engine.strategy import LossStrategy

NAMES = ("name", "learning_rate_multiplier")  # of an optimizer: of no effect here


def of_update(update: Update) -> dict[str, Any]:
    """Optimizers with their settings, and how the gradients are treated."""
    optimizer = update.optimizer
    found = ({str(pattern): of_value(each) for pattern, each in optimizer.items()}
             if isinstance(optimizer, Mapping) else of_value(optimizer))
    rest = {name: of_value(getattr(update, name)) for name in ("clip_norm", "average", "clip_weights", "gradient")}
    return {"optimizer": found, **{name: value for name, value in rest.items() if value is not None}}


def of_strategy(strategy: LossStrategy) -> dict[str, Any]:
    """Class, attributes, and a digest of the code of its classes, comments and docstrings aside."""
    classes = [each for each in type(strategy).__mro__ if issubclass(each, LossStrategy) and each is not LossStrategy]
    return {"class": type(strategy).__qualname__, "code": _digest("".join(map(_code, classes))),
            "attributes": {name: of_value(value) for name, value in sorted(vars(strategy).items())}}


def of_value(value: Any, depth: int = 3) -> Any:
    """A value as JSON: numbers and texts themselves, arrays and functions by a digest, objects by their settings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has none, and NaN is not equal to itself
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tf.Variable):  # made to be changed
        return f"variable {value.dtype.name}{value.shape.as_list()}"
    if isinstance(value, np.ndarray | np.generic | tf.Tensor):
        array = np.asarray(value)
        return (of_value(array.item()) if array.ndim == 0
                else f"{array.dtype}{list(array.shape)} {_digest(array.tobytes())}")
    if isinstance(value, keras.layers.Layer):  # its configuration has names that count what else was made
        return {"class": type(value).__name__}
    if hasattr(value, "get_config"):  # of Keras
        with contextlib.suppress(NotImplementedError):  # a model without one
            settings = {name: of_value(each, depth) for name, each in value.get_config().items() if name not in NAMES}
            return {"class": type(value).__name__, **settings}
        return {"class": type(value).__name__}
    if depth and isinstance(value, Mapping):
        return {str(name): of_value(each, depth - 1) for name, each in value.items()}
    if depth and isinstance(value, list | tuple):
        return [of_value(each, depth - 1) for each in value]
    if inspect.isfunction(value) or inspect.ismethod(value):
        cells = [of_value(cell.cell_contents, depth - 1) for cell in value.__closure__ or ()] if depth else []
        return f"{value.__qualname__} {_digest(_code(value) + repr(cells))}"
    attributes = {name: of_value(each, depth - 1) for name, each in sorted(getattr(value, "__dict__", {}).items())
                  } if depth else {}
    return {"class": type(value).__qualname__, **attributes}


def _code(source: Any) -> str:
    """The code of a class or function, however it is laid out and commented."""
    try:
        if source.__name__ == "<lambda>":
            raise OSError  # its line may hold others
        tree = ast.parse(textwrap.dedent(inspect.getsource(source)))
    except (OSError, TypeError, SyntaxError):  # typed in at a prompt
        functions = vars(source).values() if inspect.isclass(source) else [source]
        codes = [each.__code__ for each in functions if hasattr(each, "__code__")]
        plain = (bool, int, float, str, bytes, tuple, type(None))
        return "".join(f"{each.co_code.hex()} {each.co_names} {each.co_varnames} "
                       f"{[const for const in each.co_consts if isinstance(const, plain)]}" for each in codes)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = []
    return ast.dump(tree)


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()[:16]
