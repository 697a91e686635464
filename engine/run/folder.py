"""A run's folder: whose run it is, and where its files lie."""

import json
import os
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from engine.errors import Invalid, require
from engine.run import checkpoint
from engine.run.durable import read_json, write_json

# Of a configuration: what the counters of a run have their meaning from.
FIXED = ("seed", "precision", "batch_size", "examples", "repeats", "accumulate", "every", "buckets")
GIVEN = ("updates.", "weights.", "strategy.")  # what a person may have meant to change
# What a run leaves that was killed, or refused by the disk, before its config.json was there.
TRACES = re.compile(r"\.lock|\..*\.(partial|part)|(parts|environment)\.json")


class RunFolder:
    """The folder of one run. Nothing is written before ``create``.

    A config.json that is damaged or gone is made anew from a checkpoint, which holds it, too.

    Args:
      path: New, empty, or the folder of a run with the same configuration.
      config: What makes two runs the same run; plain JSON values.
      resume: What of a run that is there: "same" continues one of the same configuration; "always" one that differs in
        nothing of ``FIXED``; "never" refuses any.

    Attributes:
      parts: What the run is made of, as JSON values: kept in parts.json for who opens it, and compared with nothing.
      changed: Whether the optimizers are others than those of the run that is continued.

    Raises:
      Invalid: If the folder holds something else, or a run that is not to be continued.
    """

    def __init__(self, path: Path | str, config: Mapping[str, Any], resume: str = "same") -> None:
        require(resume in ("same", "always", "never"), "resume", resume, "same, always or never")
        self.path = Path(path)
        self._made = False
        self.parts: dict[str, Any] = {}
        self.config = json.loads(json.dumps(dict(config)))
        require(not self.path.exists() or self.path.is_dir(), "run_dir", self.path, "a folder")
        before, self.resume = self._found(), resume
        self.changed = before is not None and before.get("updates") != self.config.get("updates")
        if before is not None:
            require(resume != "never", "run_dir", self.path, "new or empty, for resume=never: it holds a run")
            self._compare(before, FIXED if resume == "always" else {*before, *self.config})

    @property
    def _file(self) -> Path:
        return self.path / "config.json"

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    def create(self) -> None:
        """Make the folder and write config.json, once.

        Raises:
          Invalid: If it was made and is gone.
        """
        self.check()
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._made and (self._fault() or read_json(self._file) != self.config):
            write_json(self._file, self.config)
        if not self._made and self.parts and self.read("parts.json") != self.parts:
            self.write("parts.json", self.parts)
        self._made = True

    def check(self) -> None:
        """Raises ``Invalid`` if the folder was made and is gone: nothing is written beside what was there."""
        require(not self._made or self._file.exists(), "run_dir", self.path,
                "left in place while a process trains in it: its config.json is gone")

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Write one JSON file, whole or not at all."""
        write_json(self.path / name, values)

    def read(self, name: str) -> dict[str, Any]:
        """One JSON file; empty if there is none that is whole."""
        try:
            return read_json(self.path / name)
        except (OSError, ValueError):
            return {}

    def _found(self) -> dict[str, Any] | None:
        """The configuration of the run that is there; None if there is none. Raises ``Invalid``."""
        if not os.path.isdir(self.path):
            return None
        fault = self._fault()
        if not fault:
            return read_json(self._file)
        for path in reversed(checkpoint.listed(self.checkpoints)):
            if not checkpoint.fault_of(path):
                return dict(checkpoint.manifest_of(path)["config"])
        mine = [each.name for each in self.path.iterdir() if not TRACES.fullmatch(each.name) and not _is_bare(each)]
        others = [name for name in mine if name != "config.json"]
        require(not others, "run_dir", self.path, "new, empty, or the folder of a run (with its config.json)"
                + f", and its config.json is damaged: {fault}" * ("config.json" in mine))
        require(not mine or self._file.is_file(), "run_dir", self.path, f"a run's folder, but {fault}")
        return None

    def _fault(self) -> str:
        """Why config.json cannot be read; nothing if it can."""
        try:
            read_json(self._file)
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error)
        return ""

    def sweep(self) -> None:
        """Remove what an earlier process could not bring to its place. Of a folder that is locked."""
        for each in [*self.path.iterdir(), *(self.path / "pictures").glob(".*")]:
            if re.fullmatch(r"\..*\.(partial|part)", each.name):
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                else:
                    each.unlink()
        checkpoint.sweep(self.checkpoints)

    def _compare(self, before: Mapping[str, Any], names: Collection[str]) -> None:
        was, now = ({name: value for name, value in each.items() if name in names} for each in (before, self.config))
        if changed := _differences(was, now):
            raise Invalid(f"`run_dir` ({self.path}) must be another one: it holds a run of another configuration: "
                          + "; ".join(changed) + ("" if any(not each.startswith(GIVEN) for each in changed) else
                                                  '; resume="always" continues it with what is given now'))


def _differences(was: Any, now: Any, name: str = "") -> list[str]:
    """A line for each value that differs, by the path to it."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        return [line for each in sorted({*was, *now})
                for line in _differences(was.get(each), now.get(each), f"{name}.{each}".lstrip("."))]
    return [] if was == now else [f"{name} was {was!r} and is {now!r}"]


def _is_bare(path: Path) -> bool:
    """Whether it is a folder of a run with nothing in it but what a kill left of a first save."""
    return path.name in ("checkpoints", "pictures", "tensorboard") and path.is_dir() and all(
        each.name.startswith(".") for each in path.iterdir())
