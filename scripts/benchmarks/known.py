"""Settings that an earlier benchmark of this machine found best: looking for them takes longer than the pairs."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SAME = ("processor", "cores", "python", "tensorflow", "keras", "numpy", "torch")  # facts that settings hang on


class Known:
    """Lines of trials, kept in a file.

    Args:
      path: The file; it need not be there.
      machine: Facts by name; lines found on another one, or with other versions, are not taken.
    """

    def __init__(self, path: Path, machine: Mapping[str, Any]) -> None:
        self._path, self._machine = path, {name: machine[name] for name in SAME}
        self._lines: dict[str, dict[str, Any]] = {}
        try:
            held = json.loads(path.read_text())
            if held["machine"] == self._machine:
                self._lines = held["trials"]
        except (OSError, ValueError, KeyError):
            pass

    def of(self, name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The line of ``name``; found now, and kept, if there is none."""
        if name not in self._lines:
            self._lines[name] = find()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_name(f"{self._path.name}.part")
            part.write_text(json.dumps({"machine": self._machine, "trials": self._lines}, indent=1) + "\n")
            os.replace(part, self._path)
        return self._lines[name]
