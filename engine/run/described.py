"""Objects as JSON values from which they can be made again: a strategy, nets, a transform.

No code is run that only a file names: a class is taken from a module that is imported already, or is one of ours.
"""

import importlib
import inspect
import math
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

OURS = ("engine", "losses", "nets", "keras")
PLAIN = (bool, int, float, str, type(None))
STANDARD = sys.stdlib_module_names - {"__main__"}
LARGEST = 10_000  # numbers of an array that is recorded in full


class NotDescribed(Exception):
    """What has no description, or cannot be made of one; in words."""


def description(value: Any) -> Any:
    """JSON values that ``made`` makes ``value`` of again. Raises ``NotDescribed``."""
    if isinstance(value, PLAIN):
        if isinstance(value, float) and not math.isfinite(value):
            return {"number": repr(value)}
        return value
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [description(each) for each in value]}
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {"dict": {name: description(each) for name, each in value.items()}}
    if isinstance(value, np.ndarray | np.generic) and value.size <= LARGEST and value.dtype.kind in "biuf":
        return {"array": [value.dtype.name, list(value.shape), value.reshape(-1).tolist()]}
    if isinstance(value, types.FunctionType | type):
        return {"name": _name(value)}
    if isinstance(value, keras.Model | keras.layers.Layer) or type(value).__module__.partition(".")[0] == "keras":
        return _of_keras(value)
    if not hasattr(value, "__dict__"):
        raise NotDescribed(f"a {type(value).__name__}")
    return {"object": _name(type(value)), "attributes": {name: description(each) for name, each in vars(value).items()}}


def made(described: Any) -> Any:
    """The value. Raises ``NotDescribed``."""
    if isinstance(described, PLAIN):
        return described
    try:
        (kind, held), *rest = described.items()
        if kind == "number":
            return float(held)
        if kind in ("list", "tuple"):
            return {"list": list, "tuple": tuple}[kind](made(each) for each in held)
        if kind == "dict":
            return {name: made(each) for name, each in held.items()}
        if kind == "array":
            dtype, shape, numbers = held
            return np.array(numbers, dtype).reshape(shape)
        if kind == "name":
            return found(held)
        if kind == "keras":
            return _from_keras(held, described.get("classes", ()))
        if kind == "object":
            (_, attributes), = rest
            return _with(found(held), {name: made(each) for name, each in attributes.items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotDescribed(f"{type(error).__name__}: {error}") from None
    raise NotDescribed(f"a {kind}")


def found(name: str) -> Any:
    """What "module:Name" names. Raises ``NotDescribed`` for a module of others that is not imported."""
    path, _, title = name.partition(":")
    if path.partition(".")[0] in STANDARD:
        raise NotDescribed(f"{name}, which no run is made of")
    if path not in sys.modules and path.partition(".")[0] in OURS:
        importlib.import_module(path)
    value: Any = sys.modules.get(path)
    for part in title.split("."):
        value = getattr(value, part, None)
    if value is None:
        raise NotDescribed(f"{title} of the module {path}, which is not imported here")
    return value


def _name(value: Any) -> str:
    name = f"{value.__module__}:{value.__qualname__}"
    if "<" in name:  # a lambda, or of a function
        raise NotDescribed(f"{value.__qualname__}, which has no name of its own")
    return name


def _with(kind: type, attributes: Mapping[str, Any]) -> Any:
    value: Any = object.__new__(kind)
    for name, each in attributes.items():
        object.__setattr__(value, name, each)  # of frozen ones, too
    return value


def _of_keras(value: Any) -> dict[str, Any]:
    classes = {_name(type(each)): type(each) for each in _with_layers(value)}
    own = {name: each for name, each in classes.items() if not name.startswith("keras.")}
    for name, each in own.items():
        if issubclass(each, keras.Model) and each.get_config is keras.Model.get_config and len(_takes(each)) > 1:
            raise NotDescribed(f"{name}, which has no get_config: Keras's own does not know a model's arguments")
    try:
        return {"keras": _fitting(keras.saving.serialize_keras_object(value), own), "classes": list(own)}
    except Exception as error:
        raise NotDescribed(f"{type(value).__name__}, whose configuration cannot be written: {error}") from None


def _with_layers(value: Any) -> Iterator[Any]:
    """It, and the layers that its configuration holds."""
    yield value
    if isinstance(value, keras.Sequential) or type(value) is keras.Model:
        for layer in value.layers:
            yield from _with_layers(layer)


def _takes(kind: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind.__init__).parameters  # type: ignore[misc]


def _fitting(serialized: Any, own: Mapping[str, type]) -> Any:
    """Less what Keras adds to the configuration of every layer, where a class of ``own`` does not take it."""
    if isinstance(serialized, list):
        return [_fitting(each, own) for each in serialized]
    if not isinstance(serialized, Mapping):
        return serialized
    lean = {name: _fitting(each, own) for name, each in serialized.items() if name != "build_config"}
    kind = next((each for each in own.values() if each.__name__ == lean.get("class_name")), None)
    if kind and not any(each.kind is each.VAR_KEYWORD for each in _takes(kind).values()):
        lean["config"] = {name: each for name, each in lean["config"].items() if name in _takes(kind)}
    return lean


def _from_keras(serialized: Any, classes: Sequence[str]) -> Any:
    _check_modules(serialized)
    kinds = {name.partition(":")[2]: found(name) for name in classes}
    custom = {**kinds, **{keras.saving.get_registered_name(kind): kind for kind in kinds.values()}}
    try:
        return keras.saving.deserialize_keras_object(serialized, custom_objects=custom, safe_mode=True)
    except Exception as error:
        raise NotDescribed(f"{serialized.get('class_name')}: {str(error).strip().splitlines()[0]}") from None


def _check_modules(serialized: Any) -> None:
    """Keras would import any module that is named. Raises ``NotDescribed``."""
    if isinstance(serialized, Mapping):
        path = serialized.get("module") or "keras"
        top = path.partition(".")[0]
        if top in STANDARD or (path not in sys.modules and top not in OURS):
            raise NotDescribed(f"{serialized.get('class_name')} of the module {path}, which is not imported here")
        serialized = list(serialized.values())
    for each in serialized if isinstance(serialized, list) else ():
        _check_modules(each)
