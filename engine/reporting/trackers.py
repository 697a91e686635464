"""Writers into MLflow and Weights & Biases: a run that is continued goes on under its id there."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Invalid, require
from engine.reporting.files import write_whole
from engine.reporting.record import flat
from engine.reporting.writer import Start, Timestamp, Writer

LONGEST = 500  # characters of a parameter, MLflow's least limit


class MLflow(Writer):
    """Metrics, pictures and configuration into an MLflow tracking server or store; a step is a cycle.

    Args:
      experiment: Its name; made if it is not there.
      uri: Address of the tracking server or store; None for MLflow's own choice (``MLFLOW_TRACKING_URI``).
      name: Name of the run there; None for the name of the run's folder.

    Raises:
      Invalid: If the package mlflow or mlflow-skinny is missing.
    """

    def __init__(self, experiment: str = "phaseloop", uri: str | None = None, name: str | None = None) -> None:
        self._mlflow = _package("mlflow", "mlflow")
        self._client = self._mlflow.MlflowClient(tracking_uri=uri)
        self._experiment, self._name = experiment, name
        self._run = ""
        self._sent: dict[str, int] = {}  # {name: newest cycle} of what an earlier process has sent
        self._continues = False

    def open(self, start: Start) -> None:
        """Begin a run there, or go on with that of this run's folder."""
        known = self._run or (start.cycle and _known(start, "mlflow_run_id"))
        if known:
            self._client.update_run(known, status="RUNNING")
            if not self._run:  # another process began it
                self._run, self._continues = known, True
                self._sent = {name: max((metric.step for metric in self._client.get_metric_history(known, name)),
                                        default=-1) for name in start.names}
            return
        found = self._client.get_experiment_by_name(self._experiment)
        place = found.experiment_id if found else self._client.create_experiment(self._experiment)
        name = self._name or (start.folder.resolve().name if start.folder else None)
        self._run = self._client.create_run(place, run_name=name).info.run_id
        _keep(start, "mlflow_run_id", self._run)
        for key, value in flat(start.config).items():
            self._client.log_param(self._run, key, value[:LONGEST])

    def scalars(self, timestamp: Timestamp, values: Mapping[str, float]) -> None:
        """Send numbers, but those that a process that was killed has sent."""
        now, metric = int(time.time() * 1000), self._mlflow.entities.Metric
        self._client.log_batch(self._run, metrics=[metric(name, float(value), now, timestamp.cycle)
                                                   for name, value in values.items()
                                                   if timestamp.cycle > self._sent.get(name, -1)])

    def images(self, timestamp: Timestamp, images: Mapping[str, np.ndarray]) -> None:
        """Send pictures."""
        for name, image in images.items():
            self._client.log_image(self._run, image, f"pictures/{name}-{timestamp.cycle}.png")

    def rewind(self, cycle: int) -> None:
        """After a rollback other numbers come for the same cycles: MLflow shows the newest."""
        self._sent = self._sent if self._continues else {}
        self._continues = False

    def close(self, finished: bool = True) -> None:
        """End it there, for now."""
        if self._run:
            self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")


class WandB(Writer):
    """Metrics, pictures and configuration into Weights & Biases; its x-axis is the metric ``cycle``.

    Args:
      project: Its name.
      options: Options of ``wandb.init``, such as ``mode="offline"``.

    Raises:
      Invalid: If the package wandb is missing.
    """

    def __init__(self, project: str = "phaseloop", **options: Any) -> None:
        self._wandb = _package("wandb", "wandb")
        self._project, self._options = project, options
        self._run: Any = None

    def open(self, start: Start) -> None:
        """Begin a run there, or go on with that of this run's folder."""
        known = _known(start, "wandb_run_id") if start.cycle else None
        options: dict[str, Any] = {"dir": start.folder, "name": start.folder and start.folder.resolve().name}
        self._run = self._wandb.init(project=self._project, config=dict(start.config), id=known, resume="allow",
                                     **{**options, **self._options})
        _keep(start, "wandb_run_id", self._run.id)
        self._run.define_metric("*", step_metric="cycle")

    def scalars(self, timestamp: Timestamp, values: Mapping[str, float]) -> None:
        """Send numbers."""
        self._run.log({**timestamp._asdict(), **values})

    def images(self, timestamp: Timestamp, images: Mapping[str, np.ndarray]) -> None:
        """Send pictures."""
        self._run.log({"cycle": timestamp.cycle, **{name: self._wandb.Image(image) for name, image in images.items()}})

    def close(self, finished: bool = True) -> None:
        """End it there, for now."""
        if self._run is not None:
            self._run.finish(exit_code=0 if finished else 1)


def _package(name: str, distribution: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise Invalid(f"`writers` ({name}) must be installed: pip install {distribution}") from None


def _known(start: Start, file: str) -> str | None:
    """The id that an earlier process has kept in the run's folder."""
    path = (start.folder or Path()) / file
    if start.folder is None or not path.is_file():
        return None
    text = path.read_text(errors="replace").strip()
    require(text.isalnum() and len(text) <= 64, file, text[:80], f"an id of letters and digits: {path}")
    return text


def _keep(start: Start, file: str, name: str) -> None:
    if start.folder is not None:
        write_whole(start.folder / file, f"{name}\n".encode(), parents=False)
