"""Whether what the scripts import is there, and is ours."""

import importlib.util
import sys
from pathlib import Path

# Package -> a file or folder of it, by which another package or module of the same name is told apart.
NEEDED = {"tensorflow": "", "keras": "", "engine": "strategy.py", "losses": "strategies", "nets": "_own.py"}
SET_UP = "run `make setup` and then `. .venv/bin/activate`, or `pip install .`"


def problem() -> str:
    """The first thing that is wrong, in one line; nothing is imported."""
    for name, part in NEEDED.items():
        found = importlib.util.find_spec(name)
        if found is None:
            return f"`{name}` must be installed: {SET_UP}"
        folders = found.submodule_search_locations
        if not any((Path(folder) / part).exists() for folder in folders or ()):
            place = found.origin or next(iter(folders or ()), "")
            return (f"{place} takes the place of phaseloop's package `{name}`: rename it, or start where it is not on "
                    "Python's path (PYTHONPATH)")
    return ""


def require() -> None:
    """End with exit code 2 and one line if there is a problem."""
    if text := problem():
        print(f"error: {text}", file=sys.stderr)
        raise SystemExit(2)
