"""What gives a run's inputs and outputs their meaning: kept with the run, so that no disk can change it later."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


def meaning(dataset: Any, job: Any) -> dict[str, Any]:
    """JSON values for config.json: type and shape of each input, names of the labels 0, 1, ..., columns of a table."""
    spec = job.train.spec
    inputs = {name: [each.dtype.name, *each.shape[1:]] for name, each in spec.items()}
    classes = {"classes": list(dataset.classes)} if "label" in spec and dataset.classes else {}
    columns = {"columns": dataset.columns.to_json()} if hasattr(dataset, "columns") else {}
    return {"inputs": inputs, **classes, **columns}


def stand_in(recorded: Mapping[str, Any], batch_size: int, vocabulary: Any = None) -> Any:
    """Zeros in the form of the data that the run was trained on, with its classes: enough to build its nets."""
    import numpy as np

    from engine.data.dataset import Dataset
    from engine.data.text_dataset import TextDataset

    arrays = {name: np.zeros([batch_size, *shape], dtype) for name, (dtype, *shape)
              in recorded["inputs"].items()}
    classes = tuple(recorded.get("classes", ()))
    if "tokens" in arrays:
        return TextDataset(recorded["dataset"], arrays, arrays, classes, vocabulary=vocabulary)
    return Dataset(recorded["dataset"], arrays, arrays, classes)


def named_as(recorded: Mapping[str, Any], dataset: Any, say: Callable[[str], None]) -> Any:
    """``dataset`` with its labels numbered as the run numbers them, by their names.

    Raises:
      Invalid: A class that the run does not know.
    """
    import numpy as np

    from engine.errors import require

    known = recorded.get("classes", [])
    if not known or list(dataset.classes) == known:
        return dataset
    foreign = [name for name in dataset.classes if name not in known]
    require(not foreign, "classes of the data", ", ".join(dataset.classes),
            f"among those of the run, {', '.join(known)}, but it has none called {', '.join(foreign)}")
    missing = [name for name in known if name not in dataset.classes]
    if missing:
        say(f"the data have no examples of {', '.join(missing)}")
    numbers = np.array([known.index(name) for name in dataset.classes], np.int32)
    changed: dict[str, Any] = {"classes": tuple(known)}
    if hasattr(dataset, "labels"):  # of files
        return dataclasses.replace(dataset, labels=numbers[dataset.labels], **changed)
    for part in ("train", "test", "validation"):
        if arrays := getattr(dataset, part, None):
            changed[part] = {**arrays, "label": numbers[arrays["label"]]}
    return dataclasses.replace(dataset, **changed)


def check_inputs(recorded: Mapping[str, Any], job: Any) -> None:
    """Raises ``Invalid`` for inputs of another form than the run's."""
    from engine.errors import require

    found = {name: [each.dtype.name, *each.shape[1:]] for name, each in job.train.spec.items()}
    for name, form in recorded["inputs"].items():
        require(found.get(name) == form, f"{name} of the data", _shown(found.get(name)),
                f"of the form that the run was trained on, {_shown(form)}")


def _shown(form: list[Any] | None) -> str:
    return "none" if form is None else f"{form[0]} {form[1:]}"
