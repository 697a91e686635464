"""Runs in MLflow's file store and in Weights & Biases offline: one run there, whatever the number of processes here."""

import importlib.util

import pytest

from engine import Every, Invalid, Recording, Trainer, prepare
from engine.reporting import trackers
from engine.reporting.rows import CSV
from tests import toys


def made(folder, *writers, **options):
    prepare(0)
    return Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(8), held_out=toys.points(50),
                   run_dir=folder, plan="eager", say=lambda line: None, writers=[CSV(), *writers],
                   record=Recording(Every(cycles=2), Every(cycles=4), Every(cycles=4)), **options)


@pytest.mark.parametrize("writer, name", [(trackers.MLflow, "mlflow"), (trackers.WandB, "wandb")])
def test_a_missing_package_is_one_line(writer, name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(Invalid, match=rf"`writers` \({name}\) must be installed: pip install {name}"):
        writer()


@pytest.mark.skipif(not importlib.util.find_spec("mlflow"), reason="without mlflow")
@pytest.mark.filterwarnings("ignore")  # of mlflow's own
def test_mlflow_has_each_number_once_under_one_run(tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # it prefers databases

    uri = f"file://{tmp_path / 'store'}"

    class Killed(Exception):
        pass

    def kill(cycle):
        def act(trainer, means):
            if trainer.counters.cycles == cycle:
                raise Killed
        return act

    from engine import Event

    with pytest.raises(Killed):  # after numbers were sent that no checkpoint holds
        made(tmp_path / "run", trackers.MLflow(uri=uri), events=[Event(Every(cycles=1), kill(7))]).train(cycles=10)
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("phaseloop")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["KILLED"]
    trainer = made(tmp_path / "run", trackers.MLflow(uri=uri))
    trainer.train(cycles=8)
    history = trainer.train(cycles=10)  # in one process, too, it is one run
    run, = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run" and run.info.status == "FINISHED" and run.data.params["seed"] == "0"
    for name in ("fit/objective", "eval/absolute_error"):
        sent = client.get_metric_history(run.info.run_id, name)
        assert [metric.step for metric in sent] == history.at(name, "cycle").tolist()
        assert [metric.value for metric in sent] == history[name].tolist()


@pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="without wandb")
@pytest.mark.filterwarnings("ignore")  # of wandb's own
def test_wandb_offline_goes_on_under_the_same_id(tmp_path):
    made(tmp_path / "run", trackers.WandB(mode="offline")).train(cycles=4)
    first = (tmp_path / "run" / "wandb_run_id").read_text()
    made(tmp_path / "run", trackers.WandB(mode="offline")).train(cycles=8)
    assert (tmp_path / "run" / "wandb_run_id").read_text() == first
    files = list((tmp_path / "run" / "wandb").glob(f"offline-run-*-{first.strip()}/*.wandb"))
    assert files and all(file.stat().st_size for file in files)


def test_an_id_that_is_none_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mlflow_run_id").write_text("../../etc\n")
    from engine.reporting.writer import Start

    with pytest.raises(Invalid, match=r"`mlflow_run_id` \(\.\./\.\./etc\) must be an id of letters and digits"):
        trackers._known(Start(tmp_path / "run", (), {}, 1, 2, 1.0, print), "mlflow_run_id")
