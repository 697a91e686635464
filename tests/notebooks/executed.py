"""The tutorial notebook, run from its first cell to its last; and stored with what its cells gave:

  python -m tests.notebooks.executed docs/tutorial.ipynb

What cannot be read elsewhere is left out: the bar, which is a widget, and what TensorFlow prints while it loads.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
PATIENCE = 300  # seconds for a cell


def executed(path: Path, folder: Path) -> Any:
    """The notebook with its outputs, of a kernel that works in ``folder``."""
    import nbformat
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = str(ROOT)  # of the kernel
    notebook = nbformat.read(path, as_version=4)
    return NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(folder)}},
                          store_widget_state=False).execute()


def stored(notebook: Any) -> Any:
    """``notebook`` as it is kept."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})
                            and output.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop("image/jpeg", None)  # the same as PNG
    return notebook


if __name__ == "__main__":
    import nbformat

    with tempfile.TemporaryDirectory() as made:
        nbformat.write(stored(executed(Path(sys.argv[1]), Path(made))), sys.argv[1])
