"""What people have as data becomes the source that they mean, or is refused in one line."""


import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, DatasetSource
from engine.data import operations
from engine.data.handed import BATCH_SIZE, source_of, sources_of
from engine.errors import Invalid
from tests.data.test_source import labels

X = np.arange(100, dtype=np.float32).reshape(50, 2)
LABEL = np.arange(50, dtype=np.int32)


def slices():
    return tf.data.Dataset.from_tensor_slices({"x": X, "label": LABEL})


def pairs():
    """Single examples without any single number."""
    return tf.data.Dataset.from_tensor_slices({"x": X, "label": LABEL[:, None]})


def of_known_size(dataset, size):
    return dataset.apply(tf.data.experimental.assert_cardinality(size))


def swapped(example):
    return dict(example)


def test_a_dict_of_arrays_is_an_array_source_of_keras_batch_size():
    source = sources_of({"x": X, "label": LABEL})["data"]
    assert isinstance(source, ArraySource) and (source.size, source.batch_size) == (50, BATCH_SIZE) == (50, 32)
    np.testing.assert_array_equal(labels(source, 0, 2), labels(ArraySource({"x": X, "label": LABEL}, 32), 0, 2))
    assert source.notes == ["batches of 32 examples, as none was given: ArraySource(arrays, batch_size) says another "
                            "number"]
    assert source_of({"x": X[:5]}).batch_size == 5


def test_doubles_are_floats_as_in_keras_and_that_is_said():
    source = source_of({"x": X.astype(float), "label": LABEL.astype(np.int64)})
    assert source.spec["x"].dtype == tf.float32 and source.spec["label"].dtype == tf.int64
    assert source.notes[1] == "x of float64 became float32, as in Keras"
    with pytest.raises(Invalid, match=r"^`x of data` \(numbers above 3.4e38\) must be small enough for float32$"):
        source_of({"x": np.array([1.0, 1e39])})


def test_array_likes_and_texts():
    source = source_of({"x": tf.constant(X), "text": np.array(["a", "b"] * 25, object)})
    assert source.spec["text"].dtype == tf.string and source.spec["x"].shape == (32, 2)


def test_a_dict_of_sources_is_told_from_one_of_arrays():
    made = ArraySource({"x": X}, 7)
    found = sources_of({"a": made, "b": {"x": X}, "c": slices().batch(4)})
    assert found["a"] is made and list(found) == ["a", "b", "c"]
    assert [source.batch_size for source in found.values()] == [7, 32, 4]
    assert list(sources_of(made)) == list(sources_of({"x": X})) == ["data"]
    with pytest.raises(Invalid, match=r"^`data` \(arrays x beside a, b\) must be a dict of arrays alone, "
                                      r"\{name: array\}, or of sources alone, \{name: source\}$"):
        sources_of({"a": made, "x": X, "b": slices()})


@pytest.mark.parametrize("change, size", [
    (lambda d: d.batch(8), 50), (lambda d: d.batch(8, drop_remainder=True), 48), (lambda d: d.batch(8).prefetch(2), 50),
    (lambda d: d.batch(8, num_parallel_calls=2).map(swapped).cache(), 50), (lambda d: d.padded_batch(8), 50),
    (lambda d: d.batch(8).take(2), 16), (lambda d: d.batch(8).repeat(2), 100), (lambda d: d.repeat(2).batch(8), 100),
    (lambda d: d.batch(8).skip(6), 2), (lambda d: tf.data.Dataset.zip(d.batch(8), d.batch(8)).map(lambda a, b: a), 50),
])
@pytest.mark.parametrize("make", [slices, pairs])
def test_a_batched_dataset_keeps_its_batch_size_and_order(make, change, size):
    source = source_of(change(make()))
    assert (source.size, source.batch_size) == (size, min(8, size)) and not source.notes
    order = np.tile(LABEL, 2)[:size] if size != 2 else LABEL[48:]
    count = source.batches_per_epoch
    np.testing.assert_array_equal(labels(source, 0, count).ravel(), order[:count * source.batch_size])


@pytest.mark.parametrize("make", [slices, pairs])
@pytest.mark.parametrize("change", [
    lambda d: d, lambda d: d.map(swapped).prefetch(1), lambda d: of_known_size(d.batch(8).unbatch(), 50)])
def test_single_examples_get_keras_batch_size(make, change):
    source = source_of(change(make()))
    assert isinstance(source, DatasetSource) and (source.size, source.batch_size) == (50, 32)
    assert source.notes == ["batches of 32 examples, as none was given: DatasetSource(dataset, batch_size) says "
                            "another number"]


