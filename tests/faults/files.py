"""Every file operation of a script as the place of a kill or of a disk's error, and every file of its folder damaged.

  python -m tests.faults.files --script train_vae --kind kill               a line per point, and the totals
  python -m tests.faults.files --script kfold --kind ENOSPC --every 5       every fifth operation
  python -m tests.faults.files --script compare_nets --kind damage

A point is one run of the script, disturbed, and the same command once more (interposed.c stands between the script and
the C library). After a kill that must end as the undisturbed run did: the bits of the last checkpoint, metrics.csv,
pictures, the figures of summary.json, the names of the files. An error of the disk must be exit code 2 and one line on
standard error before it; at each operation alone, at each with all that follow, and at all on the files of one name.
Damage must be repaired, with a warning where rows of metrics.csv are lost, or told in one line, in bounded time.
"""

import argparse
import contextlib
import ctypes
import errno
import hashlib
import json
import mmap
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = Path(__file__).with_name("interposed.c")
PATIENCE = 90  # seconds that a run may take
SCRIPTS = {
    "train_vae": ("train_vae.py", "--net-option", "hidden=8", "--latent-dim", "2", "--average", "0.9"),
    "train_regression": ("train_regression.py", "--dataset", "polynomial", "--examples", "40"),
    "kfold": ("kfold.py", "regression", "--folds", "2", "--dataset", "polynomial", "--examples", "40"),
    "compare_nets": ("compare_nets.py", "--nets", "mlp", "convnet", "--net-option", "mlp.hidden=[4]"),
}
OFTEN = ("--batch-size", "8", "--cycles", "5", "--log-every", "2", "--evaluate-every", "1", "--checkpoint-every",
         "1e-6")  # a checkpoint per call of the loop, an epoch of four or five cycles
FORMS = ("absent", "empty", "cut", "garbage", "folder", "full folder", "dangling link", "link", "fifo", "zeros",
         "newlines")
KINDS = ("kill", "ENOSPC", "EIO", "EROFS", "damage")


def compiled(folder):
    """The library, compiled. Raises FileNotFoundError without a compiler."""
    library = Path(folder) / "interposed.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Script:
    """One script in folders under ``place``: this process has TensorFlow imported and not used, and forks."""

    def __init__(self, name, place, plan="eager"):
        self.name, self.place = name, Path(place)
        self.library = ctypes.CDLL(None)  # interposed.so is among what is loaded
        self.board = mmap.mmap(-1, 4096)
        self.seen = (ctypes.c_long * 3).from_buffer(self.board)
        script, *options = SCRIPTS[name]
        self.command = [str(ROOT / "scripts" / script), *options, *OFTEN, "--plan", plan]
        if name in ("train_vae", "compare_nets"):
            self.command += ["--dataset", "npz", "--data-dir", str(self._pictures())]

    def _pictures(self):
        import numpy as np

        draw, path = np.random.default_rng(0), self.place / "data.npz"
        arrays = {}
        for part, count in (("train", 32), ("test", 8)):
            arrays[f"x_{part}"] = draw.integers(0, 256, (count, 12, 12, 1)).astype(np.uint8)
            arrays[f"y_{part}"] = np.arange(count) % 2
        np.savez(path, **arrays)
        return path

    def run(self, folder, code=-1, at=0, lasting=False, name="", trace=""):
        """The exit code, and what was printed on standard error. ``code``: 0 to kill, or the error's number."""
        log = self.place / "log"
        pid = os.fork()
        if not pid:
            self._child(folder, log, (code, at, lasting, name.encode(), str(trace).encode()))
        status, until = None, time.monotonic() + PATIENCE
        while status is None:
            done = os.waitpid(pid, os.WNOHANG)
            status = os.waitstatus_to_exitcode(done[1]) if done[0] else None
            if status is None and time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                status = "too late"
            time.sleep(0.005)
        return status, log.read_text(errors="replace")

    def _child(self, folder, log, armed):
        os.chdir(self.place)
        error = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(error, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = [*self.command, "--run-dir", str(folder)]
        how, at, lasting, name, trace = armed
        exits = 0
        try:
            self.library.fault_arm(str(folder).encode(), how, ctypes.c_long(at), int(lasting), name, trace,
                                   ctypes.byref(self.seen))
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            exits = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
            exits = 1
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(exits)

    @property
    def struck(self):
        """Whether the last run met its point."""
        return self.seen[1] > 0


def end_of(folder):
    """What a run's end is told by: {what: its bytes' digest or values}."""
    found = {"names": sorted({name for path in folder.rglob("*") for name in [str(path.relative_to(folder))]
                              if not re.search(r"(^|/)(checkpoints|tensorboard|pictures)/|metrics.csv$", name)}),
             "left over": [str(path) for path in folder.rglob("*") if re.match(r"\..*(partial|removed)", path.name)]}
    for table in sorted(folder.rglob("metrics.csv")):
        rows = [line.split(",") for line in table.read_text().splitlines()]
        clock = rows[0].index("seconds")
        found[str(table.relative_to(folder))] = [row[:clock] + row[clock + 1:] for row in rows]
    for path in sorted(path for path in folder.rglob("*.png") if path.is_file()):
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob("checkpoints")):
        last = max(path.iterdir(), key=lambda each: [int(part) for part in each.name.split(".") if part.isdigit()])
        found[str(path.relative_to(folder))] = hashlib.sha256((last / "state.npz").read_bytes()).hexdigest()
    for path in sorted(folder.rglob("summary.json")):
        found[str(path.relative_to(folder))] = _figures(json.loads(path.read_text()))
    return found


