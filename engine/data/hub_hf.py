"""Reading a set of Hugging Face: of the hub, of a folder that ``save_to_disk`` made, or of a folder of plain files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.data.hub_set import Hub, attempt, one_of

SAVED = ("dataset_dict.json", "state.json")  # what save_to_disk writes


def read(datasets: Any, name: str, rest: str, place: str | None, kind: str, inputs: str | None, label: str | None
         ) -> Hub:
    """The set ``rest``, NAME or NAME:CONFIG. Args: as of ``hub.load``; ``datasets`` is the library."""
    path, _, config = rest.partition(":")
    if any(Path(path, file).is_file() for file in SAVED):
        loaded = attempt(name, lambda: datasets.load_from_disk(path))
    else:
        loaded = attempt(name, lambda: datasets.load_dataset(path, config or None, cache_dir=place))
    splits = dict(loaded) if hasattr(loaded, "keys") else {"train": loaded}
    features = next(iter(splits.values())).features
    texts = [key for key, each in features.items() if getattr(each, "dtype", "") in ("string", "large_string")
             and isinstance(each, datasets.Value)]
    named = [key for key, each in features.items() if isinstance(each, datasets.ClassLabel)]
    plain = [key for key, each in features.items() if isinstance(each, datasets.Value)
             and each.dtype.startswith(("int", "uint", "string", "large_string", "bool"))]
    usual = named or [key for key in plain if key in ("label", "labels")]
    answer = one_of(name, "label", usual if label is None else named + plain, label, features)
    pictures = [key for key, each in features.items() if isinstance(each, datasets.Image)]
    could = [key for key in texts if key != answer] if kind == "text" else pictures
    given = one_of(name, "text" if kind == "text" else "picture", could, inputs, features)

    def examples(split: str) -> Iterator[tuple[Any, Any]]:
        rows = splits[split].select_columns([given, answer])
        for number in range(len(rows)):
            row = attempt(name, lambda: rows[number])  # noqa: B023
            yield row[given], row[answer]

    classes = tuple(features[answer].names) if answer in named else None
    return Hub({split: examples(split) for split in splits}, {split: len(each) for split, each in splits.items()},
               classes, str(Path(path).resolve()) if Path(path).exists() else "Hugging Face's hub")
