"""A Jupyter notebook: whether this process computes one, and what it can show there."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None and hasattr(python, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None


def has_widgets() -> bool:
    """Whether ipywidgets, and with it tqdm's bar for notebooks, is installed."""
    return importlib.util.find_spec("ipywidgets") is not None


def name() -> str:
    """What a person calls the program that runs here."""
    file = os.environ.get("JPY_SESSION_NAME", "")  # set by Jupyter's server
    return f"notebook {Path(file).name}" if file.endswith(".ipynb") else "a notebook"


class Shown:
    """A picture below the cell, in the place of the one that was shown before it."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, png: bytes, text: str) -> None:
        """Show it; ``text`` where pictures cannot be shown."""
        content = {"image/png": png, "text/plain": text}
        if self._handle is None:
            self._handle = importlib.import_module("IPython.display").display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
