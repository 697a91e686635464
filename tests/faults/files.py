"""Every file operation of a script as the place of a kill or of a disk's error, and every file of its folder damaged.

  python -m tests.faults.files --script train_vae --kind kill               a line per point, and the totals
  python -m tests.faults.files --script kfold --kind ENOSPC --every 5       every fifth operation
  python -m tests.faults.files --script compare_nets --kind EIO --row ends  of writes in a row to one file the first
                                                                            and the last (--row middle: the others)
  python -m tests.faults.files --script compare_nets --kind damage

A kill leaves the folder as it is: one run is stopped at each operation, half-written data included, the folder copied,
and the same command run in the copy; where no byte has changed since another point, once for both. It must end as the
undisturbed run did: the bits of the last checkpoint, metrics.csv, pictures, the metrics of summary.json, the names of
the files. An error of the disk must be exit code 2 and one line on standard error, and the same command once more must
then end as undisturbed (not run again where the folder is as after another error, but for what the clock says); at
each operation alone, at each with all that follow, and at all on the files of one name. Damage must be repaired, with
a warning where rows of metrics.csv are lost, or told in one line, in bounded time. interposed.c stands between the
script and the C library.
"""

import argparse
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.file_scripts import ROOT, SCRIPTS, imported, script
from tests.faults.interposed import KILL, STOPS, compiled

FORMS = ("absent", "empty", "cut", "garbage", "folder", "full folder", "dangling link", "link", "fifo", "zeros",
         "newlines")
KINDS = ("kill", "ENOSPC", "EIO", "EROFS", "damage")


def end_of(folder):
    """What a run's end is told by: {what: its bytes' digest or values}."""
    found = {"names": sorted({name for path in folder.rglob("*") for name in [str(path.relative_to(folder))]
                              if not re.search(r"(^|/)(checkpoints|tensorboard|pictures)(/|$)|metrics.csv$", name)}),
             "left over": [str(path) for path in folder.rglob("*") if re.match(r"\..*(partial|removed)", path.name)]}
    for table in sorted(folder.rglob("metrics.csv")):
        rows = [line.split(",") for line in table.read_text().splitlines()]
        clock = rows[0].index("seconds") if rows else 0
        found[str(table.relative_to(folder))] = [row[:clock] + row[clock + 1:] for row in rows]
    for path in sorted(path for path in folder.rglob("*.png") if path.is_file()):
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob("checkpoints")):
        last = max(path.iterdir(), key=lambda each: [int(part) for part in each.name.split(".") if part.isdigit()])
        found[str(path.relative_to(folder))] = hashlib.sha256((last / "state.npz").read_bytes()).hexdigest()
    for path in sorted(folder.rglob("summary.json")):
        found[str(path.relative_to(folder))] = _metrics(json.loads(path.read_text()))
    return found


def _metrics(values):
    """Without what a clock or the memory says, and digests of it."""
    if not isinstance(values, dict):
        return values
    return {name: _metrics(each) for name, each in values.items()
            if not any(word in name for word in ("second", "memory", "sha256"))}


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

    def __init__(self, script, every, first, row):
        self.script, self.every, self.first, self.row = script, every, first, row
        self.whole = script.place / "whole"
        self.trace = script.place / "trace"
        began = time.monotonic()
        code, error = script.run(self.whole, trace=self.trace)
        assert code == 0, error
        self.wanted, self.seconds = end_of(self.whole), time.monotonic() - began
        self.points, self.good, self.how = 0, 0, Counter()
        self.known = {}  # what finishing a folder after an error gave, by its state

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
        """Each state of the folder that a kill may leave, by stopping one run at each operation."""
        states, seen = {}, []

        def look():
            seen.append(_digest(folder))
            if seen[-1] not in states:
                states[seen[-1]] = copy = self.script.place / f"state-{len(seen)}"
                if folder.exists():
                    shutil.copytree(folder, copy, symlinks=True)

        folder = self.fresh()
        code, error = self.script.run(folder, STOPS, trace=self._new_trace(), look=look)
        assert code == 0, error
        operations, known = _lines(self._trace), {}
        for number in self._taken(operations):
            state = seen[number - 1]
            first, wrong = known.get(state, (None, ""))
            if first is None:
                wrong = self.finishes(states[state])
                shutil.rmtree(states[state], ignore_errors=True)
                known[state] = number, wrong
            same = f", as at {first}: the same bytes" if first else ""
            self.note(f"kill {operations[number - 1]}{same}", wrong or "continued to the same end", not wrong)
        print(f"{len(operations)} operations, {len(set(seen))} states of the folder, {len(known)} continued")

    def _taken(self, operations):
        """Numbers of the operations that are tried."""
        what = [line.partition(" ")[2] for line in operations]
        inside = [0 < i < len(what) - 1 and what[i - 1] == what[i] == what[i + 1] for i in range(len(what))]
        wanted = [i + 1 for i in range(len(what)) if self.row == "whole" or inside[i] == (self.row == "middle")]
        return wanted[self.first - 1::self.every]

    def errors(self, number):
        name = errno.errorcode[number]
        self.script.run(self.fresh(), number, trace=self._new_trace())  # what this error may hit
        operations = _lines(self._trace)
        for lasting in (False, True):
            for at in self._taken(operations):
                folder = self.fresh()
                code, error = self.script.run(folder, number, at, lasting, trace=self._new_trace())
                if self.script.struck:
                    self._refused(f"{name} {'from' if lasting else 'at'} {self._place()}", folder, code, error)
        for target in sorted({_kind_of(line.split(" ", 2)[2]) for line in operations})[::min(self.every, 7)]:
            folder = self.fresh()
            code, error = self.script.run(folder, number, name=target, trace=self._new_trace())
            if self.script.struck:
                self._refused(f"{name} at all of {target}", folder, code, error)
        print(f"{len(operations)} operations, {len(self.known)} states of the folder continued")

    def _refused(self, name, folder, code, error):
        if code == 0:
            wrong = differs(folder, self.wanted)
            self.note(name, f"exit code 0 with other {', '.join(wrong)}" if wrong else "passed over, with the same end",
                      not wrong)
            return
        if code != 2 or not one_line(error):
            self.note(name, f"exit code {code}: {shown(error)}", False)
            return
        state = _digest(folder, clock=False)
        if state not in self.known:
            self.known[state] = self.finishes(folder)
        wrong = self.known[state]
        self.note(name, wrong or "one line, and continued to the same end", not wrong)

    def damages(self):
        finished, middle = self.whole, self.script.place / "middle"
        operations = len(_lines(self.trace))
        code, error = self.script.run(middle, KILL, int(operations * 0.6))
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

    def _new_trace(self):
        self._trace = self.script.place / "now"
        self._trace.unlink(missing_ok=True)
        return self._trace

    def _place(self):
        """The operation that was met, as the trace has it."""
        found = [line.removesuffix(" <-") for line in self._trace.read_text().splitlines() if line.endswith(" <-")]
        return found[0] if found else "nothing"