def _figures(values):
    """Without what a clock or the memory says."""
    if not isinstance(values, dict):
        return values
    return {name: _figures(each) for name, each in values.items() if "second" not in name and "memory" not in name}


def differs(folder, wanted):
    """What of the end in ``folder`` is not as ``wanted``; nothing if all is."""
    try:
        found = end_of(folder)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return [name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name)]


def one_line(error):
    """Whether standard error tells one fault in one line."""
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    return len(lines) == 1 and "Traceback" not in error and not re.search(r"^\S*(Error|Exception)\b", error, re.M)


def shown(error):
    """The end of what was printed, in one line."""
    return " / ".join(error.strip().splitlines()[-3:])[-300:]


class Sweep:
    """All points of one script."""

    def __init__(self, script, every, first):
        self.script, self.every, self.first = script, every, first
        self.whole = script.place / "whole"
        self.trace = script.place / "trace"
        began = time.monotonic()
        code, error = script.run(self.whole, trace=self.trace)
        assert code == 0, error
        self.wanted, self.seconds = end_of(self.whole), time.monotonic() - began
        self.points, self.good, self.how = 0, 0, Counter()

    def note(self, name, verdict, fine):
        self.points += 1
        self.good += fine
        self.how[verdict] += fine
        print(f"{'good' if fine else 'BAD '} {self.script.name} {name}: {verdict}", flush=True)

    def finishes(self, folder):
        """Run the command again; what is wrong with its end, or nothing."""
        code, error = self.script.run(folder)
        if code:
            return f"the same command again exits with {code}: {shown(error)}"
        wrong = differs(folder, self.wanted)
        return f"the same command again ends with other {', '.join(wrong)}" if wrong else ""

    def fresh(self):
        folder = self.script.place / "run"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def kills(self):
        at = self.first
        while True:
            folder = self.fresh()
            code, error = self.script.run(folder, 0, at, trace=self._new_trace())
            if not self.script.struck and code == 0:
                return
            wrong = "" if code == -signal.SIGKILL else f"exit code {code}: {shown(error)}"
            wrong = wrong or self.finishes(folder)
            self.note(f"kill {self._place()}", wrong or "continued to the same end", not wrong)
            at += self.every

    def errors(self, number):
        name = errno.errorcode[number]
        for lasting in (False, True):
            at = self.first
            while True:
                folder = self.fresh()
                code, error = self.script.run(folder, number, at, lasting, trace=self._new_trace())
                if not self.script.struck:
                    break
                self._refused(f"{name} {'from' if lasting else 'at'} {self._place()}", folder, code, error)
                at += self.every
        for target in sorted({_kind_of(line.split(" ", 2)[2]) for line in self.trace_of_whole()})[::min(self.every, 7)]:
            folder = self.fresh()
            code, error = self.script.run(folder, number, name=target, trace=self._new_trace())
            if self.script.struck:
                self._refused(f"{name} at all of {target}", folder, code, error)

    def _refused(self, name, folder, code, error):
        if code == 0:
            wrong = differs(folder, self.wanted)
            self.note(name, f"exit code 0 with other {', '.join(wrong)}" if wrong else "passed over, with the same end",
                      not wrong)
            return
        if code != 2 or not one_line(error):
            self.note(name, f"exit code {code}: {shown(error)}", False)
            return
        wrong = self.finishes(folder)
        self.note(name, wrong or "one line, and continued to the same end", not wrong)

    def damages(self):
        finished, middle = self.whole, self.script.place / "middle"
        operations = len(self.trace_of_whole())
        code, error = self.script.run(middle, 0, int(operations * 0.6))
        assert code == -signal.SIGKILL, error
        number = 0
        for state, origin in (("half-way", middle), ("finished", finished)):
            for path in sorted(path.relative_to(origin) for path in origin.rglob("*")):
                for form in FORMS:
                    number += 1
                    if number % self.every == self.first % self.every:
                        self._damaged(state, origin, path, form)

    def _damaged(self, state, origin, path, form):
        folder = self.fresh()
        shutil.copytree(origin, folder, symlinks=True)
        outside = self.script.place / "outside"
        outside.write_text("of another's making\n")
        if not damage(folder / path, form, outside):
            return
        code, error = self.script.run(folder)
        name = f"{state} {path} {form}"
        if outside.read_text() != "of another's making\n":
            self.note(name, "a file outside of the folder was written", False)
        elif code == 2 and one_line(error):
            self.note(name, f"one line: {shown(error)[-200:]}", True)
        elif code:
            self.note(name, f"exit code {code}: {shown(error)}", False)
        else:
            wrong = self._lost(differs(folder, self.wanted), error)
            self.note(name, f"exit code 0 with other {', '.join(wrong)}" if wrong else "repaired", not wrong)

    def _lost(self, wrong, error):
        """``wrong`` without what cannot be had again and is told: rows of a table that is gone, old pictures."""
        told = "warning: metrics.csv" in error
        return [name for name in wrong if not name.endswith(".png") and not (told and name.endswith("metrics.csv"))]

    def trace_of_whole(self):
        return [line for line in self.trace.read_text().splitlines() if line]

    def _new_trace(self):
        self._trace = self.script.place / "now"
        self._trace.unlink(missing_ok=True)
        return self._trace

    def _place(self):
        """The operation that was met, as the trace has it."""
        lines = self._trace.read_text().splitlines() if self._trace.exists() else []
        return next((line.removesuffix(" <-") for line in lines if line.endswith(" <-")), "nothing")


