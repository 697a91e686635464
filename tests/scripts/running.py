"""The scripts as a person types them: in the process of the tests, where TensorFlow is loaded, or in one of their own.

``run`` is enough for what a script does. ``run_process`` is for what only an interpreter of its own shows: that the
script imports what it needs, in the order in which it needs it, and hands its exit code on.
"""

import contextlib
import gc
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import keras

from engine import prepare

ROOT = Path(__file__).parent.parent.parent
PLACES = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": "/nonexistent", "KERAS_HOME": "/nonexistent"}
ENVIRONMENT = {**os.environ, **PLACES}
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Done(NamedTuple):
    """What a finished script left, as ``subprocess.CompletedProcess`` names it."""

    returncode: int
    stdout: str
    stderr: str


def run(script: str, *options: Any, cwd: Path) -> Done:
    """What ``python scripts/<script> <options>`` does, in this process; an exception is the test's."""
    path = str(ROOT / "scripts" / script)
    return _here(lambda: runpy.run_path(path, run_name="__main__"), [path, *map(str, options)], cwd)


def run_module(module: str, *options: Any, cwd: Path) -> Done:
    """What ``python -m <module> <options>`` does in scripts/, in this process; an exception is the test's."""
    return _here(lambda: runpy.run_module(module, run_name="__main__"), [module, *map(str, options)], cwd)


def _here(act: Callable[[], Any], command: list[str], cwd: Path) -> Done:
    code = 0
    keras.backend.clear_session()  # names of layers begin anew, as in a process
    with _file() as out, _file() as err:
        with contextlib.ExitStack() as after:
            after.callback(prepare, 0)
            for signum in SIGNALS:
                after.callback(signal.signal, signum, signal.getsignal(signum))
            after.enter_context(mock.patch.dict(os.environ, PLACES))
            after.enter_context(mock.patch.object(sys, "argv", command))
            after.callback(os.chdir, Path.cwd())
            os.chdir(cwd)
            after.enter_context(_written(1, out))
            after.enter_context(_written(2, err))
            try:
                act()
            except SystemExit as end:
                code = int(end.code or 0)
            _end()
        return Done(code, _text(out), _text(err))


def run_process(script: str, *options: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The finished process of ``python scripts/<script> <options>``."""
    return subprocess.run([sys.executable, ROOT / "scripts" / script, *map(str, options)], cwd=cwd, env=ENVIRONMENT,
                          capture_output=True, text=True, check=False, timeout=300)


def _end() -> None:
    """What is left open is closed without a word, as when a process ends: the lock of a run that could not begin."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _file() -> Any:
    return tempfile.TemporaryFile("w+", 1, encoding="utf-8")  # by lines, as standard error is


@contextlib.contextmanager
def _written(descriptor: int, file: Any) -> Iterator[None]:
    """What Python and TensorFlow's libraries write to standard output (1) or error (2) goes to ``file``."""
    redirect = {1: contextlib.redirect_stdout, 2: contextlib.redirect_stderr}[descriptor]
    kept = os.dup(descriptor)
    os.dup2(file.fileno(), descriptor)
    try:
        with redirect(file):
            yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read())
