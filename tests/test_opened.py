"""A run opened from its folder: nets with averaged weights, predictions, metrics, history."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import nets
from engine import ArraySource, Every, Goal, Invalid, Recording, Trainer, Update, average_of, open_run, prepare
from engine.data.augment import Chain, Flip, scale
from losses.strategies import Supervised
from tests import toys
from tests.scripts.running import ENVIRONMENT, ROOT

draw = np.random.default_rng(0)
IMAGES = draw.integers(0, 256, (64, 12, 12, 1)).astype(np.uint8)
LABELS = (IMAGES.mean((1, 2, 3)) > 127).astype(np.int32)


class Own(Supervised):
    """A strategy of the user's own."""

    def metrics(self, nets, batch, noise):
        return {**super().metrics(nets, batch, noise)}


def held_out():
    return ArraySource({"image": IMAGES, "label": LABELS}, 16, transform=scale)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    prepare(0)
    trainer = Trainer(Own(0.1), {"classifier": nets.create("mlp", classes=2, hidden=(8,))},
                      Update(keras.optimizers.Adam(0.01), average=0.9),
                      ArraySource({"image": IMAGES, "label": LABELS}, 8, transform=Chain(Flip(), scale)),
                      held_out=held_out(), run_dir=folder, plan="graph", say=lambda line: None, keep=9, writers=None,
                      goal=Goal("eval/accuracy", "higher"), record=Recording(checkpoint=Every(cycles=4)))
    trainer.train(cycles=12)
    return folder, trainer


