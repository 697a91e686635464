"""Texts put together: disjoint, even splits, and a vocabulary that has never seen what is held out."""

import numpy as np
import pytest

from engine.data.dataset import Dataset
from engine.data.text import Corpus, Part, text_csv
from engine.data.text_dataset import csv_file, folder, imdb, split, text_dataset
from engine.errors import Invalid

SIZE = 50  # 20 of class 0, 30 of class 1; text i is "all word<i>", so that a row of ids names its text


def part(size=SIZE, first=0):
    return Part([f"all word{number}" for number in range(first, first + size)],
                (np.arange(size) % 5 > 1).astype(np.int32))


def corpus(test=None):
    return Corpus("made", part(), test, ("bad", "good"))


def words(data, split):
    """The second words of a part's texts."""
    return [text.split()[1] for text in data.vocabulary.decode(split["tokens"])]


def test_a_word_of_the_held_out_part_alone_is_unknown():
    data = text_dataset(corpus(), length=3)
    assert len(data.vocabulary.words) == 41  # "all" and one of each text to train on
    assert data.train["tokens"].shape == (40, 3) and data.train["tokens"].dtype == np.int32
    assert (data.train["tokens"][:, 1] > 2).all()
    assert data.test["tokens"].tolist() == [[2, 1, 0]] * 10
    assert data.test["label"].dtype == np.int32 and data.classes == ("bad", "good") and data.validation is None


@pytest.mark.parametrize("seed", [0, 1])
def test_three_parts_are_disjoint_even_and_cover_all(seed):
    whole = part()
    rest, test = split(whole, 0.2, seed)
    train, validation = split(rest, 0.25, seed)
    data = text_dataset(corpus(), held_out=0.2, validation=0.25, seed=seed)
    assert sorted(train.texts + validation.texts + test.texts) == sorted(whole.texts)
    assert [len(each) for each in (train.texts, validation.texts, test.texts)] == [30, 10, 10]
    assert sorted(words(data, data.train)) == sorted(text.split()[1] for text in train.texts)
    assert words(data, data.validation) == words(data, data.test) == ["[?]"] * 10
    for each, size in ((data.train, 30), (data.validation, 10), (data.test, 10)):
        assert np.bincount(each["label"]).tolist() == [size * 2 // 5, size * 3 // 5]
    for text, label in zip(words(data, data.train), data.train["label"], strict=True):
        assert whole.labels[int(text.removeprefix("word"))] == label


def test_a_text_that_is_held_out_too_is_not_trained_on():
    twice = Part(part(25).texts * 2, np.tile(part(25).labels, 2))
    for seed in range(3):
        data = text_dataset(Corpus("made", twice, None, ("a", "b")), validation=0.2, seed=seed, length=2)
        assert len(data.test["label"]) == 10
        assert words(data, data.test) == ["[?]"] * 10
        assert set(words(data, data.validation)) == {"[?]"}
        assert len(data.train["label"]) < 32


def test_the_seed_alone_decides():
    first, again, other = (text_dataset(corpus(), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.train["tokens"], again.train["tokens"])
    assert first.vocabulary == again.vocabulary != other.vocabulary


def test_validation_leaves_the_test_part_as_it_is():
    for fraction in (0.0, 0.3):
        data = text_dataset(corpus(), validation=fraction)
        kept = split(part(), 0.2, 0)[1]
        np.testing.assert_array_equal(data.test["label"], kept.labels)
        assert len(data.test["label"]) == len(kept.texts)


def test_a_published_test_part_is_the_test():
    data = text_dataset(corpus(part(5, first=48)), length=2)
    assert len(data.train["label"]) == SIZE and words(data, data.test) == ["word48", "word49", "[?]", "[?]", "[?]"]
    data = text_dataset(corpus(part(5, first=48)), validation=0.5)
    assert (len(data.train["label"]), len(data.validation["label"]), len(data.test["label"])) == (25, 25, 5)
    with pytest.raises(Invalid, match=r"`held_out` \(0.1\) must be left out for texts with a published test part"):
        text_dataset(corpus(part(5)), held_out=0.1)


def test_options_of_the_vocabulary():
    data = text_dataset(corpus(), size=3, length=1)
    assert data.vocabulary.ids == 5 and data.train["tokens"].tolist() == [[2]] * 40
    assert text_dataset(corpus(), minimum=2).vocabulary.words == ("all",)


def test_from_each_kind_of_file(tmp_path):
    (tmp_path / "reviews.csv").write_text("text,label\n" + "".join(
        f"good {number},pos\nbad {number},neg\n" for number in range(10)))
    for name in ("pos", "neg"):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "folder" / name / f"{number}.txt").write_text(f"{name} {number}")
    for data in (csv_file(tmp_path / "reviews.csv", length=2), folder(tmp_path / "folder", length=2)):
        assert isinstance(data, Dataset) and data.classes == ("neg", "pos")
        assert data.train["tokens"].shape == (16, 2) and data.test["tokens"].shape == (4, 2)
        first = {label: set(data.train["tokens"][data.train["label"] == label, 0]) for label in (0, 1)}
        assert first[0] != first[1] and len(first[0]) == len(first[1]) == 1
    reviews = np.empty(4, object)
    reviews[:] = [[1, 2], [2, 1], [1, 3], [4]]
    np.savez(tmp_path / "imdb.npz", x_train=reviews, y_train=[0, 1, 0, 1], x_test=reviews, y_test=[1, 0, 1, 0])
    data = imdb(tmp_path, size=2, length=3)
    assert data.vocabulary.words == ("word1", "word2") and data.name == "imdb"
    assert data.train["tokens"].tolist() == [[2, 3, 0], [3, 2, 0], [2, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("options, text", [
    ({"held_out": 1.0}, r"`fraction` \(1.0\) must be above 0 and below 1"),
    ({"held_out": 0.0}, r"`fraction` \(0.0\) must be above 0 and below 1"),
    ({"validation": -0.1}, r"`fraction` \(-0.1\) must be above 0 and below 1"),
    ({"size": 0}, r"`size` \(0\) must be an integer of at least 1"),
    ({"length": 0}, r"`length` \(0\) must be an integer of at least 1"),
    ({"minimum": 99}, r"`minimum` \(99\) must be at most 40"),
])
def test_wrong_options(options, text):
    with pytest.raises(Invalid, match=text):
        text_dataset(corpus(), **options)


def test_the_loaders_pass_their_options_on(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("stars,review,site\n9,other,b\n" + "".join(f"{number % 2},it {number},a\n" for number in range(40)))
    options = {"size": 9, "minimum": 1, "length": 3, "held_out": 0.5, "validation": 0.25, "seed": 5}
    data = csv_file(path, text="review", label="stars", where="site=a", **options)
    expected = text_dataset(text_csv(path, "review", "stars", "site=a"), **options)
    assert data.vocabulary == expected.vocabulary and len(data.vocabulary.words) == 9
    for found, same in ((data.train, expected.train), (data.validation, expected.validation)):
        np.testing.assert_array_equal(found["tokens"], same["tokens"])
    for load in (csv_file, folder):
        with pytest.raises(Invalid, match=r"`data_dir` \(None\) must be a (CSV file|folder) with"):
            load()
