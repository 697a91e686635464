"""compare_nets.py as a person runs it: a run per net, one table, and nets that are added later."""

import json

from engine.reporting.progress import digits
from tests.scripts.running import run, run_process


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("checkpoints/*/state.npz")}


def test_nets_are_compared_and_added(tmp_path):
    folder = tmp_path / "run"
    options = ("--net-option", "mlp.hidden=[32]", "--batch-size", "64", "--cycles", "6", "--log-every", "3",
               "--run-dir", folder)
    done = run("compare_nets.py", "--nets", "mlp", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = stamps(folder)
    done = run("compare_nets.py", "--nets", "mlp", "branching", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert before and before.items() <= stamps(folder).items()
    found = json.loads((folder / "summary.json").read_text())["nets"]
    assert found["mlp"]["parameters"] == 784 * 32 + 32 + 32 * 10 + 10
    assert found["mlp"]["multiply_adds"] == 784 * 32 + 32 * 10
    for net, metrics in found.items():
        one = json.loads((folder / net / "summary.json").read_text())
        assert (metrics["accuracy"], metrics["seconds"]) == (one["metrics"]["accuracy"], one["seconds"])
        config = json.loads((folder / net / "config.json").read_text())
        assert (config["script"], config["net"]) == ("train_classifier", net)
        line = next(line.split() for line in done.stdout.splitlines() if line.startswith(f"{net} "))
        assert line[1:3] == [f"{metrics['parameters']:,}", f"{metrics['multiply_adds']:,}"]
        assert digits(metrics["accuracy"]) in line
    page = (folder / "comparison.html").read_text()
    assert "25,408" in page and 'href="branching/report.html"' in page and 'aria-label="accuracy: ' in page


def test_smoke_and_bad_names_before_anything_is_trained(tmp_path):
    done = run_process("compare_nets.py", "--nets", "mlp", "branching", "--plan", "graph", "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("smoke passed") == 2 and "WARNING" not in done.stderr  # of retracing, two trainers in one
    for options, line in ((("--nets", "mlp", "resnet81"), "`--nets` (resnet81) must be one of"),
                          (("--nets", "mlp", "mlp"), "`--nets` (mlp mlp) must be different nets"),
                          (("--nets", "mlp", "--net-option", "convnet.dropout=0.1"),
                           "`--net-option` (convnet.dropout) must be an argument of one of --nets")):
        done = run("compare_nets.py", *options, cwd=tmp_path)
        assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.iterdir())
