"""Checkpoints: complete, atomic, verified, and readable with NumPy alone."""

import hashlib
import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, LossStrategy, Phase, Trainer, Update, prepare
from engine.run import checkpoint
from engine.run.checkpoint import copied
from engine.run.state import variables_of
from tests import toys
from tests.run import golden


def variables(value=0.0):
    """Three variables of different kinds."""
    return {"nets/a/000.kernel": tf.Variable(tf.fill([3, 2], float(value))),
            "nets/a/001.bias": keras.Variable(np.full([2], value, "float32")),
            "optimizers/fit/000.iteration": tf.Variable(int(value), dtype=tf.int64)}


def numbers(state):
    return {name: np.unique(variable.numpy()).tolist() for name, variable in state.items()}


def cycles(folder):
    return [checkpoint.cycle_of(path) for path in checkpoint.listed(folder)]


@pytest.fixture
def saved(tmp_path):
    """A folder with the checkpoints 5 and 10, of the values 5 and 10."""
    for cycle in (5, 10):
        checkpoint.save(tmp_path, cycle, copied(variables(cycle)), {"position": 3 * cycle})
    return tmp_path


class Everything(LossStrategy):
    """Two phases; batch normalisation, dropout."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"]), Phase("head", self.loss, updates=["head"])]

    def loss(self, nets, batch, noise):
        y = nets["head"](nets["net"](batch["x"], training=True), training=True)[:, 0]
        return {"error": tf.abs(tf.cast(y, tf.float32) - batch["x"][:, 0])}


def everything(folder):
    prepare(0, "float16")
    nets = {"net": keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization(),
                                     keras.layers.Dropout(0.5)]),
            "head": toys.net(1)}
    updates = {"fit": Update(toys.adam(), average=0.9), "head": keras.optimizers.SGD(0.1, momentum=0.9)}
    return Trainer(Everything(), nets, updates, toys.points(), run_dir=folder, record=False, precision="float16",
                   cycles_per_call=4)


def test_a_checkpoint_holds_every_variable_by_name(tmp_path):
    trainer = everything(tmp_path)
    trainer.train(cycles=6)
    path = trainer.save()
    assert path == tmp_path / "checkpoints" / "6"
    names = {
        "nets/net": ["kernel", "bias", "gamma", "beta", "mean", "variance"],
        "nets/head": ["kernel", "bias"],
        "optimizers/fit": ["iteration", "learning_rate", *["momentum", "velocity"] * 4],
        "optimizers/head": ["iteration", "learning_rate", "momentum", "momentum"],
        "averages/fit": [*["average"] * 6, "averaged"],  # the statistics, too
        "loss_scales/fit": ["loss_scale", "good_updates"],
        "loss_scales/head": ["loss_scale", "good_updates"]}
    expected = {f"{group}/{place:03d}.{kind}" for group, kinds in names.items() for place, kind in enumerate(kinds)}
    manifest = json.loads((path / "manifest.json").read_text())
    assert set(manifest["variables"]) == expected
    held = [*trainer.nets["net"].variables, *trainer.nets["head"].variables]
    for part in trainer.engine.parts.values():
        held += [*part.commit.update.optimizer.variables, *(part.average.variables if part.average else ()),
                 part.commit.loss_scale.scale, part.commit.loss_scale.good]
    stateful = [v for v in held if v.name != "seed_generator_state"]  # set from its key at each update
    assert len(stateful) == len(held) - 1 == len(expected)
    with np.load(path / "state.npz", allow_pickle=False) as state:  # NumPy alone; nothing is unpickled
        assert set(state) == expected
        for name, variable in variables_of(trainer.engine).items():
            np.testing.assert_array_equal(state[name], variable.numpy())
            assert manifest["variables"][name] == [list(state[name].shape), str(state[name].dtype)]
        assert state["optimizers/fit/000.iteration"] == 6 - trainer.rejected["fit"]
        assert (state["nets/net/004.mean"] != 0).any()
    data = (path / "state.npz").read_bytes()
    assert manifest["files"] == {"state.npz": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    seal = manifest.pop("sha256")
    assert seal == hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    assert manifest["place"] == {"slot": 12, "updates": {"fit": 6, "head": 6}, "batches": {"data": 12}}
    assert (manifest["updates"], manifest["batches"]) == ({"fit": 6, "head": 6}, 12)
    config = manifest["config"]
    assert (config.pop("strategy")["class"], set(config.pop("updates"))) == ("Everything", {"fit", "head"})
    assert config == {
        "seed": 0, "plan": "auto", "precision": "float16", "batch_size": 8, "examples": 200,
        "accumulate": {"fit": 1, "head": 1}, "repeats": {"fit": 1, "head": 1}, "weights": {}}

    other = everything(tmp_path)  # a new process would do just this
    assert other.continued and other.engine.place.slot == 12
    before, after = (variables_of(each.engine) for each in (trainer, other))
    for name in expected:
        np.testing.assert_array_equal(after[name].numpy(), before[name].numpy(), err_msg=name)


def test_values_come_back_and_the_facts_with_them(saved):
    state = variables()
    assert checkpoint.load(saved / "5", state)["position"] == 15
    assert numbers(state) == numbers(variables(5))


def test_a_folder_that_is_not_there_has_no_checkpoints(tmp_path):
    assert checkpoint.newest(tmp_path / "none", print) is None


def test_a_partial_folder_is_ignored_and_swept_by_the_next_save(saved):
    shutil.copytree(saved / "10", saved / ".partial-15")
    (saved / "notes").mkdir()
    assert cycles(saved) == [5, 10]
    assert checkpoint.newest(saved, pytest.fail) == saved / "10"
    checkpoint.save(saved, 20, copied(variables(20)), {})
    assert sorted(path.name for path in saved.iterdir()) == ["10", "20", "5", "notes"]


def full(*args, **kwargs):
    raise OSError(28, "No space left on device")


def half_written(file, **arrays):
    file.write(b"PK half of it")
    full()


@pytest.mark.parametrize("place, name, fault", [(np, "savez", half_written), (os, "fsync", full), (json, "dump", full)])
def test_a_save_that_fails_leaves_the_older_ones_intact(saved, monkeypatch, place, name, fault):
    before = {path: path.read_bytes() for path in saved.rglob("*.*")}
    for cycle in (10, 15):  # 10 is there already: as after a stop in the middle of its next cycle
        with monkeypatch.context() as patch:
            patch.setattr(place, name, fault)
            with pytest.raises(OSError, match="No space left"):
                checkpoint.save(saved, cycle, copied(variables(99)), {})
        assert cycles(saved) == [5, 10]
        assert {path: path.read_bytes() for path in before} == before
        assert checkpoint.newest(saved, pytest.fail) == saved / "10"
    checkpoint.save(saved, 15, copied(variables(15)), {})  # there is space again
    assert cycles(saved) == [5, 10, 15] and not list(saved.glob(".partial-*"))


def test_a_second_save_at_one_cycle_replaces_the_first(saved):
    checkpoint.save(saved, 10, copied(variables(11)), {"position": 31})
    state = variables()
    assert checkpoint.load(saved / "10.1", state)["position"] == 31
    assert numbers(state) == numbers(variables(11))
    checkpoint.save(saved, 10, copied(variables(12)), {})
    assert [path.name for path in checkpoint.listed(saved)] == ["5", "10.2"]


EMPTY = {"format": 2, "cycle": 10, "revision": 0, "files": {}}  # a manifest


def flip(path):
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(path, **changes):
    """Change values of a manifest, as an editor would."""
    values = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**values, **changes}))


def swap(path, name):
    """Put a file of the checkpoint 5 in the place of this one's."""
    shutil.copy(path.parent / "5" / name, path / name)


