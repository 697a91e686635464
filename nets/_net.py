"""Net: the base of all nets, which knows the arguments that it was made with."""

import inspect
from typing import Any

import keras


class Net(keras.Model):
    """A Keras model that is made again from its own arguments: ``from_config(get_config())``, ``.keras`` files, a run.

    Keras's own configuration of a subclass holds ``trainable`` and ``dtype``, which the nets do not take.
    """

    def __new__(cls, *args: Any, **options: Any) -> "Net":
        made = super().__new__(cls, *args, **options)
        signature = inspect.signature(cls.__init__)
        try:
            bound = signature.bind(made, *args, **options)
        except TypeError:  # __init__ says it better
            return made
        bound.apply_defaults()
        given = dict(list(bound.arguments.items())[1:])
        for name, parameter in signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given |= given.pop(name)
        object.__setattr__(made, "_given", given)  # Keras would track it
        return made

    def get_config(self) -> dict[str, Any]:
        """The arguments, by name."""
        return {**self._given, "name": self.name}