MAP = r"must be of dicts, by the names that the strategy reads, as dataset.map"
COUNT = r"must be of a known number of examples: give DatasetSource"
UNSURE = r"must be one that tells whether its elements are single examples or batches"
DATASETS = {
    "pairs": (lambda: tuples(X, LABEL), rf'of tuples\) {MAP}\(lambda x, y: \{{"image": x, "label": y\}}\)$'),
    "triples": (lambda: tuples(X, LABEL, X), r'lambda x, y, w: \{"image": x, "label": y, "weight": w\}\)$'),
    "functional": (lambda: tuples({"x": X}, LABEL), r'lambda x, y: \{\*\*x, "label": y\}\)$'),
    "tensors": (lambda: slices().map(lambda e: e["x"]), rf'of tensors\) {MAP}\(lambda x: \{{"image": x\}}\)$'),
    "endless": (lambda: slices().batch(4).repeat(), r"that never ends\) must be finite: leave out .repeat\(\)"),
    "size": (lambda: slices().filter(late), rf"{COUNT}\(dataset, batch_size, size=N\)"),
    "size of batches": (lambda: slices().filter(late).batch(2), rf"{COUNT}\(dataset.unbatch\(\), batch_size"),
    "generator": (lambda: generated([4]), rf"by FlatMapDataset\) {UNSURE}"),
    "transposed": (lambda: pairs().batch(8).map(transposed), rf"by BatchDataset\) {UNSURE}"),
    "two sizes": (lambda: pairs().batch(8).concatenate(pairs().batch(4)), UNSURE),
    "interleaved": (lambda: pairs().batch(8).interleave(tuples), rf"InterleaveDataset\) {UNSURE}"),
    "nested": (lambda: slices().map(lambda e: {"inner": e}), r"must be of dicts \{name: tensor\}"),
    "windows": (lambda: slices().window(4), r"must be of dicts \{name: tensor\}"),
    "lengths": (lambda: ragged().padded_batch(1), r"must be of fully known shapes, or be given buckets"),
}


def tuples(*parts):
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])


def late(example):
    return example["label"] > 4


def transposed(example):
    return {"x": tf.transpose(example["x"])}


def ragged():
    return tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1], [2, 3]])).map(lambda x: {"x": x})


def generated(shape):
    made = tf.data.Dataset.from_generator(lambda: iter([{"x": np.ones(shape)}]),
                                          output_signature={"x": tf.TensorSpec(shape)})
    return of_known_size(made, 1)


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_that_could_be_misread_is_one_line(name):
    make, said = DATASETS[name]
    with pytest.raises(Invalid, match=said) as caught:
        source_of(make())
    assert "\n" not in str(caught.value)


def test_evaluation_leaves_nothing_out():
    with pytest.raises(Invalid, match=r"\(batched with drop_remainder=True\) must be of all examples, to evaluate on"):
        source_of(slices().batch(8, drop_remainder=True), all_examples=True)
    assert source_of(slices().batch(10, drop_remainder=True), all_examples=True).size == 50


@pytest.mark.parametrize("make, told", [
    (lambda: slices().shuffle(50), True), (lambda: slices().shuffle(50, seed=1).batch(8), True), (slices, False),
    (lambda: lambda: slices().shuffle(50), True), (lambda: lambda: slices().shuffle(50, seed=1), False),
])
def test_an_order_that_is_another_at_each_reading_is_told(make, told):
    data = make()
    source = DatasetSource(data, 8) if callable(data) else source_of(data)
    assert any("another order of the examples at each reading" in note for note in source.notes) == told
    assert len(source.doubts) == 1 and ("another order" in source.doubts[0]) == told


class Torch:
    """As PyTorch's data sets."""

    def __len__(self):
        return 3

    def __getitem__(self, place):
        return X[place], 0


class Elsewhere:
    """As a tensor of another library, on its device."""

    def __array__(self, *args, **options):
        raise TypeError("it is on\na device")


