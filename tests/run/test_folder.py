"""A run's folder: the same configuration continues, another one or a foreign folder is refused."""

import json
import os

import pytest

from engine import Invalid, Trainer
from engine.run import checkpoint
from engine.run.folder import RunFolder
from tests import toys

CONFIG = {"seed": 0, "rate": 0.1, "sizes": (1, 2), "name": "vae"}


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path):
    """The folder of a run with CONFIG."""
    folder = RunFolder(tmp_path / "runs" / "one", CONFIG)
    folder.create()
    return folder


def test_nothing_is_written_before_create(tmp_path):
    folder = RunFolder(tmp_path / "new", CONFIG)
    assert not folder.path.exists()
    folder.create()
    assert json.loads((folder.path / "config.json").read_text()) == {**CONFIG, "sizes": [1, 2]}


def test_a_trainer_writes_nothing_before_its_first_save(tmp_path):
    trainer = Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=tmp_path / "run",
                      record=False,
                      config={"dataset": "points"})
    trainer.check()
    assert list(tmp_path.iterdir()) == []
    trainer.save()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config.pop("strategy")["class"], config.pop("updates")["fit"]["optimizer"]["class"]) == ("Fit", "Adam")
    assert config == {
        "dataset": "points", "seed": 0, "plan": "auto", "precision": "float32", "batch_size": 8, "examples": 200,
        "accumulate": {"fit": 1}, "repeats": {"fit": 1}, "weights": {}}
    with pytest.raises(Invalid, match="dataset was 'points' and is 'lines'; seed was 0 and is 1"):
        Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=tmp_path / "run", record=False,
                seed=1,
                config={"dataset": "lines"})


def test_an_empty_folder_will_do(tmp_path):
    RunFolder(tmp_path, CONFIG).create()
    assert (tmp_path / "config.json").exists()


def test_the_same_configuration_continues(run):
    before = contents(run.path)
    again = RunFolder(run.path, dict(reversed(CONFIG.items())))
    again.create()
    assert contents(run.path) == before


def test_another_configuration_is_refused_with_the_difference(run):
    before = contents(run.path)
    with pytest.raises(Invalid) as raised:
        RunFolder(run.path, {"seed": 0, "rate": 0.2, "sizes": [1, 2], "depth": 3})
    assert str(raised.value) == (
        f"`run_dir` ({run.path}) must be another one: it holds a run of another configuration: "
        "depth was None and is 3; name was 'vae' and is None; rate was 0.1 and is 0.2")
    assert contents(run.path) == before


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(Invalid, match=r"`run_dir` \(.*\) must be new, empty, or the folder of a run"):
        RunFolder(tmp_path, CONFIG)
    with pytest.raises(Invalid, match=r"`run_dir` \(.*thesis.txt\) must be a folder"):
        RunFolder(tmp_path / "thesis.txt", CONFIG)
    with pytest.raises(Invalid, match="must be new, empty, or the folder of a run"):
        Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=tmp_path, record=False)
    assert contents(tmp_path) == {(tmp_path / "thesis.txt").relative_to(tmp_path): b"do not touch"}


def test_files_are_written_whole_or_not_at_all(run):
    run.write("summary.json", {"cycles": 1})
    with pytest.raises(TypeError):
        run.write("summary.json", {"cycles": object()})
    assert json.loads((run.path / "summary.json").read_text()) == {"cycles": 1}


DAMAGES = {
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text('{"seed": 0, "ra'),
    "garbage": lambda path: path.write_bytes(b"\xff\x00\x01"),
    "a list": lambda path: path.write_text("[1]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "gone": lambda path: path.unlink(),
    "a device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "large": lambda path: os.truncate(path, 2**28),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_config_is_made_anew_from_a_checkpoint(run, damage):
    checkpoint.save(run.checkpoints, 3, {}, {"config": run.config})
    before = (run.path / "config.json").read_bytes()
    damage(run.path / "config.json")
    with pytest.raises(Invalid, match=r"seed was 0 and is 1$"):  # it still says whose run it is
        RunFolder(run.path, {**CONFIG, "seed": 1})
    RunFolder(run.path, CONFIG).create()
    assert (run.path / "config.json").read_bytes() == before


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_without_a_checkpoint_what_a_beginning_leaves_is_taken_over_and_a_table_is_not(run, damage):
    (run.path / ".lock").write_text("17\n")
    (run.path / ".config.json.partial").write_text('{"se')
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / ".partial-2").mkdir()
    damage(run.path / "config.json")
    if (run.path / "config.json").exists() and not (run.path / "config.json").is_file():
        with pytest.raises(Invalid, match=r"a run's folder, but config\.json is no file"):
            RunFolder(run.path, CONFIG)
        return
    (run.path / "metrics.csv").write_text("cycle\n1\n")
    with pytest.raises(Invalid, match="must be new, empty, or the folder of a run"):
        RunFolder(run.path, CONFIG)
    (run.path / "metrics.csv").unlink()
    taken = RunFolder(run.path, CONFIG)
    taken.create()
    assert json.loads((run.path / "config.json").read_text()) == {**CONFIG, "sizes": [1, 2]}
    taken.sweep()
    assert not (run.path / ".config.json.partial").exists()


def test_a_link_in_the_place_of_a_partial_file_leads_nowhere(run, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (run.path / ".summary.json.partial").symlink_to(tmp_path / "mine")
    run.write("summary.json", {"cycles": 1})
    assert (tmp_path / "mine").read_text() == "mine" and run.read("summary.json") == {"cycles": 1}
    (run.path / "summary.json").write_text('{"cyc')
    assert run.read("summary.json") == {}


def test_the_folder_stays_locked_until_it_is_closed(tmp_path):
    def made():
        return Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=tmp_path, record=False,
                       plan="graph")

    first, second = made(), made()
    first.open()
    first.train(cycles=2)
    with pytest.raises(Invalid, match="must be free"):
        second.train(cycles=3)
    first.close()
    third = made()
    third.train(cycles=3)
    assert third.counters.cycles == 3


def test_what_a_kill_left_half_written_or_half_removed_is_swept(run):
    checkpoint.save(run.checkpoints, 3, {}, {"config": run.config})
    (run.path / "pictures").mkdir()
    stale = [run.checkpoints / ".removed-2", run.checkpoints / ".partial-4"]
    for folder in stale:
        folder.mkdir()
        (folder / "state.npz").write_text("half")
    stale += [run.path / ".summary.json.partial", run.path / "pictures" / ".fit-3.png.partial"]
    for file in stale[2:]:
        file.write_text("half")
    run.sweep()
    assert not any(path.exists() for path in stale) and (run.checkpoints / "3").is_dir()