@pytest.mark.parametrize("harm, named", [
    (lambda path: flip(path / "state.npz"), "state.npz is not what the manifest says (SHA-256)"),
    (lambda path: os.truncate(path / "state.npz", 100), "state.npz has 100 bytes and not the "),
    (lambda path: os.truncate(path / "state.npz", 0), "state.npz has 0 bytes and not the "),
    (lambda path: (path / "state.npz").unlink(), "FileNotFoundError"),
    (lambda path: swap(path, "state.npz"), "state.npz is not what the manifest says (SHA-256)"),
    (lambda path: swap(path, "manifest.json"), "manifest.json is of cycle 5.0"),
    (lambda path: (swap(path, "manifest.json"), swap(path, "state.npz")), "manifest.json is of cycle 5.0"),
    (lambda path: (path / "manifest.json").unlink(), "FileNotFoundError"),
    (lambda path: os.truncate(path / "manifest.json", 50), "JSONDecodeError"),
    (lambda path: os.truncate(path / "manifest.json", 0), "JSONDecodeError"),
    (lambda path: (path / "manifest.json").write_text("{}"), "manifest.json is not what was written (SHA-256)"),
    (lambda path: (path / "manifest.json").write_text("[1]"), "manifest.json is no JSON object"),
    (lambda path: edit(path, position=99), "manifest.json is not what was written (SHA-256)"),
    (lambda path: edit(path, sha256="0" * 64), "manifest.json is not what was written (SHA-256)"),
    (lambda path: (path / "manifest.json").write_text('{"a":' * 100_000), "manifest.json is nested too deeply"),
    (lambda path: ((path / "manifest.json").unlink(), os.mkfifo(path / "manifest.json")), "manifest.json is no file"),
    (lambda path: ((path / "state.npz").unlink(), os.mkfifo(path / "state.npz")), "state.npz has 0 bytes"),
    (lambda path: (path / "manifest.json").write_text(json.dumps(
        {**EMPTY, "sha256": checkpoint._seal(EMPTY)})), "manifest.json does not name state.npz alone"),
    (lambda path: os.truncate(path / "manifest.json", 2**27), "manifest.json has more than 67108864 bytes"),
])
def test_a_damaged_checkpoint_is_named_and_the_previous_one_taken(saved, harm, named):
    harm(saved / "10")
    said = []
    assert checkpoint.newest(saved, said.append) == saved / "5"
    (line,) = said
    assert line.startswith(f"checkpoint {saved / '10'} is passed over: ") and named in line