@pytest.mark.parametrize("data, said", [
    ([X], r"`data` \(list\) must be a Source, a dict \{name: array\}, .*: ArraySource\(\{.*np.stack"),
    (Torch(), r"`data` \(Torch\) must be .* holds the examples of a list or a data set"),
    (((x, 1) for x in X), r"`data` \(generator\) must be .*, as it can be read but once: DatasetSource\("),
    ((X, LABEL), r'`data` \(tuple\) must be .*: as \{"image": x, "label": y\}, by the names'),
    (X, r'`data` \(ndarray\) must be .*: as \{"x": array\}, by'),
    ({"x": X, "label": 3}, r"`data` \(arrays x beside label\) must be"),
    ({"x": [1, 2]}, r"`data x` \(list\) must be"),
    ({"a": {}}, r"`data a` \(dict\) must be"), ({}, r"`data` \(\{\}\) must be at least one source"),
    ({"a": {"x": [1, 2]}}, r"`data a` \(dict\) must be .*: its values are list$"),
    ({"x": np.float32(3)}, r"`x` \(float32\) must be an array whose first axis counts examples"),
    ({"x": np.array([{}, {}])}, r"`x` \(values of the type object\) must be numbers or texts"),
    ({"day": np.array(["2020-01-01"], "datetime64[D]")}, r"`day` \(values of the type datetime64\[D\]\) must be"),
    ({"x": X, "y": LABEL[:9]}, r"`data` \(\{'x': 50, 'y': 9\}\) must be arrays of one length"),
    ({3: X}, r"`name of an array` \(3\) must be text"), (None, r"`data` \(NoneType\) must be a Source"),
    ({"x": tf.ragged.constant([[1], [2, 3]])}, r"`data x` \(RaggedTensor\) must be .*: BucketedSource"),
    ({"x": np.ma.masked_array([1.0, 2.0], [0, 1])}, r"`x` \(a masked array\) must be an array without masked"),
    ({"x": Elsewhere()}, r"`x` \(Elsewhere\) must be an array .*: it is on a device$"),
    ("photos", r"`data` \(str\) must be a Source"),
])
def test_anything_else_is_one_line_with_what_to_do(data, said):
    with pytest.raises(Invalid, match=rf"^{said}") as caught:
        sources_of(data)
    assert "\n" not in str(caught.value)


def test_array_sources_refuse_what_is_no_array_of_examples():
    with pytest.raises(Invalid, match=r"^`x` \(list\) must be an array \(BucketedSource takes lists .*\): "):
        ArraySource({"x": [[1], [2, 3]]}, 1)
    with pytest.raises(Invalid, match=r"^`x` \(values of the type .*\) must be numbers or texts$"):
        ArraySource({"x": np.zeros(3, [("a", "i4")])}, 1)
    assert ArraySource({"x": np.ones(3, np.complex64), "y": np.ones(3, tf.bfloat16.as_numpy_dtype)}, 1).size == 3
    with pytest.raises(Invalid, match=r"^`x` \(values of the type object\) must be numbers or texts$"):
        ArraySource({"x": np.array([{}, {}])}, 1)
    with pytest.raises(Invalid, match=r"^`x` \(float32\) must be an array whose first axis counts examples"):
        ArraySource({"x": np.float32(1)}, 1)


def test_a_pandas_frame_is_its_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": X[:, 0].astype(float), "label": LABEL, "flag": LABEL > 3})
    frame["many"] = pandas.array(LABEL, "Int64")
    source = source_of(frame)
    assert {name: spec.dtype for name, spec in source.spec.items()} == {
        "x": tf.float32, "label": tf.int32, "flag": tf.bool, "many": tf.int64}
    np.testing.assert_array_equal(source.arrays["many"], LABEL)
    assert source_of({"x": frame[["x", "label"]].to_numpy(), "y": frame["label"]}).spec["x"].shape == (32, 2)
    for bad, said in (
            (frame.assign(x=frame.x.where(frame.label != 7)), r"`x of data` \(missing in row 7, of 1\) must be there"),
            (frame.assign(many=frame.many.where(frame.label != 7)), r"`many of data` \(missing in row 7"),
            (frame.assign(city="a"), r"`city of data` \(\w+\) must be numbers: .astype"),
            (frame.assign(city=pandas.Categorical(["a"] * 50)), r"`city of data` \(category\) must be numbers"),
            (frame.assign(day=pandas.Timestamp(0)), r"`day of data` \(datetime64.*\) must be numbers"),
            (frame.rename(columns={"x": "label"}), "must be of columns with a text each as its name"),
            (frame.rename(columns={"x": 3}), "must be of columns with a text each"), (frame[[]], "must be of columns")):
        with pytest.raises(Invalid, match=said):
            source_of(bad)
    with pytest.raises(Invalid, match=r"`data` \(arrays y beside x\)"):
        sources_of({"x": frame, "y": frame["label"]})




@pytest.mark.parametrize("change, name", [
    (lambda d: d, "TensorSlice"), (lambda d: d.batch(2), "Batch"), (lambda d: d.shuffle(3), "Shuffle"),
    (lambda d: d.batch(2, num_parallel_calls=2), "ParallelBatch"), (lambda d: d.batch(2).unbatch(), "Unbatch"),
    (lambda d: d.prefetch(1), "Prefetch"), (lambda d: d.padded_batch(2), "PaddedBatch"), (lambda d: d.cache(), "Cache"),
    (lambda d: d.batch(4).rebatch(2), "Rebatch"), (lambda d: d.map(swapped, num_parallel_calls=2), "ParallelMap")])
def test_tensorflows_private_classes_have_the_names_that_2_21_gives_them(change, name):
    assert operations._name(change(slices())) == f"{name}Dataset"