def test_weights_are_the_averaged_ones_and_metrics_the_same(run):
    folder, trainer = run
    opened = open_run(folder)
    assert type(opened.strategy) is Own and opened.strategy.label_smoothing == 0.1 and opened.cycle == 12
    for a, b in zip(opened.nets["classifier"].get_weights(), trainer.averaged("classifier"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert opened.evaluate(held_out()) == trainer.evaluate(held_out()) == opened.history.metrics
    assert opened.history["classifier/objective"].tolist() == trainer.train(cycles=12)[
        "classifier/objective"].tolist()
    assert repr(opened) == f"Run({str(folder)!r} at cycle 12: Own of classifier (MLP))"


def test_predictions_are_the_nets_outputs_of_data_as_they_are_stored(run, tmp_path):
    opened = open_run(run[0])
    wanted = opened.nets["classifier"](IMAGES / np.float32(255), training=False).numpy()
    found = opened.predict(IMAGES)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(opened.predict({"image": IMAGES}, "classifier"), found)
    np.testing.assert_array_equal(opened.predict(held_out()), opened.predict(IMAGES, batch_size=16))
    for i in range(2):
        Image.fromarray(IMAGES[i, :, :, 0]).save(tmp_path / f"{i}.png")
    np.testing.assert_allclose(opened.predict([tmp_path / "0.png", str(tmp_path / "1.png")]), wanted[:2], atol=1e-5)
    np.testing.assert_allclose(opened.predict(tmp_path / "1.png"), wanted[1:2], atol=1e-5)


def test_other_checkpoints(run):
    opened = open_run(run[0], 4)
    early = opened.predict(IMAGES)
    assert opened.cycle == 4 and not np.allclose(early, open_run(run[0]).predict(IMAGES))
    best = opened.checkpoint("best").cycle
    assert best == run[1].best.facts["cycle"] and opened.checkpoint("newest").cycle == 12
    np.testing.assert_array_equal(opened.checkpoint(4).predict(IMAGES), early)
    with pytest.raises(Invalid, match=r'`checkpoint` \(5\) must be "newest", "best", or one of the cycles '
                                      "that are kept: 4, 8, 12"):
        open_run(run[0], 5)


@pytest.mark.parametrize("data, text", [
    (IMAGES / 255, r"`image` \(float64\) must be uint8, as the run's data are stored"),
    (IMAGES[:, :6], r"`image` \(uint8 \[64, 6, 12, 1\]\) must be uint8 \[N, 12, 12, 1\], as the run's data are stored"),
    ({"picture": IMAGES}, r"`data` \(picture\) must be with the key image, which the run reads"),
    (IMAGES[:0], r"`data` \(no examples\) must be at least one example"),
    ("nowhere.png", r"`path` \(nowhere.png\) must be a file or folder that exists")])
def test_other_data_are_refused(run, data, text):
    with pytest.raises(Invalid, match=text):
        open_run(run[0]).predict(data)


def test_what_cannot_be_known_must_be_given(tmp_path):
    class Local(toys.Fit):
        pass

    def trainer(**options):
        prepare(0)
        return Trainer(Local(), {"net": toys.net(2, 1)}, toys.adam(), toys.points(8), run_dir=tmp_path / "run",
                       plan="graph", say=lambda line: None, writers=[], **options)

    trainer().train(cycles=3)
    with pytest.raises(Invalid, match=r"`strategy` \(not given\) must be given, open_run\('.*run', strategy=...\): the "
                                      r"run has .*Local, which has no name of its own"):
        open_run(tmp_path / "run")
    opened = open_run(tmp_path / "run", strategy=Local())
    with pytest.raises(Invalid, match=r"`transform` \(not given\) must be given, .*: the run held nothing "
                                      "out that would"):
        opened.predict({"x": toys.POINTS})
    found = opened.examples(lambda nets, batch, noise: {"y": nets["net"](batch["x"])}, toys.points(50))["y"]
    np.testing.assert_array_equal(found, trainer().examples(lambda nets, batch, noise: {
        "y": nets["net"](batch["x"])}, toys.points(50))["y"])
    with pytest.raises(Invalid, match=r"`nets` \(nets/net/.*\) must be of the shapes that are in the checkpoint"):
        open_run(tmp_path / "run", strategy=Local(), nets={"net": toys.net(3, 1)})


def test_several_sources_phases_and_a_teacher(tmp_path):
    prepare(0)
    trainer = Trainer(toys.TinyGAN(counts=True), {**toys.gan_nets(), "teacher": average_of("generator", 0.9)},
                      {"critic": toys.adam(), "generator": Update(toys.adam(), average=0.5)}, toys.points(8),
                      held_out=toys.points(8), run_dir=tmp_path / "run", plan="graph", writers=[])
    trainer.train(cycles=3)
    opened = open_run(tmp_path / "run")
    for name in ("critic", "generator"):
        for a, b in zip(opened.nets[name].get_weights(), trainer.averaged(name), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(opened._trainer.averaged("teacher"), trainer.averaged("teacher"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert opened._trainer.engine.state["seen"].numpy().tolist() == trainer.engine.state["seen"].numpy().tolist()


@pytest.mark.parametrize("part, text", [
    (None, "it has no parts.json"), ("", "its parts.json is damaged; training on makes it anew"),
    ('{"strategy": 3}', r"`parts.json` \(.*\) must be what a run writes"),
    ('{"strategy": {"object": "os:system", "attributes": {}}}', "os:system, which no run is made of")])
def test_a_damaged_description(run, tmp_path, part, text):
    import shutil

    shutil.copytree(run[0], tmp_path / "run")
    file = tmp_path / "run" / "parts.json"
    if part is None:
        file.unlink()
    elif part.startswith('{"strategy": {'):
        file.write_text(json.dumps({**json.loads(file.read_text()), **json.loads(part)}))
    else:
        file.write_text(part)
    with pytest.raises(Invalid, match=text):
        open_run(tmp_path / "run")


def test_of_a_script_in_a_new_process(tmp_path):
    """No training code, no data; our own classes need no import."""
    np.savez(tmp_path / "data.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:8], y_test=LABELS[:8])
    command = [sys.executable, str(ROOT / "scripts/train_classifier.py"), "--net", "mlp", "--dataset", "npz",
               "--data-dir", str(tmp_path / "data.npz"), "--cycles", "2", "--batch-size", "8", "--plan", "graph",
               "--run-dir", str(tmp_path / "run")]
    subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True)
    (tmp_path / "data.npz").unlink()
    code = ("from engine import open_run; import numpy as np; run = open_run('run'); "
            "print(run.predict(np.zeros([3, 12, 12, 1], np.uint8)).shape, run.classes, run.strategy.label_smoothing)")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.stdout == "(3, 2) ('0', '1') 0.0\n", done.stderr


def test_what_the_process_computes_in_stays_as_it_was(run):
    prepare(3, "bfloat16")
    try:
        before = np.random.get_state()[1].tolist()
        opened = open_run(run[0])
        assert keras.config.dtype_policy().name == "mixed_bfloat16" and np.random.get_state()[1].tolist() == before
        assert opened.nets["classifier"].dtype_policy.name == "float32"
    finally:
        prepare(0)
