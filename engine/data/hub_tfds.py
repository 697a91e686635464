"""Reading a set of TensorFlow Datasets."""

from collections.abc import Iterator
from typing import Any

from engine.data.hub_set import Hub, attempt, one_of


def read(tfds: Any, name: str, rest: str, place: str | None, kind: str, inputs: str | None, label: str | None) -> Hub:
    """The set ``rest``, prepared if it is not yet. Args: as of ``hub.load``; ``tfds`` is the library."""
    builder = attempt(name, lambda: tfds.builder(rest, data_dir=place))
    attempt(name, builder.download_and_prepare)
    features = dict(builder.info.features.items()) if hasattr(builder.info.features, "items") else {}
    wanted = tfds.features.Text if kind == "text" else tfds.features.Image
    what = "text" if kind == "text" else "picture"
    given = one_of(name, what, [key for key, each in features.items() if isinstance(each, wanted)], inputs, features)
    labels = [key for key, each in features.items() if isinstance(each, tfds.features.ClassLabel)]
    answer = one_of(name, "label", labels, label, features)

    def examples(split: str) -> Iterator[tuple[Any, Any]]:
        read = attempt(name, lambda: builder.as_dataset(split=split, shuffle_files=False))
        for example in tfds.as_numpy(read):
            value = example[given]
            yield attempt(name, value.decode) if isinstance(value, bytes) else value, int(example[answer])

    splits = builder.info.splits
    return Hub({split: examples(split) for split in splits}, {split: splits[split].num_examples for split in splits},
               tuple(features[answer].names), str(builder.data_dir))