def _lines(trace):
    """The operations of a run."""
    return [line.removesuffix(" <-") for line in trace.read_text().splitlines()]


def _digest(folder, clock=True):
    """Of all names, links and bytes in ``folder``; without ``clock`` but for what the clock says."""
    found = hashlib.sha256()
    for path in [folder, *sorted(folder.rglob("*"))] if folder.exists() else []:
        name = str(path.relative_to(folder))
        data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b"folder"
        if not clock:
            name, data = re.sub(r"tfevents.*", "tfevents", name), _without_clock(path, data)
        found.update(f"{name} {len(data)} ".encode() + data)
    return found.hexdigest()


def _without_clock(path, data):
    if "tfevents" in path.name:
        return str(len(data)).encode()
    if path.suffix == ".csv":
        rows = [row.split(b",") for row in data.splitlines()]
        return b"\n".join(b",".join(row[:3] + row[4:]) for row in rows)
    if path.suffix == ".json":
        try:
            return json.dumps(_metrics(json.loads(data))).encode()
        except ValueError:
            return data
    return re.sub(rb"[\d.]+", b"", data) if path.suffix == ".html" or path.name == ".lock" else data


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


def sweep(name, kind, every=1, first=1, row="whole", plan="eager"):
    """All points of one kind; (how many, how many good)."""
    with tempfile.TemporaryDirectory() as place:
        found = Sweep(script(name, Path(place).resolve(), plan), every, first, row)
        if kind == "kill":
            found.kills()
        elif kind == "damage":
            found.damages()
        else:
            found.errors(getattr(errno, kind))
    print(f"{name} {kind}: {found.good} of {found.points} good"
          + "".join(f"; {count} {how}" for how, count in found.how.most_common() if not how.startswith("one line:")))
    return found.points, found.good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", choices=SCRIPTS, nargs="+", default=list(SCRIPTS))
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--every", type=int, default=1, help="take every so many-th point")
    parser.add_argument("--first", type=int, default=1, help="begin at this one")
    parser.add_argument("--row", choices=("whole", "ends", "middle"), default="whole", help="of the same operation on "
                        "the same file several times in a row")
    parser.add_argument("--plan", default="eager", help="the files are the same under all, and this one starts fastest")
    options = parser.parse_args()
    if "interposed" not in os.environ.get("LD_PRELOAD", ""):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "LD_PRELOAD": str(compiled(folder)), "KERAS_BACKEND": "tensorflow",
                           "TF_CPP_MIN_LOG_LEVEL": "3"}
            return subprocess.run([sys.executable, "-m", "tests.faults.files", *sys.argv[1:]], cwd=ROOT,
                                  env=environment, check=False).returncode
    imported()
    bad = 0
    for name in options.script:
        for kind in options.kind:
            began = time.monotonic()
            points, good = sweep(name, kind, options.every, options.first, options.row, options.plan)
            bad += points - good
            print(f"{time.monotonic() - began:.0f} s", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
