"""What is installed: packages, version, the command ``phaseloop``; one line for names that clash or are missing."""

import ast
import configparser
import importlib
import os
import subprocess
import sys
from importlib import metadata

import pytest

import engine
import losses.strategies  # noqa: F401, so that it is put back
from engine import clash
from tests.scripts.running import ENVIRONMENT, ROOT

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
TAKES = "{} takes the place of phaseloop's package `{}`: rename it"


def python(*arguments, **variables):
    return subprocess.run([sys.executable, *map(str, arguments)], env={**ENVIRONMENT, **variables}, capture_output=True,
                          text=True, check=False, timeout=100)


def test_every_package_is_installed_and_the_metadata_give_the_version():
    there = {".".join(path.parent.relative_to(ROOT).parts) for top in ("engine", "losses", "nets")
             for path in (ROOT / top).rglob("*.py")}
    assert set(SETUP["options"]["packages"].split()) == there | {"phaseloop_scripts"}
    assert engine.__version__ == metadata.version("phaseloop") == SETUP["metadata"]["version"]
    for top in ("engine", "losses", "nets"):
        assert (ROOT / top / "py.typed").exists()


def test_the_command_lists_every_script_and_starts_it():
    done = python(ROOT / "scripts" / "phaseloop.py", "--help")
    assert done.returncode == 0
    scripts = {path.stem.replace("_", "-"): ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]
               for path in (ROOT / "scripts").glob("*.py") if "__main__" in path.read_text()}
    for name in ("phaseloop", "benchmark", "gpu-check"):  # the last two are for a clone
        del scripts[name]
    assert dict(line.strip().split(maxsplit=1) for line in done.stdout.splitlines()[2:-2]) == scripts
    started = python(ROOT / "scripts" / "phaseloop.py", "train-vae", "--epochs", "-1")
    assert (started.returncode, started.stderr) == (2, "error: `--epochs` (-1) must be a number above 0 (see --help)\n")


def test_an_unknown_command_gets_one_line_with_the_nearest():
    done = python(ROOT / "scripts" / "phaseloop.py", "train-vea")
    assert done.returncode == 2
    assert done.stderr.startswith("error: `COMMAND` (train-vea) must be one of demo, ")
    assert done.stderr.endswith("; nearest: train-vae\n")


@pytest.mark.parametrize("script", ["train_vae.py", "compare_nets.py", "inspect_run.py"])
def test_without_tensorflow_a_script_says_how_to_set_up(script):
    options = {"compare_nets.py": ["--nets", "mlp"], "inspect_run.py": ["runs/x"]}.get(script, [])
    done = python("-S", ROOT / "scripts" / script, *options)  # no site-packages
    assert done.returncode == 2
    assert done.stderr == ("error: `tensorflow` must be installed: run `make setup` and then `. .venv/bin/activate`, "
                           "or `pip install .`\n")


@pytest.mark.parametrize("name", ["engine", "losses", "nets"])
def test_a_script_names_the_users_file_that_takes_a_package_of_ours(name, tmp_path):
    (tmp_path / f"{name}.py").write_text("")
    done = python(ROOT / "scripts" / "train_vae.py", "--smoke", PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {TAKES.format(tmp_path / f'{name}.py', name)}, or ")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def shadowed(tmp_path, monkeypatch):
    """Puts a user's file in the place of one of our packages, as if none of it had been imported yet."""
    def shadow(name, *packages):
        (tmp_path / f"{name}.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        for module in [each for each in sys.modules if each == name or each.startswith(packages)]:
            monkeypatch.delitem(sys.modules, module)
        return TAKES.format(tmp_path / f"{name}.py", name)
    return shadow


def test_a_library_user_is_told_below_pythons_own_words(shadowed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    clash.explain()
    assert sys.excepthook is sys.__excepthook__
    text = shadowed("losses", "losses.")
    clash.explain()
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("losses.strategies")
    sys.excepthook(caught.type, caught.value, caught.tb)
    assert capsys.readouterr().err.splitlines()[-1] == text
    sys.excepthook(ValueError, ValueError("another"), None)
    assert capsys.readouterr().err == "ValueError: another\n"


def test_the_strategies_name_the_users_engine(shadowed):
    text = shadowed("engine", "engine.", "losses.strategies")
    with pytest.raises(ImportError) as caught:
        importlib.import_module("losses.strategies")
    assert str(caught.value) == text
