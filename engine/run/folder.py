"""A run's folder: whose run it is, and where its files lie."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import Invalid, require


class RunFolder:
    """The folder of one run. Nothing is written before ``create``.

    Args:
      path: New, empty, or the folder of a run with the same configuration.
      config: What makes two runs the same run; plain JSON values.

    Raises:
      Invalid: if the folder holds something else, or a run of another configuration.
    """

    def __init__(self, path: Path | str, config: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._made = False
        self.config = json.loads(json.dumps(dict(config)))
        require(not self.path.exists() or self.path.is_dir(), "run_dir", self.path, "a folder")
        known = self._file.exists()
        empty = not self.path.exists() or not any(self.path.iterdir())
        require(known or empty, "run_dir", self.path, "new, empty, or the folder of a run (with its config.json)")
        if known:
            self._compare(json.loads(self._file.read_text()))

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
          Invalid: if it was made and is gone.
        """
        self.check()
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            self.write("config.json", self.config)
        self._made = True

    def check(self) -> None:
        """Raises ``Invalid`` if the folder was made and is gone: nothing is written beside what was there."""
        require(not self._made or self._file.exists(), "run_dir", self.path,
                "left in place while a process trains in it: its config.json is gone")

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Write one JSON file, whole or not at all."""
        partial = self.path / f".{name}.partial"
        partial.write_text(json.dumps(values, indent=2) + "\n")
        partial.replace(self.path / name)

    def read(self, name: str) -> dict[str, Any]:
        """One JSON file; empty if there is none."""
        file = self.path / name
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _compare(self, before: Mapping[str, Any]) -> None:
        names = sorted({*before, *self.config})
        changed = [f"{name} was {before.get(name)!r} and is {self.config.get(name)!r}"
                   for name in names if before.get(name) != self.config.get(name)]
        if changed:
            raise Invalid(f"`run_dir` ({self.path}) must be another one: it holds a run of another configuration: "
                          + "; ".join(changed))