def damage(path, form, outside):
    """Put something else in the place of ``path``; False where the form is none."""
    data = path.read_bytes() if path.is_file() else None
    if form in ("empty", "cut") and not data:
        return False
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    if form == "cut":
        path.write_bytes(data[:len(data) // 2])
    elif form == "empty":
        path.write_bytes(b"")
    elif form == "garbage":
        path.write_bytes(bytes(range(256)) * 8)
    elif form == "newlines":
        path.write_bytes(b"\n" * 4_000_000)
    elif form in ("folder", "full folder"):
        path.mkdir()
        if form == "full folder":
            (path / "something").write_text("x")
    elif form == "fifo":
        os.mkfifo(path)
    elif form != "absent":
        path.symlink_to({"dangling link": "nowhere", "link": outside, "zeros": "/dev/zero"}[form])
    return True


def _kind_of(path):
    """The end of a file's path that others of its kind share."""
    path = re.sub(r"\d{6,}.*|\d+(?=\D*\.png)", "", path)
    return "/" + path.rpartition("/")[2] if path else "/"


def sweep(name, kind, every=1, first=1, plan="eager"):
    """All points of one kind; (how many, how many good)."""
    with tempfile.TemporaryDirectory() as place:
        found = Sweep(Script(name, Path(place).resolve(), plan), every, first)
        if kind == "kill":
            found.kills()
        elif kind == "damage":
            found.damages()
        else:
            found.errors(getattr(errno, kind))
    print(f"{name} {kind}: {found.good} of {found.points} good"
          + "".join(f"; {count} {how}" for how, count in found.how.most_common() if not how.startswith("one line:")))
    return found.points, found.good


def _imported():
    """All that the scripts import: once, and not used."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import kfold  # noqa: F401
    import train_vae  # noqa: F401
    import wiring

    with wiring.quiet():
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401

        import losses.strategies  # noqa: F401
        import nets  # noqa: F401
        from engine.data import catalog  # noqa: F401
        from engine.reporting import comparison, confusion, points, recorder  # noqa: F401


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", choices=SCRIPTS, nargs="+", default=list(SCRIPTS))
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--every", type=int, default=1, help="take every so many-th point")
    parser.add_argument("--first", type=int, default=1, help="begin at this one")
    parser.add_argument("--plan", default="eager", help="the files are the same under all, and this one starts fastest")
    options = parser.parse_args()
    if "interposed" not in os.environ.get("LD_PRELOAD", ""):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "LD_PRELOAD": str(compiled(folder)), "KERAS_BACKEND": "tensorflow",
                           "TF_CPP_MIN_LOG_LEVEL": "3"}
            return subprocess.run([sys.executable, "-m", "tests.faults.files", *sys.argv[1:]], cwd=ROOT,
                                  env=environment, check=False).returncode
    _imported()
    bad = 0
    for name in options.script:
        for kind in options.kind:
            began = time.monotonic()
            points, good = sweep(name, kind, options.every, options.first, options.plan)
            bad += points - good
            print(f"{time.monotonic() - began:.0f} s", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
