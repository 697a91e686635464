"""Parts of a data set: disjoint, covering, seeded and even over the classes, whatever the seed."""

import numpy as np
import pytest

from engine.data.dataset import Dataset
from engine.data.folds import holdout, k_folds
from engine.data.image_folder import image_folder
from engine.errors import Invalid
from tests.painted import class_folder

SEEDS = range(60)


def cases():
    """(seed, labels): labels of unequal classes, not from 0 and with gaps; each class has at least 5 examples."""
    for seed in SEEDS:
        draw = np.random.default_rng(seed)
        classes = draw.choice(50, draw.integers(1, 9), replace=False) - 10
        yield seed, draw.permutation(np.repeat(classes, draw.integers(5, 40, len(classes))))


def assert_parts(parts, size):
    for part in parts:
        assert part.dtype == np.int64 and (np.diff(part) > 0).all() and len(part)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(size))


def counts(labels, part):
    return np.array([np.sum(labels[part] == each) for each in np.unique(labels)])


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_holdout_parts_every_class_alike(fraction):
    for seed, labels in cases():
        train, held = holdout(labels, fraction, seed)
        assert_parts([train, held], len(labels))
        whole = np.unique(labels, return_counts=True)[1]
        near = np.clip(fraction * whole, 1, whole - 1)
        assert (abs(counts(labels, held) - near) <= 0.5).all() and (counts(labels, train) >= 1).all()


@pytest.mark.parametrize("k", [2, 3, 5])
def test_folds_hold_out_each_example_once_and_are_even(k):
    for seed, labels in cases():
        folds = k_folds(labels, k, seed)
        assert len(folds) == k
        for train, held in folds:
            assert_parts([train, held], len(labels))
        assert_parts([held for _, held in folds], len(labels))
        assert np.ptp([len(held) for _, held in folds]) <= 1
        assert (np.ptp([counts(labels, held) for _, held in folds], axis=0) <= 1).all()
        assert min(counts(labels, held).min() for _, held in folds) >= 1


def test_the_seed_alone_chooses():
    labels = np.repeat(np.arange(4), 25)
    for make in (lambda seed: holdout(labels, 0.2, seed)[1], lambda seed: k_folds(labels, 5, seed)[0][1]):
        chosen = [tuple(make(seed)) for seed in SEEDS]
        assert chosen == [tuple(make(seed)) for seed in SEEDS] and len(set(chosen)) == len(SEEDS)


def test_every_example_is_held_out_about_equally_often():
    # 400 seeds at a fraction of 0.2: 80 times each; five standard deviations of sqrt(400 * 0.2 * 0.8) = 8 are 40.
    labels = np.repeat([0, 1], [10, 40])
    times = sum(np.isin(np.arange(50), holdout(labels, 0.2, seed)[1]) for seed in range(400))
    assert (abs(times - 80) < 40).all() and times.sum() == 400 * 10


def test_a_number_of_examples():
    train, held = holdout(100, 0.25, 0)
    assert_parts([train, held], 100)
    assert len(held) == 25
    assert [len(held) for _, held in k_folds(10, 3, 0)] == [4, 3, 3]
    assert_parts([held for _, held in k_folds(np.int64(10), 10, 0)], 10)


def test_the_choice_is_the_same_in_every_release():
    # Recorded once: a change here changes what every continued run holds out.
    assert holdout(np.array([0, 0, 0, 1, 1, 1, 1, 1]), 0.4, 7)[1].tolist() == [2, 4, 6]
    assert [held.tolist() for _, held in k_folds(7, 3, 7)] == [[0, 4, 6], [1, 5], [2, 3]]


@pytest.mark.parametrize("labels, fraction, text", [
    (10, 0.0, r"`fraction` \(0.0\) must be above 0 and below 1"),
    (10, 1, r"`fraction` \(1\) must be above 0 and below 1"),
    (10, -0.2, r"`fraction` \(-0.2\) must be"),
    (10, float("nan"), r"`fraction` \(nan\) must be"),
    (10, "half", r"`fraction` \(half\) must be"),
    (1, 0.5, r"`size` \(1\) must be at least 2 examples"),
    ([0, 0, 3], 0.5, r"`labels` \(1 of class 3\) must be of at least 2 examples, so that each class has one on"),
    ([4], 0.5, r"`labels` \(1 of the only class\) must be of at least 2 examples"),
    ([0.5, 1.0], 0.5, r"`labels` \(float64 \[2\]\) must be integers of the shape \[N\]"),
    (np.zeros((4, 1), int), 0.5, r"`labels` \(int64 \[4, 1\]\) must be integers"),
    (np.zeros(0, int), 0.5, r"`labels` \(int64 \[0\]\) must be integers"),
])
def test_holdout_refuses(labels, fraction, text):
    with pytest.raises(Invalid, match=f"^{text}"):
        holdout(labels, fraction, 0)


@pytest.mark.parametrize("labels, k, text", [
    (10, 1, r"`k` \(1\) must be an integer of at least 2$"),
    (10, 2.5, r"`k` \(2.5\) must be an integer of at least 2$"),
    (3, 4, r"`labels` \(3 of the only class\) must be of at least 4 examples, for k = 4 folds$"),
    ([0] * 9 + [7] * 4, 5, r"`labels` \(4 of class 7\) must be of at least 5 examples, for k = 5 folds$"),
])
def test_folds_refuse(labels, k, text):
    with pytest.raises(Invalid, match=f"^{text}"):
        k_folds(labels, k, 0)


def test_a_data_set_holds_out_each_example_in_one_of_its_folds():
    labels = np.repeat([0, 1, 2], [10, 20, 30]).astype(np.int32)
    whole = Dataset("toy", {"image": np.arange(60), "label": labels}, {"image": np.arange(100, 110)}, ("a", "b", "c"))
    folds = [whole.fold(number, 5, seed=3) for number in range(1, 6)]
    for each in folds:
        assert np.bincount(each.test["label"]).tolist() == [2, 4, 6]
        assert sorted([*each.train["image"], *each.test["image"]]) == list(range(60))
        assert np.array_equal(each.train["label"], labels[each.train["image"]])
    assert sorted(np.concatenate([each.test["image"] for each in folds])) == list(range(60))
    with pytest.raises(Invalid, match="for k = 11 folds"):
        whole.fold(1, 11, seed=3)


def test_a_data_set_without_labels_has_folds_too():
    whole = Dataset("toy", {"x": np.zeros([10, 2]), "y": np.arange(10)}, {"x": np.zeros([1, 2]), "y": np.zeros(1)})
    held = [whole.fold(number, 3, seed=0).test["y"] for number in (1, 2, 3)]
    assert sorted(map(len, held)) == [3, 3, 4] and sorted(np.concatenate(held)) == list(range(10))


def test_folds_of_picture_files_leave_the_test_part_alone(tmp_path):
    whole = image_folder(class_folder(tmp_path, {"a": 10, "b": 20}), (4, 4), validation=0.2)
    folds = [whole.fold(number, 4, seed=0) for number in range(1, 5)]
    for each in folds:
        assert np.bincount(each.labels[each.parts["test"]]).tolist() == [2, 4]
        assert sorted([*each.parts["train"], *each.parts["test"]]) == whole.parts["train"].tolist()
    assert sorted(np.concatenate([each.parts["test"] for each in folds])) == whole.parts["train"].tolist()
