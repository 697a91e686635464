"""--threads auto and --precision auto: what is measured, kept, recorded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import auto
import cli
import groups
import pytest
import rules

SCRIPTS = Path(auto.__file__).parent


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")
    monkeypatch.setattr(sys, "argv", ["train_vae.py"])
    monkeypatch.setattr(auto, "processor", lambda: ("a CPU", {"avx2", "amx_bf16"}))


def options(tmp_path, *given):
    defaults = groups.TrainOptions(run=groups.Run(run_dir=tmp_path / "run", epochs=1.0, batch_size=8))
    return cli.Command(defaults, None).parse(given)


def settled(chosen, speeds):
    """The settings by the given speeds; what was measured, and what was said."""
    measured, said = [], []

    def measure(settings):
        measured.append((settings["threads"], settings["precision"]))
        return speeds[len(measured) - 1]

    found = auto.settle(chosen, measure, said.append)
    return found.run, measured, said


def test_without_auto_nothing_is_measured(tmp_path):
    chosen = options(tmp_path, "--threads", "3", "--precision", "bfloat16")
    found, measured, said = settled(chosen, [])
    assert (measured, said) == ([], []) and chosen.run.threads == 3
    assert (found.threads, found.precision, os.environ["TF_NUM_INTRAOP_THREADS"]) == (3, "bfloat16", "3")
    chosen = options(tmp_path)
    os.environ["TF_NUM_INTRAOP_THREADS"] = ""
    assert (auto.settle(chosen).run.threads, os.environ["TF_NUM_INTRAOP_THREADS"]) == (None, "")


def test_the_fastest_is_taken_told_and_kept(tmp_path):
    chosen = options(tmp_path, "--threads", "auto")
    found, measured, said = settled(chosen, [10.0, 12.0])
    assert measured == [(None, "float32"), (1, "float32")]
    assert chosen.run.threads == "auto"  # options are never changed
    assert (found.threads, os.environ["TF_NUM_INTRAOP_THREADS"]) == (1, "1")
    assert said[-1].startswith("1 threads float32: cycles/s default threads float32 10, 1 threads float32 12 (kept in ")
    again = options(tmp_path, "--threads", "auto", "--seed", "4", "--epochs", "9")  # of no matter to the speed
    found, measured, _ = settled(again, [])
    assert measured == [] and found.threads == 1
    other = options(tmp_path, "--threads", "auto", "--batch-size", "9")
    found, measured, _ = settled(other, [2.0, 1.0])
    assert len(measured) == 2 and found.threads is None


@pytest.mark.parametrize(("flags", "measured"), [
    ({"avx512_bf16"}, [(None, "float32"), (None, "bfloat16"), (1, "float32"), (1, "bfloat16")]),
    ({"avx512f"}, [(None, "float32"), (1, "float32")])])
def test_bfloat16_is_tried_only_where_the_cpu_computes_in_it(monkeypatch, tmp_path, flags, measured):
    monkeypatch.setattr(auto, "processor", lambda: ("a CPU", flags))
    chosen = options(tmp_path, "--threads", "auto", "--precision", "auto")
    found, tried, _ = settled(chosen, [1.0, 4.0, 2.0, 3.0])
    assert tried == measured and found.precision == measured[1][1]
    monkeypatch.setattr(auto, "processor", lambda: ("a CPU", set()))
    alone = options(tmp_path, "--precision", "auto")
    found, *none = settled(alone, [])
    assert none == [[], []] and found.precision == "float32"


@pytest.mark.parametrize("option", ["--smoke", "--check"])
def test_what_trains_nothing_measures_nothing(tmp_path, option):
    chosen = options(tmp_path, "--threads", "auto", option)
    found, *none = settled(chosen, [])
    assert none == [[], []] and found.threads is None and not auto.kept_in().exists()


def test_a_continued_run_keeps_its_own(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(
        {"script": "train_vae", "threads": 1, "precision": "float32"}))
    chosen = options(tmp_path, "--threads", "auto", "--precision", "auto")
    found, *none = settled(chosen, [])
    assert none == [[], []] and (found.threads, found.precision) == (1, "float32")


def test_if_nothing_can_be_measured_nothing_is_kept(tmp_path):
    chosen = options(tmp_path, "--threads", "auto")
    assert settled(chosen, [0.0, 0.0])[0].threads is None and not auto.kept_in().exists()


def test_the_flags_are_read_as_linux_tells_them(monkeypatch, tmp_path):
    monkeypatch.undo()
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu amx_bf16 avx2\n")
    assert auto.processor(tmp_path / "cpuinfo") == ("Some CPU", {"fpu", "amx_bf16", "avx2"})
    assert auto.processor(tmp_path / "none") == ("", set())


def test_a_script_measures_itself_and_trains_with_what_it_found(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = subprocess.run(
        [sys.executable, SCRIPTS / "train_regression.py", "--threads", "auto", "--cycles", "3", "--run-dir",
         tmp_path / "run"], capture_output=True, text=True, env=environment, cwd=SCRIPTS.parent)
    assert ended.returncode == 0, ended.stderr
    kept = next(iter(json.loads((tmp_path / "cache" / "phaseloop" / "settings.json").read_text()).values()))
    assert all(speed > 0 for speed in kept["speeds"].values()) and len(kept["speeds"]) == 2
    assert f"{kept['settings']['threads'] or 'default'} threads float32: cycles/s" in ended.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text()).get("threads") == kept["settings"]["threads"]


def test_the_scripts_know_the_plans_of_the_engine():
    """``rules`` names them anew: the engine would import TensorFlow before threads are settled."""
    from engine.cycle.plan import COMPILED

    assert COMPILED == rules.COMPILED
    assert rules.plan("critic=halves generator=xla") == "critic=halves generator=xla"
