"""Sets of TensorFlow Datasets and of Hugging Face, made on the spot in their formats."""

import importlib

import numpy as np
import pytest
from PIL import Image

from engine.data import catalog, hub, hub_pictures
from engine.data.text_dataset import TextDataset
from engine.errors import Invalid

PICTURES = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)
TEXTS = [f"{['dull', 'funny', 'sad'][i % 3]} film {i}" for i in range(30)]
NOISY = pytest.mark.filterwarnings("ignore")  # of the libraries, about themselves


@pytest.mark.parametrize("prefix", hub.HUBS)
def test_a_missing_library_is_one_line_with_the_extra(prefix, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(Invalid, match=rf"^`dataset` \({prefix}:mnist\) must be loadable: pip install phaseloop"
                                      rf"\[{prefix}\] \(No module named '\w+'\)$"):
        catalog.load(f"{prefix}:mnist")


def test_names_of_hubs_have_options_and_others_are_refused():
    assert {"kind", "size", "vocabulary", "validation"} <= {*catalog.options_of("tfds:mnist")}
    for name in ("tfds:", "hf", "other:mnist"):
        with pytest.raises(Invalid, match=r"must be one of fashion-mnist-10k"):
            catalog.load(name)


def fake(monkeypatch, splits, classes=("a", "b")):
    """A hub of these splits, without its library."""
    monkeypatch.setattr(hub, "_read", lambda *args: hub.Hub(
        splits, {name: len(split) for name, split in splits.items()}, classes, "here"))


def labelled(numbers, values=PICTURES, classes=2):
    return [(values[i], i % classes) for i in numbers]


def test_parts_are_found_by_name_and_one_whose_labels_are_secret_is_none(monkeypatch):
    secret = [(PICTURES[0], -1)] * 2
    fake(monkeypatch, {"train": labelled(range(12)), "valid": labelled(range(12, 16)), "test": secret, "extra": secret})
    data = hub.load("hf:x")
    assert data.size("train") == 12 and data.place == "here; not read: extra, test" and data.classes == ("a", "b")
    np.testing.assert_array_equal(data.test["image"], PICTURES[12:16])
    assert data.train["image"].dtype == np.uint8 and data.train["label"].dtype == np.int32
    fake(monkeypatch, {"train": labelled(range(10)), "validation": secret, "test": labelled(range(10, 14))})
    data = hub.load("hf:x", validation=0.2)
    assert data.size("train") == 8 and data.size("test") == 2 and data.place == "here; not read: validation"
    fake(monkeypatch, {"train": labelled(range(20))})
    assert (hub.load("hf:x").size("train"), hub.load("hf:x").size("test")) == (16, 4)


def test_pictures_are_brought_to_one_form_only_where_it_is_said(monkeypatch):
    mixed = [*labelled(range(4)), (PICTURES[4][:5], 0), (PICTURES[5], 1)]
    fake(monkeypatch, {"train": mixed})
    with pytest.raises(Invalid, match=r"^`image_size` \(pictures of \[6, 5\] and \[5, 5\] pixels\) must be given"):
        hub.load("hf:x")
    assert hub.load("hf:x", size=4).train["image"].shape == (4, 4, 4, 3)
    fake(monkeypatch, {"train": [(Image.fromarray(PICTURES[0]), 0), (Image.fromarray(PICTURES[1][..., 0]), 1)] * 4})
    with pytest.raises(Invalid, match=r"^`channels` \(grey and colour pictures\) must be given: 1 or 3$"):
        hub.load("hf:x")
    assert hub.load("hf:x", channels=1).train["image"].shape == (6, 6, 5, 1)
    fake(monkeypatch, {"train": [(PICTURES[0], 0), (PICTURES[1], None)] * 4})
    with pytest.raises(Invalid, match=r"^`dataset` \(hf:x\) must be of a label for each example, but some have none$"):
        hub.load("hf:x")
    monkeypatch.setattr(hub_pictures, "ROOM", 100)
    with pytest.raises(Invalid, match=r"but has 8 of \[6, 5, 3\]: give a smaller size, or use them as files"):
        hub.load("hf:x")
    fake(monkeypatch, {"test": labelled(range(4))})
    with pytest.raises(Invalid, match=r"must be of a part to train on, but has test$"):
        hub.load("hf:x")


def test_texts_become_words_and_label_names_are_numbered_over_all_parts(monkeypatch):
    fake(monkeypatch, {"train": labelled(range(20), TEXTS, 3), "test": labelled(range(20, 30), TEXTS, 3)}, None)
    data = hub.load("hf:x", kind="text", length=4)
    assert isinstance(data, TextDataset) and data.classes == ("0", "1", "2") and "funny" in data.vocabulary.words
    assert data.test["label"].tolist() == [i % 3 for i in range(20, 30)] and data.train["tokens"].shape == (20, 4)


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    """A folder in which TensorFlow Datasets has prepared pictures and texts."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = str(tmp_path_factory.mktemp("tfds"))
    writer = tfds.dataset_builders.store_as_tfds_dataset
    pictures = {"image": tfds.features.Image(shape=(6, 5, 3)), "label": tfds.features.ClassLabel(names=["ant", "bee"])}
    texts = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["a", "b", "c"])}

    for name, values, features, classes in (("pics", PICTURES, pictures, 2), ("talk", TEXTS, texts, 3)):
        parts = {}
        for part, numbers in (("train", range(14)), ("test", range(14, 20))):
            pairs = enumerate(labelled(numbers, values, classes))
            parts[part] = [(number, dict(zip(features, pair, strict=True))) for number, pair in pairs]
        writer(name=name, version="1.0.0", data_dir=folder, features=tfds.features.FeaturesDict(features),
               split_datasets=parts)
    return folder


@NOISY
def test_tfds_reads_what_it_has_prepared(tfds_dir):
    data = catalog.load("tfds:pics", tfds_dir)
    assert data.classes == ("ant", "bee") and data.size("train") == 14 and data.name == "tfds:pics"
    for part, numbers in (("train", range(14)), ("test", range(14, 20))):
        images = getattr(data, part)["image"]
        order = [next(i for i in numbers if (PICTURES[i] == image).all()) for image in images]  # written shuffled
        assert sorted(order) == list(numbers) and getattr(data, part)["label"].tolist() == [i % 2 for i in order]
    again = catalog.load("tfds:pics", tfds_dir)
    np.testing.assert_array_equal(again.train["image"], data.train["image"])
    talk = catalog.load("tfds:talk", tfds_dir, kind="text", length=4)
    assert talk.classes == ("a", "b", "c") and talk.train["tokens"].shape == (14, 4)
    for name, kind, said in (("talk", "images", r"must be of one picture, but of its label, text those could be: none"),
                             ("none_such", "images", r"must be loadable: "), ("pics", "text", r"must be of one text")):
        with pytest.raises(Invalid, match=said) as caught:
            catalog.load(f"tfds:{name}", tfds_dir, kind=kind)
        assert "\n" not in str(caught.value)


@NOISY
def test_hugging_face_reads_saved_sets_parquet_and_folders_of_pictures(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee"])})
    images = [Image.fromarray(picture) for picture in PICTURES]

    def part(numbers):
        return datasets.Dataset.from_dict({"image": [images[i] for i in numbers], "label": [i % 2 for i in numbers]},
                                          features=features)

    datasets.DatasetDict({"train": part(range(14)), "test": part(range(14, 20))}).save_to_disk(tmp_path / "saved")
    data = catalog.load(f"hf:{tmp_path / 'saved'}")
    np.testing.assert_array_equal(data.train["image"], PICTURES[:14])
    np.testing.assert_array_equal(data.test["image"], PICTURES[14:])
    assert data.classes == ("ant", "bee") and data.test["label"].tolist() == [0, 1] * 3
    part(range(20)).save_to_disk(tmp_path / "one")
    assert catalog.load(f"hf:{tmp_path / 'one'}", size=4).train["image"].shape == (16, 4, 4, 3)

    for name in ("train", "test"):
        for i in range(6):
            folder = tmp_path / "pics" / name / ["ant", "bee"][i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            images[i].save(folder / f"{i}.png")
    data = catalog.load(f"hf:{tmp_path / 'pics'}", tmp_path / "cache")
    assert data.classes == ("ant", "bee") and sorted(data.train["label"]) == [0, 0, 0, 1, 1, 1]
    assert {image.tobytes() for image in data.train["image"]} == {picture.tobytes() for picture in PICTURES[:6]}

    (tmp_path / "talk").mkdir()
    table = datasets.Dataset.from_dict({"sentence": TEXTS, "title": TEXTS, "label": ["x", "y", "z"] * 10})
    table.to_parquet(tmp_path / "talk" / "train.parquet")
    (tmp_path / "moods").mkdir()
    datasets.Dataset.from_dict({"line": TEXTS, "mood": [3, 1] * 15}).to_csv(tmp_path / "moods" / "train.csv")
    moods = catalog.load(f"hf:{tmp_path / 'moods'}", tmp_path / "cache", kind="text", label="mood", length=4)
    assert moods.classes == ("1", "3") and sorted(moods.test["label"]) == [0] * 3 + [1] * 3
    name = f"hf:{tmp_path / 'talk'}"
    talk = catalog.load(name, tmp_path / "cache", kind="text", text="sentence", length=4)
    assert talk.classes == ("x", "y", "z") and talk.size("train") == 24 and "dull" in talk.vocabulary.words
    for options, said in (({"kind": "text"}, r"must be of one text, but of its label, sentence, title those could"),
                          ({}, r"must be of one picture"), ({"kind": "text", "text": "body"}, r"`text of .* \(body\)")):
        with pytest.raises(Invalid, match=said):
            catalog.load(name, tmp_path / "cache", **options)
    with pytest.raises(Invalid, match=r"^`dataset` \(hf:no/such\) must be loadable: ") as caught:
        catalog.load("hf:no/such", tmp_path / "cache")
    assert "\n" not in str(caught.value)
