"""A Trainer with a run_dir records by itself what the scripts record."""

import json

import numpy as np
import pytest

from engine import Event, Every, Invalid, Recording, Trainer, Writer, prepare
from engine.reporting import table
from engine.reporting.recorder import usual_writers
from engine.reporting.rows import CSV, Rows
from tests import toys


class Drawn(toys.Fit):
    """With a picture."""

    def pictures(self, nets, batch, noise):
        return {"points": batch["x"][:, :, None, None] * 0.0 + 0.5}


class Heard(Writer):
    """All that it is told, in order."""

    def __init__(self):
        self.told = []

    def open(self, start):
        self.start = start
        self.told.append(("open", start.cycle, start.target))

    def scalars(self, timestamp, values):
        self.told.append(("scalars", timestamp.cycle, sorted(values)))

    def images(self, timestamp, images):
        self.told.append(("images", timestamp.cycle, {name: image.shape for name, image in images.items()}))

    def rewind(self, cycle):
        self.told.append(("rewind", cycle))

    def close(self, finished):
        self.told.append(("close", finished))


def made(folder, **options):
    prepare(0)
    options = {"held_out": toys.points(50), "say": lambda line: None, "plan": "eager", **options}
    return Trainer(Drawn(), {"net": toys.net(1)}, toys.adam(), toys.points(8), run_dir=folder, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    trainer = made(folder)
    return folder, trainer, trainer.train(epochs=2)


def test_all_files_of_a_script_are_there(whole):
    folder, trainer, _ = whole
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "config.json", "parts.json", "environment.json", "metrics.csv", "checkpoints", "pictures", "tensorboard",
        "report.html", "summary.json"}
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == ["points-25.png", "points-50.png"]
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["50"]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["cycles"] == 50 and summary["metrics"] == trainer.metrics == trainer.evaluate(toys.points(50))


def test_a_row_per_epoch_at_least(whole):
    rows = table.read(whole[0] / "metrics.csv")
    assert rows["cycle"] == [25, 50] and not np.isnan(rows["eval/absolute_error"]).any()  # the log's row is the same


def test_train_returns_the_history(whole):
    folder, _, history = whole
    rows = table.read(folder / "metrics.csv")
    assert history["fit/objective"].tolist() == rows["fit/objective"] and len(history["eval/absolute_error"]) == 2
    assert history.at("eval/absolute_error").tolist() == [1.0, 2.0]
    assert history.metrics == {"absolute_error": rows["eval/absolute_error"][-1]}
    assert repr(history).startswith("History(2 rows of cycle, batches, epoch, seconds, fit/")


def test_a_continued_run_gives_its_whole_history_and_the_same_files(whole, tmp_path):
    _, trainer, history = whole
    said = []
    made(tmp_path / "run").train(epochs=1)
    again = made(tmp_path / "run", writers=[*usual_writers(True)[1:]], say=said.append)
    found = again.train(epochs=2)
    assert said == [f"continues {tmp_path / 'run'} at cycle 25 of 50"]
    for name in set(history) - {"seconds"}:
        assert found[name].tolist() == history[name].tolist(), name
    assert [a.numpy().tolist() for a in again.nets["net"].weights] == [
        a.numpy().tolist() for a in trainer.nets["net"].weights]
    assert again.train(epochs=2)["fit/objective"].tolist() == history["fit/objective"].tolist()
    assert said[1:] == ["already at cycle 50 of 50: nothing to do"]


def test_two_trainings_of_one_trainer_are_one_run(whole, tmp_path):
    trainer = made(tmp_path / "run")
    trainer.train(epochs=1)
    assert trainer.train(epochs=2)["eval/absolute_error"].tolist() == whole[2]["eval/absolute_error"].tolist()


def test_nothing_is_recorded_on_request(tmp_path):
    trainer = made(tmp_path / "run", record=False)
    assert not trainer.train(cycles=3) and trainer.metrics == {}
    there = {path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")}
    assert there == {"config.json", "parts.json"}


def test_without_a_folder_rows_are_in_memory_on_request():
    assert not made(None).train(cycles=3)
    history = made(None, record=Recording(Every(cycles=2), Every(cycles=4)), writers=[Rows()]).train(cycles=5)
    assert history["cycle"].tolist() == [2, 4, 5] and len(history["eval/absolute_error"]) == 2  # at 4 and at the end


def test_writers_of_ones_own(tmp_path):
    heard = Heard()
    history = made(tmp_path / "run", writers=[heard], record=Recording(Every(cycles=2),
                                                                       Every(cycles=3))).train(cycles=3)
    logged = ["fit/absolute_error", "fit/gradient_norm", "fit/learning_rate", "fit/objective", "fit/squared_error"]
    assert heard.told == [("open", 0, 3), ("scalars", 2, logged), ("scalars", 3, logged),
                          ("scalars", 3, ["eval/absolute_error"]), ("images", 3, {"points": (1354, 466, 3)}),
                          ("close", True)]
    assert heard.start.folder == tmp_path / "run" and set(heard.start.names) == {*logged, "eval/absolute_error"}
    assert not (tmp_path / "run" / "metrics.csv").exists() and history["cycle"].tolist() == [2, 3]


def test_every_writer_is_told_of_a_rollback_and_closed_after_a_fault(tmp_path):
    class Broken(Heard):
        def scalars(self, timestamp, values):
            super().scalars(timestamp, values)
            if timestamp.cycle == 4:
                raise OSError(28, "No space left on device", "there")

    heard, broken = Heard(), Broken()
    with pytest.raises(OSError, match="No space left"):
        made(tmp_path / "run", writers=[broken, heard], record=Recording(Every(cycles=2))).train(cycles=9)
    assert heard.told[-1] == broken.told[-1] == ("close", False)
    again = made(tmp_path / "run", writers=[heard, CSV()], record=Recording(Every(cycles=2),
                                                                            checkpoint=Every(cycles=2)))
    begun = again.counters.cycles
    again.train(cycles=begun + 4)
    again = made(tmp_path / "run", writers=[heard])
    again.train(cycles=begun + 5)
    assert ("rewind", begun + 4) in heard.told


def test_events_of_ones_own_act_beside_the_recording(tmp_path):
    seen = []
    trainer = made(tmp_path / "run", events=[Event(Every(cycles=10), lambda trainer,
                                                   means: seen.append(trainer.metrics))])
    trainer.train(cycles=25)
    assert len(seen) == 3 and seen[0] == {} and seen[-1] == trainer.metrics


def test_a_goal_that_is_no_column_is_refused_before_anything_is_written(tmp_path):
    from engine import Goal

    with pytest.raises(Invalid, match=r"`goal` \(eval/nonsense\) must be one of eval/absolute_error, fit/"):
        made(tmp_path / "run", goal=Goal("eval/nonsense", "lower")).train(cycles=2)
    assert not (tmp_path / "run").exists()


def test_a_table_of_other_columns_is_one_line_and_left_as_it_is(tmp_path):
    made(tmp_path / "run").train(cycles=2)
    (tmp_path / "run" / "metrics.csv").write_text("cycle,other\n1,2\n")
    with pytest.raises(Invalid, match=r"`metrics.csv` \(columns cycle,other\) must be a table with the columns"):
        made(tmp_path / "run").train(cycles=4)
    assert (tmp_path / "run" / "metrics.csv").read_text() == "cycle,other\n1,2\n"