def test_a_run_continues_from_the_newest_good_checkpoint(tmp_path):
    def make(say=pytest.fail):
        return Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=tmp_path, record=False,
                       plan="graph", say=say)

    first, said = make(), []
    for length in (2, 4):
        first.train(cycles=length)
        first.save()
    flip(tmp_path / "checkpoints" / "4" / "state.npz")
    second = make(said.append)
    assert (second.continued, second.counters.cycles) == (True, 2)
    assert len(said) == 1 and str(tmp_path / "checkpoints" / "4") in said[0]
    flip(tmp_path / "checkpoints" / "2" / "state.npz")
    third = make(said.append)
    assert (third.continued, third.counters.cycles, len(said)) == (False, 0, 3)
    second.train(cycles=4)
    second.save()  # in the place of the damaged one
    np.testing.assert_array_equal(toys.bits(second.engine, second.nets), toys.bits(first.engine, first.nets))
    assert make().counters.cycles == 4


def test_other_variables_are_named_with_both_forms_and_nothing_is_restored(saved):
    state = variables(1)
    state["nets/a/001.bias"] = tf.Variable(tf.ones([4], tf.float64))
    state["nets/b/000.kernel"] = state.pop("nets/a/000.kernel")
    with pytest.raises(Invalid) as raised:
        checkpoint.load(saved / "10", state)
    assert str(raised.value) == (
        f"`checkpoint` ({saved / '10'}) must be of the same variables: "
        "nets/a/000.kernel: float32[3, 2] in the checkpoint, absent in this run; "
        "nets/a/001.bias: float32[2] in the checkpoint, float64[4] in this run; "
        "nets/b/000.kernel: absent in the checkpoint, float32[3, 2] in this run")
    assert all(value == [1] for value in numbers(state).values())


def test_a_long_difference_is_cut(saved):
    with pytest.raises(Invalid, match=r"; and 12 more$"):
        checkpoint.load(saved / "10", {f"nets/z/{i:03d}.kernel": tf.Variable(0.0) for i in range(17)})


def test_the_newest_three_are_kept(tmp_path):
    for cycle in (1, 2, 9, 10, 11):
        checkpoint.save(tmp_path, cycle, copied(variables(cycle)), {})
    assert cycles(tmp_path) == [9, 10, 11]
    state = variables()
    checkpoint.load(tmp_path / "9", state)
    assert numbers(state) == numbers(variables(9))


