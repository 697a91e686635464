"""Tables: what becomes of each column, by hand; and every fault of a person's file in one line with line and column."""

import gzip
import json

import numpy as np
import pytest

from engine.data import catalog, unlabelled
from engine.data.columns import Category, Columns, Number
from engine.data.table import load
from engine.errors import Invalid

CITIES = ("Bonn", "Köln", "Ulm")


def text(rows=40, sign=","):
    """area, city, rooms -> price, with an id that is left out."""
    lines = [f"{i},{50 + 7 * (i % 9)},{CITIES[i % 3]},{i % 4},{1000 * i + 0.5}" for i in range(rows)]
    return "\n".join(["id,area,city,rooms,price", *lines]).replace(",", sign) + "\n"


@pytest.fixture
def houses(tmp_path):
    path = tmp_path / "houses.csv"
    path.write_text(text())
    return path


def changed(path, old, new, count=1):
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, count))
    return path


def test_features_are_standardised_by_the_part_to_train_on_and_one_hot(houses):
    data = load(houses, target="price", without=["id"], validation=0.25)
    assert data.columns.names == ["area", "city=Bonn", "city=Köln", "city=Ulm", "rooms"]
    assert data.size("train") == 30 and data.size("test") == 10
    ids = (np.concatenate([data.train["y"], data.test["y"]])[:, 0] - 0.5) / 1000
    assert sorted(ids) == list(range(40))
    train = ids[:30]
    for at, column in ((0, 50 + 7 * (ids % 9)), (4, ids % 4)):
        of_train = column[:30]
        expected = (column - of_train.mean()) / of_train.std()
        found = np.concatenate([data.train["x"], data.test["x"]])[:, at]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(data.train["x"][:, 1:4], np.eye(3)[(train % 3).astype(int)])
    assert data.train["x"].dtype == data.train["y"].dtype == np.float32
    assert data.train["x"][:, [0, 4]].mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    again = load(houses, target="price", without=["id"], validation=0.25)
    np.testing.assert_array_equal(again.test["y"], data.test["y"])
    other = load(houses, target="price", without=["id"], validation=0.25, seed=1)
    assert (other.test["y"] != data.test["y"]).any()


def test_tabs_packed_files_and_the_catalog(houses, tmp_path):
    expected = load(houses, target="price")
    (tmp_path / "t.tsv").write_text(text(sign="\t"))
    (tmp_path / "t.CSV.gz").write_bytes(gzip.compress(text().encode("utf-8-sig")))
    for name in ("t.tsv", "t.CSV.gz"):
        found = catalog.load("csv", tmp_path / name, target="price")
        np.testing.assert_array_equal(found.train["x"], expected.train["x"])
    assert expected.size("test") == 8 and expected.place == str(houses) and expected.name == "csv"


def test_a_fold_is_standardised_by_its_own_part(houses):
    whole = load(houses, target="price", without=["id"])
    fold = whole.fold(2, 4, seed=0)
    assert fold.size("test") == 8 and fold.size("train") == 24
    assert fold.columns != whole.columns
    assert fold.train["x"][:, 0].mean() == pytest.approx(0, abs=1e-6)
    held = {*np.concatenate([fold.train["y"], fold.test["y"]])[:, 0]}
    assert held == {*whole.train["y"][:, 0]}


def test_columns_of_a_run_encode_other_rows_as_in_training(houses):
    trained = load(houses, target="price", without=["id"])
    kept = json.loads(json.dumps(trained.columns.to_json()))
    assert Columns.from_json(kept) == trained.columns
    changed(houses, "price\n", "price,more\n")
    houses.write_text("city,price,rooms,area,new\nUlm,7,2,64,x\nBonn,8,0,50,y\n")
    other = load(houses, target="price", columns=kept, whole=True)
    area, rooms = trained.columns.features[0], trained.columns.features[2]
    assert isinstance(area, Number) and isinstance(rooms, Number)
    expected = [[(64 - area.mean) / area.standard_deviation, 0, 0, 1, (2 - rooms.mean) / rooms.standard_deviation],
                [(50 - area.mean) / area.standard_deviation, 1, 0, 0, -rooms.mean / rooms.standard_deviation]]
    np.testing.assert_allclose(other.test["x"], expected, rtol=1e-6)
    np.testing.assert_array_equal(other.test["y"], [[7], [8]])
    for broken in ({}, {"target": "y", "features": 3}, {"target": "y", "features": [{"name": "x"}]}):
        with pytest.raises(Invalid, match=r"^`columns` of a run \(.*\) must be what the run wrote$"):
            Columns.from_json(broken)


def test_numbers_may_be_categories(houses):
    data = load(houses, target="price", without=["id"], categorical=["rooms"])
    assert data.columns.features[2] == Category("rooms", ("0", "1", "2", "3"))
    assert data.train["x"].shape == (32, 8)


