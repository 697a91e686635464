"""Weights of another run or of a file at the start, and layers that stay as they are."""

import keras
import numpy as np
import pytest

import nets
from engine import ArraySource, Invalid, Trainer, Update, freeze, open_run, prepare, warm_start
from engine.data.augment import scale
from losses.strategies import Supervised
from tests import toys
from tests.scripts.running import run as script

draw = np.random.default_rng(0)
IMAGES = draw.integers(0, 256, (32, 6, 6, 1)).astype(np.uint8)


def made(classes=3, seed=0, hidden=(5,), run_dir=None, frozen=(), **options):
    prepare(seed)
    net = nets.create("mlp", classes=classes, hidden=hidden)
    assert freeze({"classifier": net}, frozen) or not frozen
    source = ArraySource({"image": IMAGES, "label": (np.arange(32) % classes).astype(np.int32)}, 8, transform=scale)
    return Trainer(Supervised(), {"classifier": net}, Update(keras.optimizers.Adam(0.01), average=0.5), source,
                   held_out=source, plan="graph", run_dir=run_dir, say=lambda line: None, writers=[], **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun") / "run"
    made(run_dir=folder).train(cycles=4)
    return folder


def test_all_of_a_run_of_the_same_net(run):
    trainer = made(seed=1)
    fitted = warm_start(trainer, run)
    assert str(fitted) == "4 of 4 variables taken over"
    wanted = open_run(run).nets["classifier"].get_weights()
    for mine, its, average in zip(trainer.nets["classifier"].get_weights(), wanted, trainer.averaged("classifier"),
                                  strict=True):
        np.testing.assert_array_equal(mine, its)
        np.testing.assert_array_equal(average, its)
    trainer.train(cycles=2)


def test_a_last_layer_for_other_classes_keeps_its_own_and_is_told(run):
    trainer = made(classes=7, seed=1)
    own = trainer.nets["classifier"].get_weights()
    assert str(warm_start(trainer, run)) == (
        "2 of 4 variables taken over; kept as they are: classifier/002.kernel [5, 7] is [5, 3] there; "
        "classifier/003.bias [7] is [3] there")
    now = trainer.nets["classifier"].get_weights()
    np.testing.assert_array_equal(now[2], own[2])
    assert np.abs(now[0] - own[0]).max() > 0


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras's own
def test_a_file_of_weights(run, tmp_path):
    net = open_run(run).nets["classifier"]
    net.save_weights(tmp_path / "a.weights.h5")
    trainer = made(seed=1)
    assert len(warm_start(trainer, tmp_path / "a.weights.h5").taken) == 4
    np.testing.assert_array_equal(trainer.nets["classifier"].get_weights()[0], net.get_weights()[0])
    other = made(classes=7, seed=1)
    own = other.nets["classifier"].get_weights()
    fitted = warm_start(other, tmp_path / "a.weights.h5")
    assert len(fitted.taken) == 2 and "classifier/002.kernel [5, 7] is not there, or of another shape" in str(fitted)
    np.testing.assert_array_equal(other.nets["classifier"].get_weights()[2], own[2])


def test_what_does_not_fit_is_one_line_and_changes_nothing(run, tmp_path):
    trainer = made(hidden=(5, 5))
    own = trainer.nets["classifier"].get_weights()
    (tmp_path / "bad.weights.h5").write_bytes(b"no weights")
    for source, text in ((run, r"of a net like classifier \(MLP\): MLP has other variables, 4 and not 6"),
                         (tmp_path / "bad.weights.h5", r"`init` \(.*bad.weights.h5\) must be a file of weights of MLP"),
                         (tmp_path / "none.weights.h5", "must be a file that exists"),
                         (tmp_path / "nowhere", "there is no such folder")):
        with pytest.raises(Invalid, match=text):
            warm_start(trainer, source)
    for a, b in zip(trainer.nets["classifier"].get_weights(), own, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(Invalid, match="nothing fits"):
        warm_start(made(classes=7, hidden=(9,)), run)
    with pytest.raises(Invalid, match=r"`warm_start` \(at cycle 4\) must be before the first update"):
        warm_start(made(run_dir=run), run)


def test_frozen_layers_do_not_move():
    trainer = made(frozen=["classifier.dense*"])
    before = trainer.nets["classifier"].get_weights()
    trainer.train(cycles=3)
    after = trainer.nets["classifier"].get_weights()
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False, False]


def test_a_pattern_that_matches_nothing_names_the_layers():
    with pytest.raises(Invalid, match=r"`freeze` \(net.conv\) must be a pattern of layers; there are net.0, net.1"):
        freeze({"net": toys.net(2, 1)}, ["net.conv"])


def test_the_scripts_take_them_and_a_continued_run_keeps_its_own(tmp_path):
    np.savez(tmp_path / "data.npz", x_train=IMAGES, y_train=np.arange(32) % 2, x_test=IMAGES, y_test=np.arange(32) % 2)
    options = ["--net", "mlp", "--net-option", "hidden=[5]", "--dataset", "npz", "--data-dir", tmp_path / "data.npz",
               "--batch-size", "8", "--plan", "graph", "--average", "0"]
    first = script("train_classifier.py", *options, "--cycles", "3", "--run-dir", tmp_path / "a", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    more = [*options, "--init", tmp_path / "a", "--freeze", "classifier.dense*", "--run-dir", tmp_path / "b"]
    second = script("train_classifier.py", *more, "--cycles", "2", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "frozen    classifier.dense0\n" in second.stderr
    assert f"init      {tmp_path / 'a'}: 4 of 4 variables taken over\n" in second.stderr
    weights = [open_run(tmp_path / name).nets["classifier"].get_weights() for name in "ab"]
    assert [np.array_equal(a, b) for a, b in zip(*weights, strict=True)] == [True, True, False, False]
    again = script("train_classifier.py", *more, "--cycles", "4", cwd=tmp_path)
    assert again.returncode == 0 and "init  " not in again.stderr and "at cycle 2 of 4" in again.stderr
    wrong = script("train_classifier.py", *options, "--init", tmp_path / "none", "--run-dir", tmp_path / "c",
                   cwd=tmp_path)
    assert wrong.returncode == 2 and "there is no such folder" in wrong.stderr and not (tmp_path / "c").exists()