@pytest.mark.parametrize("damaged", [(20, 30, 40), (10, 20), (5, 20, 40), (40,)])
def test_damaged_ones_do_not_count_so_that_no_save_leaves_fewer_good_ones(tmp_path, damaged):
    for cycle in (5, 10, 20, 30, 40):
        checkpoint.save(tmp_path, cycle, copied(variables(cycle)), {}, keep=5)
    for cycle in damaged:
        (tmp_path / str(cycle) / "state.npz").write_bytes(b"damaged")
    good = sorted({5, 10, 20, 30, 40} - {*damaged})
    begun = good[-1]
    for cycle in (begun + 2, begun + 3, begun + 4, 50, 60):
        before = sum(checkpoint.fault_of(path) is None for path in checkpoint.listed(tmp_path))
        written = checkpoint.save(tmp_path, cycle, copied(variables(cycle)), {})
        assert checkpoint.fault_of(written) is None
        assert sum(checkpoint.fault_of(path) is None for path in checkpoint.listed(tmp_path)) >= min(before, 3)
    assert {50, 60} <= set(cycles(tmp_path))


def test_a_checkpoint_of_another_format_is_named(saved, monkeypatch):
    said = []
    monkeypatch.setattr(checkpoint, "FORMAT", 3)
    with pytest.raises(Invalid, match=r"`checkpoint` \(.*10\) must be of this version of phaseloop: it is of format 2, "
                                      "and this one reads 3; continue with the one that wrote it, or in another folder"
                       ):
        checkpoint.newest(saved, said.append)


def test_what_lies_among_them_does_not_disturb_a_save(saved):
    (saved / ".partial-7").write_text("a file")
    (saved / ".removed-3").symlink_to(saved / "5")
    (saved / "notes.txt").write_text("mine")
    checkpoint.save(saved, 15, copied(variables(15)), {})
    assert cycles(saved) == [5, 10, 15] and (saved / "notes.txt").read_text() == "mine"
    assert checkpoint.fault_of(saved / "5") is None


def test_the_checkpoint_that_today_s_format_number_stands_for_is_read(tmp_path):
    """If not, raise ``checkpoint.FORMAT`` and write another: see golden.py."""
    folder = tmp_path / "run"
    shutil.copytree(golden.FOLDER, folder)
    found = golden.trainer(folder)
    assert found.continued and found.counters.cycles == 4 and found.counters.batches == 4
    with np.load(golden.FOLDER / "checkpoints" / "4" / "state.npz") as stored:
        assert sum(np.asarray(variable).size for variable in variables_of(found.engine).values()) == sum(
            stored[name].size for name in stored.files)
    found.train(cycles=6)
    assert checkpoint.fault_of(found.save()) is None


@pytest.mark.parametrize("forged", [
    {"place": {"slot": -4, "updates": {"fit": 4}, "batches": {"data": 4}}},
    {"place": {"slot": float("nan"), "updates": {"fit": 4}, "batches": {"data": 4}}},
    {"place": {"slot": 4, "updates": [4] * 5000, "batches": {"data": 4}}},
    {"seconds": float("nan")}, {"rejected": {"fit": -1}}, {"events": [{"totals": {}}]}, {"surroundings": {"CPUs": 2}},
    {"variables": {"nets/net/000.kernel": [[6, 2], "O"]}}, {"variables": {"nets/net/000.kernel": [[-6, -2], "f4"]}},
    {"variables": {"nets/net/000.kernel": [[10**18, 10**18], "float32"]}}, {"variables": []}, {"variables": {"a": 3}},
    {"files": {"../../config.json": {"bytes": 1, "sha256": ""}}}, {"files": []}, {"cycle": 10**30}, {"format": [2]},
])
def test_a_seal_that_is_right_makes_no_facts_true(tmp_path, forged):
    folder = tmp_path / "run"
    shutil.copytree(golden.FOLDER, folder)
    path = folder / "checkpoints" / "4"
    manifest = checkpoint.manifest_of(path)
    sizes = manifest["variables"]
    whole = isinstance(forged.get("variables"), dict)
    manifest.update({"variables": {**sizes, **forged["variables"]}} if whole else forged)
    (path / "manifest.json").write_text(json.dumps({**manifest, "sha256": checkpoint._seal(manifest)}))
    assert checkpoint.fault_of(path)
    try:
        found = golden.trainer(folder)
    except Invalid as error:
        assert "\n" not in str(error)
    else:
        assert not found.continued and found.counters.cycles == 0
