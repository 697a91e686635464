"""A full disk, a lost folder, two processes, a clock that goes backwards: a clear line, and a run that can go on."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from engine import Event, Every, Invalid, Recording, Trainer, prepare
from engine.reporting import table
from engine.reporting.rows import CSV
from engine.run import checkpoint
from tests import toys
from tests.faults import corrupt, order, poison
from tests.faults.workloads import state_hash, table_hash, train
from tests.scripts.running import ENVIRONMENT, ROOT, run_process

CYCLES = 20


def made(folder, *events, **options):
    """A Trainer: a row every 3 cycles, a checkpoint every 5."""
    prepare(0)
    options = {"say": lambda line: None, "cycles_per_call": 4, **options}
    return Trainer(toys.Fit(), {"net": toys.net(4, 1)}, toys.adam(), toys.points(8), held_out=toys.points(8),
                   run_dir=folder, record=Recording(Every(cycles=3), Every(cycles=10), Every(cycles=5)), events=events,
                   **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The hashes of the state and of metrics.csv after a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = made(folder)
    assert train(trainer, CYCLES)
    return state_hash(trainer), table_hash(folder)


def goes_on(folder, whole):
    """The run in ``folder`` is continued to the end, with the bits of the undisturbed one."""
    trainer = made(folder)
    assert trainer.continued
    assert train(trainer, CYCLES)
    return (state_hash(trainer), table_hash(folder)) == whole


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_in_a_save_leaves_the_last_checkpoint_and_the_run_goes_on(tmp_path, monkeypatch, whole):
    fill = Event(Every(cycles=7), lambda trainer, means: monkeypatch.setattr(np, "savez", full), at_end=False)
    trainer = made(tmp_path, fill)
    with pytest.raises(OSError, match="No space left"):
        train(trainer, CYCLES)
    assert trainer.counters.cycles < CYCLES
    monkeypatch.undo()
    assert checkpoint.newest(tmp_path / "checkpoints", pytest.fail).name == "5"
    assert goes_on(tmp_path, whole)


class Half:
    """A file on a disk that has room for half of what is written."""

    def __init__(self, path, mode):
        self.file = open(path, mode)  # noqa: SIM115

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def tell(self):
        return self.file.tell()

    def write(self, data):
        self.file.write(data[:len(data) // 2])
        full()


def test_a_full_disk_in_a_log_cuts_a_row_and_the_run_goes_on(tmp_path, monkeypatch, whole):
    fill = Event(Every(cycles=7), lambda trainer, means: monkeypatch.setattr(table, "open", Half, raising=False),
                 at_end=False)
    trainer = made(tmp_path, fill)
    with pytest.raises(OSError, match="No space left"):
        train(trainer, CYCLES)
    monkeypatch.undo()
    assert not (tmp_path / "metrics.csv").read_bytes().endswith(b"\n")
    assert checkpoint.newest(tmp_path / "checkpoints", pytest.fail).name == "5"
    assert goes_on(tmp_path, whole)


@pytest.mark.parametrize("left", [1.0, 0.6, 0.01, 0.0])
def test_a_table_that_was_cut_anywhere_after_the_checkpoint_is_mended(tmp_path, left, whole):
    def end(trainer, means):
        raise KeyboardInterrupt

    trainer = made(tmp_path, Event(Every(cycles=9), end))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(cycles=CYCLES)
    file, rows = tmp_path / "metrics.csv", (tmp_path / "metrics.csv").read_bytes().splitlines(keepends=True)
    assert [row.split(b",")[0] for row in rows] == [b"cycle", b"3", b"6", b"9"]
    file.write_bytes(b"".join(rows[:2]) + rows[2][:int(left * len(rows[2]))])
    assert goes_on(tmp_path, whole)


@pytest.mark.parametrize("rows", [None, 0, 1])
def test_rows_of_the_table_that_are_gone_are_told_and_the_state_goes_on(tmp_path, rows, whole):
    def end(trainer, means):
        raise KeyboardInterrupt

    trainer = made(tmp_path, Event(Every(cycles=13), end))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(cycles=CYCLES)
    file, said = tmp_path / "metrics.csv", []
    lines = file.read_bytes().splitlines(keepends=True)
    assert [line.split(b",")[0] for line in lines] == [
        b"cycle", b"3", b"6", b"9", b"10", b"12"]
    if rows is None:
        file.unlink()
    else:
        file.write_bytes(b"".join(lines[:1 + rows]))
    trainer = made(tmp_path, writers=[CSV()], say=said.append)
    assert train(trainer, CYCLES) and state_hash(trainer) == whole[0]
    assert said[0] == (f"warning: metrics.csv has {rows or 0} of the 4 rows that it had at cycle 10: the others are "
                       "lost")


def test_a_folder_that_is_removed_under_the_run_is_not_made_again(tmp_path):
    def remove(trainer, means):
        while (tmp_path / "run").exists():  # a save is renamed by its thread while the folder is listed: once more
            shutil.rmtree(tmp_path / "run", ignore_errors=True)

    trainer = made(tmp_path / "run", Event(Every(cycles=7), remove))
    with pytest.raises(Invalid, match=r"`run_dir` \(.*run\) must be left in place while a process trains in it: its "
                                      r"config.json is gone"):
        trainer.train(cycles=CYCLES)
    assert trainer.counters.cycles < CYCLES and not (tmp_path / "run").exists()


def test_a_clock_that_goes_backwards_changes_no_bit_and_stops_no_event(tmp_path, whole):
    ticks, seen = iter(range(10**6)), []

    def clock():
        tick = next(ticks)
        return 1e9 + tick - 1e6 * (tick > 8)  # once back by far, between steps of a second

    beat = Event(Every(seconds=2), lambda trainer, means: seen.append((trainer.counters.cycles, trainer.seconds)),
                 at_end=False)
    trainer = made(tmp_path, beat, clock=clock)
    assert train(trainer, CYCLES)
    assert (state_hash(trainer), table_hash(tmp_path)) == whole
    seconds = [second for _, second in seen]
    assert len(seen) >= 2 and seconds == sorted(seconds) and trainer.seconds >= seconds[-1] > 0


# As a person meets it: exit code 2 and one line.


OPTIONS = ("--dataset", "linear", "--batch-size", "10", "--checkpoint-every", "0.1", "--log-every", "50")


def start(folder, cycles):
    """The process of a run that lasts."""
    return subprocess.Popen([sys.executable, ROOT / "scripts/train_regression.py", *OPTIONS, "--run-dir", folder,
                             "--cycles", str(cycles)], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, cwd=folder.parent)


def wait_for(holds, process):
    deadline = time.monotonic() + 120
    while not holds():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def one_line(error):
    """The line of an error; nothing else of its kind, and no traceback."""
    line, = [line for line in error.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in error and "rror" not in error.replace(line, "").replace("squared_error", ""), error
    return line


def newest_cycle(folder):
    return max([checkpoint.cycle_of(path) for path in checkpoint.listed(folder / "checkpoints")], default=0)


def test_a_second_process_is_refused_a_stale_lock_is_taken_over_and_a_lost_folder_ends_the_run(tmp_path):
    folder = tmp_path / "run"
    first = start(folder, 10**7)
    wait_for(lambda: newest_cycle(folder) > 0, first)
    refused = run_process("train_regression.py", *OPTIONS, "--run-dir", folder, "--cycles", 10**7, cwd=tmp_path)
    assert refused.returncode == 2
    free = f"error: `--run-dir` ({folder}) must be free"
    assert one_line(refused.stderr) == (f"{free}: process {first.pid} is training in "
                                        "it")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL and (folder / ".lock").read_text() == f"{first.pid}\n"
    left = newest_cycle(folder)
    second = start(folder, 10**7)
    wait_for(lambda: newest_cycle(folder) > left, second)
    assert (folder / ".lock").read_text() == f"{second.pid}\n"
    folder.rename(tmp_path / "elsewhere")
    _, error = second.communicate(timeout=60)
    assert second.returncode == 2 and f"continues {folder} at cycle {left} of" in error
    assert one_line(error).startswith(
        f"error: `--run-dir` ({folder}) must be left in place while a process trains in it")
    assert not folder.exists()


def test_a_limit_on_files_and_a_folder_that_cannot_be(tmp_path):
    folder = tmp_path / "run"
    done = run_process("train_regression.py", *OPTIONS, "--run-dir", folder, "--cycles", 50, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kept = {path: path.read_bytes() for path in (folder / "checkpoints").rglob("*.*")}
    done = subprocess.run([sys.executable, ROOT / "scripts/train_regression.py", *OPTIONS, "--run-dir", folder,
                           "--cycles", "100000"], env=ENVIRONMENT, capture_output=True, text=True, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)))
    assert done.returncode == 2
    assert one_line(done.stderr) == (f"error: [Errno {errno.EFBIG}] {os.strerror(errno.EFBIG)}; the checkpoint "
                                     f"{folder / 'checkpoints' / '50'} is as it was: the same command continues")
    assert {path: path.read_bytes() for path in kept} == kept
    refused = run_process("train_regression.py", *OPTIONS, "--run-dir", "/proc/none/run", "--cycles", 5, cwd=tmp_path)
    assert refused.returncode == 2 and "/proc/none" in one_line(refused.stderr)


# Small samples of the long ones.


def test_random_damage_to_a_checkpoint_is_detected():
    found = corrupt.damage(220, seed=1)
    assert corrupt.wrong(found) == 0 and set(found) == {kind.__name__ for kind in corrupt.KINDS}


@pytest.mark.parametrize("name, plan", [("arrays", "graph"), ("pictures", "xla")])
def test_interruptions_lose_and_repeat_no_example(name, plan):
    assert order.faults(name, plan, interruptions=3, seed=1) == []


@pytest.mark.slow
@pytest.mark.parametrize("plan, policies", [("graph", ("stop", "skip", "rollback")), ("xla", ("stop", "skip"))])
def test_poison_is_named_and_led_past(plan, policies):
    assert poison.count(plan, 4, seed=1, policies=policies) == dict.fromkeys(policies, 4)
