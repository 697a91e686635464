"""The tutorial notebook: what is stored in it is fit to read, and it runs from its first cell to its last."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.executed import ROOT, WIDGET, executed, stored

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
INTERNAL = ("ipykernel", "site-packages", "Traceback", str(ROOT))


def outputs(notebook: Any) -> list[Any]:
    """Of all cells, in order."""
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def kinds(notebook: Any) -> set[str]:
    """MIME types of what is displayed."""
    return {kind for output in outputs(notebook) for kind in output.get("data", {})}


def test_what_is_stored_can_be_read_without_running_it():
    text = TUTORIAL.read_text()
    notebook = json.loads(text)
    assert len(text) < 300_000 and not any(name in text for name in INTERNAL)
    assert kinds(notebook) == {"image/png", "text/html", "text/plain"}
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs(notebook))
    assert all(cell["outputs"] for cell in notebook["cells"][3:] if cell["cell_type"] == "code"
               and not cell["source"][0].startswith("class"))


@pytest.mark.skipif(importlib.util.find_spec("nbclient") is None or importlib.util.find_spec("ipykernel") is None,
                    reason="the extra `notebook` is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of jupyter_client and zmq
def test_it_runs_and_gives_what_is_stored(tmp_path: Path) -> None:
    made = executed(TUTORIAL, tmp_path)
    assert WIDGET in kinds(made)
    for cell in made.cells[2:]:  # while TensorFlow loads its libraries print what they like
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output["text"]
    before, now = json.loads(TUTORIAL.read_text()), json.loads(json.dumps(stored(made)))
    assert [len(cell.get("outputs", [])) > 0 for cell in now["cells"]] == [
        len(cell.get("outputs", [])) > 0 for cell in before["cells"]]
    assert not any(name in json.dumps(outputs(now)) for name in INTERNAL)
    run = tmp_path / "runs" / "notebook"
    assert json.loads((run / "summary.json").read_text())["cycles"] == 1400 and (run / "report.html").is_file()
