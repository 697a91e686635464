"""A net of the user's own, named "module:Class"."""

import importlib
from types import ModuleType

import keras

from nets import _arguments as arguments


def own_net(name: str) -> type[keras.Model]:
    """The class that ``name``, "module:Class" or "package.module:Class", names.

    Raises:
      ValueError: Another form, a module that cannot be imported, or a class that is not in it or no
        ``keras.Model``. What else goes wrong inside the module is raised as it is.
    """
    path, _, title = name.partition(":")
    if not all(part.isidentifier() for part in (*path.split("."), title)):
        raise ValueError(f"`net` ({name}) must be module:Class")
    module = _module(path, name)
    if not hasattr(module, title):
        arguments.choice(f"class of {path}", title, _nets_of(module))
    net = getattr(module, title)
    if not _is_net(net):
        raise ValueError(f"`net` ({name}) must be a subclass of keras.Model")
    return net


def _module(path: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except ImportError as error:
        raise ValueError(f"`net` ({name}) must be in a module that can be imported: {error}") from error


def _nets_of(module: ModuleType) -> list[str]:
    return [title for title, value in vars(module).items() if _is_net(value)]


def _is_net(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, keras.Model)