@pytest.mark.parametrize("old, new, said", [
    ("57,Köln", ",Köln", r"`column area` \(missing in line 3, of 1 such rows\) must be there in every row: --skip-mis"),
    ("57,Köln", "NA,Köln", r"`column area` \(missing in line 3, of 1 such rows\)"),
    ("57,Köln", "57,", r"`column city` \(missing in line 3, of 1 such rows\)"),
    ("1000.5", "", r"`column price` \(missing in line 3, of 1 such rows\)"),
    ("57,Köln", "about 57,Köln", r"`column area` \(50 in line 2, about 57 in line 3\) must be of numbers or of texts \("
     r"--categorical area takes all as texts\)"),
    ("57,Köln", "1_000,Köln", r"`column area` \(50 in line 2, 1_000 in line 3\) must be of numbers or of texts"),
    ("57,Köln", "inf,Köln", r"`column area` \(50 in line 2, inf in line 3\)"),
    ("1000.5", "dear", r"`column price` \(dear\) must be a number \(line 3\)"),
    ("area", "city", r"`columns` \(city\) must be there once each in "),
    ("id,area", ",area", r"`file` .* must be of named columns, but number 1 has no name: name it, or leave it"),
    ("1,57,Köln,1,1000.5", "1,57,Köln,1", r"`file` .* must be of 5 fields a row, as its header, but has 4 in line 3"),
    ("id,area,city,rooms,price\n", "", r"`column` \(price\) must be there once among those of .*: 0, 50, Bonn, 0, 0.5"),
])
def test_faults_of_a_file_are_one_line(houses, old, new, said):
    with pytest.raises(Invalid, match=f"^{said}") as caught:
        load(changed(houses, old, new), target="price")
    assert "\n" not in str(caught.value)


def test_rows_with_missing_values_are_left_out_and_counted_on_request(houses):
    changed(houses, "57,Köln", "nan,Köln")
    changed(houses, "64,Ulm", "64,")
    data = load(houses, target="price", skip_missing=True)
    assert data.size("train") + data.size("test") == 38
    assert data.left_out == {"rows with missing values": 2}
    assert "" not in data.columns.features[2].categories


def test_na_among_texts_is_a_category(houses):
    content = houses.read_text().replace("Ulm", "NA")
    houses.write_text(content)
    assert load(houses, target="price").columns.features[2].categories == ("Bonn", "Köln", "NA")


@pytest.mark.parametrize("content, options, said", [
    (text().replace("Bonn", "Ulm").replace("Köln", "Ulm"), {}, r"`column city` \(1 different texts\) must be of 2 to"),
    ("name,y\n" + "".join(f"n{i},{i}\n" for i in range(101)), {}, r"`column name` \(101 different texts\) must be"),
    ("x,y\n" + "3,1\n" * 9, {}, r"`column x` \(3 in every row to train on\) must be of several values: leave it out"),
    ("y\n1\n2\n", {}, r"`columns` \(y\) must be at least one beside y and those left out"),
    ("x,y\n1,2\n", {}, r"`file` .* must be of at least two rows, but has 1"),
    ("x;y\n1;2\n", {}, r"`file` .* must be separated by commas \(.csv\) or tabs \(.tsv\), but its header is by ';'"),
    ("1,2\n3,4\n", {"target": "1"}, r"`file` .* must be of a header and rows, but begins with the numbers 1, 2"),
    ("x,y\n1,2\n3,4\n", {"target": "z"}, r"`column` \(z\) must be there once among those of .*: x, y"),
    ("x,y\n1,2\n3,4\n", {"target": None}, r"`--target` \(None\) must be the name of the column to predict"),
    ("x,y\n1,2\n3,4\n", {"without": ["w"]}, r"`column` \(w\) must be there once among those of"),
    ("x,y\n1,2\n2,4\n", {"columns": {"target": "y", "features": [{"name": "a", "mean": 0, "standard_deviation": 1}]}},
     r"`columns` \(a\) must be there once each, but those of .* are x, y$"),
    ("c,y\nb,2\na,4\n", {"columns": {"target": "y", "features": [{"name": "c", "categories": ["a"]}]}},
     r"`column c` \(b\) must be one of a, as in training \(line 2\)$"),
])
def test_tables_that_cannot_be_learned_from(tmp_path, content, options, said):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(Invalid, match=f"^{said}") as caught:
        load(path, **{"target": "price" if "price" in content else "y", **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ['"3,5"', "$7", "12%", "1 000", "2020-01-31", "1'000", "12:30", "−4"])
def test_numbers_in_other_forms_and_dates_are_no_categories(tmp_path, value):
    path = tmp_path / "t.csv"
    path.write_text(f"x,y\n{value},1\n{value.replace('1', '2')}5,2\n".replace('"5', '5"'))
    with pytest.raises(Invalid, match=r"^`column x` \(.* in line 2\) must be of numbers as 1234.5, of texts, or"):
        load(path, target="y")
    assert len(load(path, target="y", categorical=["x"]).columns.names) == 2
    path.write_text("x,y\n3rd,1\n東4,2\n")
    assert load(path, target="y").columns.names == ["x=3rd", "x=東4"]


def test_rows_to_predict_are_named_by_line_and_bad_ones_told(houses, tmp_path):
    columns = load(houses, target="price", without=["id"]).columns
    new = tmp_path / "new.csv"
    new.write_text("rooms,city,area\n1,Ulm,60\n2,Paris,60\n,Ulm,60\n3,Bonn,70\n")
    names, x, faults = unlabelled.rows([new], columns)
    assert names == [f"{new}:2", f"{new}:5"] and x.shape == (2, 5) and x.dtype == np.float32
    assert faults == [f"`column city` (Paris) must be one of Bonn, Köln, Ulm, as in training (line 3) of {new}",
                      f"`column rooms` () must be a number (line 4) of {new}"]
    new.write_text("rooms,town,area\n1,Ulm,60\n")
    with pytest.raises(Invalid, match=r"^`columns` \(city\) must be there once each, .* are rooms, town, area$"):
        unlabelled.rows([new], columns)
    new.write_text("rooms,city,area\n1,Rom,60\n")
    with pytest.raises(Invalid, match=r"none is good$"):
        unlabelled.rows([new], columns)
