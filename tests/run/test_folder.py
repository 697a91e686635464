"""A run's folder: the same configuration continues, another one or a foreign folder is refused."""

import json

import pytest

from engine import Invalid, Trainer
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
                      config={"dataset": "points"})
    trainer.check()
    assert list(tmp_path.iterdir()) == []
    trainer.save()
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == {
        "dataset": "points", "seed": 0, "plan": "auto", "precision": "float32", "batch_size": 8, "examples": 200,
        "accumulate": {"fit": 1}, "repeats": {"fit": 1}}
    with pytest.raises(Invalid, match="dataset was 'points' and is 'lines'; seed was 0 and is 1"):
        Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=tmp_path / "run", seed=1,
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
        Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), run_dir=tmp_path)
    assert contents(tmp_path) == {(tmp_path / "thesis.txt").relative_to(tmp_path): b"do not touch"}


def test_files_are_written_whole_or_not_at_all(run):
    run.write("summary.json", {"cycles": 1})
    with pytest.raises(TypeError):
        run.write("summary.json", {"cycles": object()})
    assert json.loads((run.path / "summary.json").read_text()) == {"cycles": 1}
