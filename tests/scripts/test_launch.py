"""launch.py as a person runs it, with workers that train nothing: small Python programs, one for all places."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from worker_environment import THREADS

from tests.scripts.running import ROOT

LAUNCH = [sys.executable, str(ROOT / "scripts" / "launch.py")]
TWO = ("--workers", 2)
QUICK = (*TWO, "--grace", 0.8)
# What each worker knows; ``stay`` waits for what another does, or for the launcher.
BEGIN = """
import json, os, signal, sys, time
from pathlib import Path
told = json.loads(os.environ["TF_CONFIG"])
index = told["task"]["index"]
def on(signum, code): signal.signal(signum, lambda *_: os._exit(code))
def say(text): print(text, file=sys.stderr, flush=True)
def note(name, text=""):
    Path(f"{name}.part").write_text(str(text)); Path(f"{name}.part").rename(name)
def first(name):
    there = Path(name).exists(); note(name); return not there
def until(name):
    while not Path(name).exists(): time.sleep(0.01)
def stay(): time.sleep(30)
def ready(): note(f"ready{index}", os.getpid())
"""


def command(program, *options, arguments=()):
    words = [*options, "--", sys.executable, "-I", "-S", "-c", BEGIN + program, *arguments]
    return [*LAUNCH, *map(str, words)]


def environment(**more):
    without = ("TF_CONFIG", "CUDA_VISIBLE_DEVICES", *THREADS)
    return {**{name: value for name, value in os.environ.items() if name not in without}, **more}


@pytest.fixture
def launch(tmp_path):
    """``launch(program, *options)``: the finished launcher."""
    def run(program, *options, arguments=(), **more):
        return subprocess.run(command(program, *(options or TWO), arguments=arguments), cwd=tmp_path,
                              env=environment(**more), capture_output=True, text=True, timeout=30, check=False)
    return run


@pytest.fixture
def launching(tmp_path):
    """``with launching(program) as process:`` the launcher, when its two workers are ``ready()``."""
    def heard():  # under nohup it would be ignored, as it should
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    @contextlib.contextmanager
    def run(program, before=(), **streams):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        with subprocess.Popen([*before, *command(program, *QUICK)], cwd=tmp_path, env=environment(), text=True,
                              preexec_fn=heard, **streams) as process:
            try:
                appear(tmp_path / "ready0", tmp_path / "ready1")
                yield process
            finally:
                process.kill()
    return run


@contextlib.contextmanager
def terminal():
    """Both sides of one."""
    main, side = pty.openpty()
    try:
        yield main, side
    finally:
        os.close(main)
        os.close(side)


# Before a command: in a session whose terminal is its standard input, as a shell has it.
ON_TERMINAL = [sys.executable, "-c", "import fcntl, os, sys, termios; os.setsid(); "
                                     "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"]


def appear(*paths):
    deadline = time.monotonic() + 20
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, paths
        time.sleep(0.01)


def lives(number):
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        with open(f"/proc/{number}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(*numbers):
    deadline = time.monotonic() + 10
    while any(map(lives, numbers)):
        assert time.monotonic() < deadline, numbers
        time.sleep(0.01)


def lines(done):
    return done.returncode, done.stderr.splitlines()


def lost(text, place):
    return (f"{text}: all are started again, and what keeps no folder begins anew, as the command names no --run-dir "
            f"({place})")


def test_each_worker_knows_the_cluster_its_place_and_its_threads(launch, tmp_path):
    program = """
names = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"
note(f"told{index}", json.dumps([told, [os.environ[name] for name in names], sys.argv[1:], sys.stdin.read()]))
"""
    done = launch(program, "--workers", 3, "--threads-per-worker", 5, arguments=["--", "-x", "a b"],
                  OMP_NUM_THREADS="7")
    assert lines(done) == (0, [])
    found = [json.loads((tmp_path / f"told{index}").read_text()) for index in range(3)]
    clusters = [told["cluster"] for told, *_ in found]
    assert clusters[0] == clusters[1] == clusters[2]
    addresses = clusters[0]["worker"]
    assert len({address.partition(":")[2] for address in addresses}) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    assert [told["task"] for told, *_ in found] == [{"type": "worker", "index": index} for index in range(3)]
    assert [rest for _, *rest in found] == [[["5"] * 3, ["--", "-x", "a b"], ""]] * 3


def test_a_worker_can_listen_on_its_port_and_two_launches_have_others(launching, tmp_path):
    program = """
import socket
listener = socket.create_server(("127.0.0.1", int(told["cluster"]["worker"][index].partition(":")[2])))
note(f"listens{index}", os.environ["TF_CONFIG"]); ready(); stay()
"""
    with launching(program):
        taken = json.loads((tmp_path / "listens0").read_text())["cluster"]["worker"]
        found = subprocess.run(command("print(os.environ['TF_CONFIG'])", "--workers", 20), env=environment(), text=True,
                               capture_output=True, check=True, timeout=30).stdout
        assert not set(taken) & set(json.loads(found)["cluster"]["worker"])


def test_the_chief_has_the_terminal_and_the_others_are_silent(tmp_path):
    program = """
say(f"{index} {os.isatty(0)} {os.isatty(1)} {os.isatty(2)} {os.get_terminal_size(2) if index == 0 else 0}")
print("chief" if index == 0 else "other", flush=True)
"""
    with terminal() as (main, side):
        attributes = termios.tcgetattr(side)
        attributes[3] |= termios.TOSTOP  # background processes that write are stopped
        termios.tcsetattr(side, termios.TCSANOW, attributes)
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        done = subprocess.run([*ON_TERMINAL, *command(program, *QUICK)], stdin=side, stdout=side, stderr=side,
                              env=environment(), timeout=30, check=False)
        assert done.returncode == 0
        assert os.read(main, 4096).decode().splitlines() == [
            "0 False True True os.terminal_size(columns=77, lines=33)", "chief"]


@pytest.mark.parametrize("code", [2, 143])
def test_a_result_of_the_workers_is_that_of_the_launch(launch, code):
    done = launch(f"""
if index == 0: say("told once")
sys.exit({code})""")
    assert lines(done) == (code, ["told once"])


def test_a_result_of_one_ends_the_others_and_its_last_lines_are_shown(launch, tmp_path):
    done = launch("""
if index == 1:
    until("began"); [say(f"line {number}") for number in range(30)]; sys.exit(2)
signal.signal(signal.SIGTERM, lambda *_: note("asked")); note("began")
stay()""", *QUICK)
    assert lines(done) == (2, [*(f"worker 1: line {number}" for number in range(10, 30)),
                               "worker 1 ended with exit code 2"])
    assert (tmp_path / "asked").exists()  # then it was killed


def test_others_that_have_lost_a_partner_may_end_in_any_way(launch):
    done = launch("""
if index == 1: note("gone"); sys.exit(3)
until("gone"); os.abort()""", "--workers", 3)
    assert lines(done) == (3, ["worker 1 ended with exit code 3"])


def test_the_chief_is_waited_for_when_another_is_done(launch):
    done = launch("""
if index == 0: time.sleep(1.5); print("whole")""", *QUICK)
    assert (*lines(done), done.stdout) == (0, [], "whole\n")
    done = launch("""
if index == 0: time.sleep(1.5); print("whole")
sys.exit(143)""", *QUICK)
    assert (*lines(done), done.stdout) == (143, [], "whole\n")


def test_a_worker_that_does_not_end_after_the_chief_is_killed(launch, tmp_path):
    done = launch("""
note(f"began{index}", os.getpid())
if index == 1: stay()""", "--workers", 2, "--patience", 0.5)
    assert lines(done) == (0, ["worker 1 did not end with the others, but the chief was done: the run is complete"])
    assert not lives(int((tmp_path / "began1").read_text()))


def test_a_worker_that_is_killed_is_named_and_all_start_again(launch, tmp_path):
    done = launch("""
with open(f"ports{index}", "a") as file: file.write(told["cluster"]["worker"][index] + "\\n")
if not first(f"before{index}"): print("again"); sys.exit(0)
if index == 1: say("its last line"); os.kill(os.getpid(), signal.SIGKILL)
until("before1"); time.sleep(0.1); sys.exit(75)""")
    end = "worker 1 was killed by SIGKILL, as when memory runs out"
    assert (*lines(done), done.stdout) == (0, ["worker 1: its last line", lost(end, "restart 1 of 3")], "again\n")
    assert len(set((tmp_path / "ports0").read_text().split())) == 2


@pytest.mark.parametrize("loser, how", [(0, "os.kill(os.getpid(), signal.SIGSEGV)"), (1, "sys.exit(1)")])
def test_a_death_is_the_cause_though_a_partner_told_of_a_loss_first(launch, loser, how):
    done = launch(f"""
if not first(f"before{{index}}"): sys.exit(0)
if index == {loser}: until("gone"); time.sleep(0.2); {how}
note("gone"); sys.exit(75)""")
    end = "worker 0 was killed by SIGSEGV" if loser == 0 else "worker 1 ended with exit code 1"
    assert lines(done) == (0, [lost(end, "restart 1 of 3")])


def test_a_partner_that_is_stopped_is_killed_and_named(launch, tmp_path):
    done = launch("""
if not first(f"before{index}"): sys.exit(0)
note(f"began{index}", os.getpid())
if index == 1: os.kill(os.getpid(), signal.SIGSTOP)
until("began1"); time.sleep(0.1); sys.exit(75)""", *QUICK)
    assert lines(done) == (0, [lost("worker 1 did not end with the others", "restart 1 of 3")])
    assert not lives(int((tmp_path / "began1").read_text()))


def test_workers_that_have_lost_each_other_start_again(launch):
    done = launch("""sys.exit(75 if first(f"before{index}") else 0)""")
    assert lines(done) == (0, [lost("the workers have lost each other, and none of them died", "restart 1 of 3")])


def test_restarts_without_progress_are_counted(launch):
    dies = "sys.exit(1 if index == 1 else 75)"
    end = "worker 1 ended with exit code 1"
    assert lines(launch(dies, *TWO, "--restarts", 2)) == (1, [
        lost(end, "restart 1 of 2"), lost(end, "restart 2 of 2"),
        f"{end}: given up, after 2 restarts without a new checkpoint"])
    assert lines(launch(dies, *TWO, "--restarts", 0)) == (1, [f"{end}: given up, as --restarts 0 says"])


@pytest.mark.parametrize("words", [["--run-dir", "runs/x"], ["--run-dir=runs/x"]])
def test_a_new_checkpoint_begins_the_count_anew(launch, tmp_path, words):
    (tmp_path / "runs" / "x" / "checkpoints" / "5").mkdir(parents=True)
    done = launch("""
if index == 1: until("saved"); sys.exit(1)
folder = Path("runs/x/checkpoints"); start = len(list(Path().glob("start*"))); note(f"start{start}")
(folder / [".partial-9", "6", "6.1", "7", "7.1", "4"][start]).mkdir(); note("saved"); sys.exit(75)
""", *TWO, "--restarts", 2, arguments=words)
    end = "worker 1 ended with exit code 1"
    assert lines(done) == (1, [*(f"{end}: all are started again (restart {count} of 2)" for count in (1, 1, 2, 1, 2)),
                               f"{end}: given up, after 2 restarts without a new checkpoint"])


COUNTED = """
got = []
signal.signal({signum:d}, lambda *_: got.append(1))
ready()
while not got: time.sleep(0.01)
time.sleep(0.3)
if index == 0: print("signals:", len(got), flush=True)
sys.exit({code})"""


@pytest.mark.parametrize("signum, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)])
def test_a_signal_is_handed_on_once_and_nothing_starts_again(launching, signum, code):
    with launching(COUNTED.format(signum=signum, code=code)) as process:
        process.send_signal(signum)
        assert (*process.communicate(timeout=20), process.returncode) == ("signals: 1\n", "", code)


def test_ctrl_c_of_the_terminal_reaches_each_worker_once(launching, tmp_path):
    with terminal() as (main, side), launching(COUNTED.format(signum=signal.SIGINT, code=130), before=ON_TERMINAL,
                                               stdin=side, stdout=side, stderr=side) as process:
        os.write(main, b"\x03")
        assert process.wait(20) == 130
        assert "signals: 1\r\n" in os.read(main, 4096).decode()


def test_a_signal_that_is_ignored_is_not_handed_on(launching):
    ignoring = [sys.executable, "-c", "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
                                      "os.execv(sys.argv[1], sys.argv[1:])"]  # as nohup
    with launching("ready(); time.sleep(0.5)", before=ignoring) as process:
        process.send_signal(signal.SIGHUP)
        assert (*process.communicate(timeout=20), process.returncode) == ("", "", 0)


def test_a_signal_before_the_workers_listen_to_it_is_a_wanted_stop(launching):
    with launching("ready(); stay()") as process:
        process.send_signal(signal.SIGTERM)
        assert (*process.communicate(timeout=20), process.returncode) == ("", "", 143)


def test_a_second_signal_reaches_the_workers_and_who_does_not_leave_is_killed(launching, tmp_path):
    program = """
got = []
def hear(signum, frame):
    got.append(1)
    note(f"got{index}.{len(got)}")
signal.signal(signal.SIGTERM, hear)
ready()
stay()"""
    with launching(program) as process:
        process.send_signal(signal.SIGTERM)
        appear(tmp_path / "got0.1", tmp_path / "got1.1")
        time.sleep(1.0)  # more than the grace: the first signal leaves time
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert (*process.communicate(timeout=20), process.returncode) == ("", "", 143)
        assert (tmp_path / "got0.2").exists() and (tmp_path / "got1.2").exists()


def test_a_chief_that_dies_of_a_signal_in_its_last_save_is_told(launching):
    with launching("""
signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGKILL) if index == 0 else os._exit(143))
ready(); stay()""") as process:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (1, "worker 0 was killed by SIGKILL, as when memory runs out, before the "
                                                 "last checkpoint was whole\n")


def test_a_loss_after_a_signal_starts_nothing_again(launching):
    with launching("""
on(signal.SIGINT, 75 if index == 0 else 1)
ready(); stay()""") as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (
            1, "worker 1 ended with exit code 1, before the last checkpoint was whole\n")


@pytest.mark.parametrize("sent", [True, False])
def test_one_that_leaves_before_it_trains_is_a_wanted_stop_though_the_chief_has_lost_it(launching, tmp_path, sent):
    with launching("""
on(signal.SIGTERM, 143)
if index == 0: signal.signal(signal.SIGTERM, lambda *_: None)  # it is collected, and asks its partner
ready()
while index == 1: time.sleep(0.01)
until("gone"); sys.exit(75)""") as process:
        if sent:
            process.send_signal(signal.SIGTERM)
        else:  # by somebody else
            os.kill(int((tmp_path / "ready1").read_text()), signal.SIGTERM)
        ends(int((tmp_path / "ready1").read_text()))
        (tmp_path / "gone").touch()
        _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (143, "worker 1 ended with exit code 143: the last checkpoint stands\n")


def test_workers_save_and_end_when_the_launcher_is_killed(launching, tmp_path):
    with launching("""
signal.signal(signal.SIGTERM, lambda *_: (note(f"saved{index}"), os._exit(143)))
ready(); stay()""") as process:
        process.kill()
        appear(tmp_path / "saved0", tmp_path / "saved1")
        ends(*(int((tmp_path / f"ready{index}").read_text()) for index in range(2)))


@pytest.mark.parametrize("words, line", [
    (["--workers", "0", "--", "true"], "`--workers` (0) must be an integer of at least 1 (see --help)"),
    (["--", "true"], "`--workers` must be given (see --help)"),
    (["--workers", "2"], "`COMMAND` must be given, after -- (see --help)"),
    (["--workers", "2", "--"], "`COMMAND` must be given, after -- (see --help)"),
    (["--workers", "2", "python", "x.py"], "`python` must be an option of launch.py, or stand after -- as part of the "
                                           "command (see --help)"),
    (["--workers", "2", "--epochs", "1", "--", "true"], "`--epochs` must be an option of launch.py, or stand after -- "
                                                        "as part of the command (see --help)"),
    (["--workers", "2", "--", "no-such-program"], "`COMMAND` (no-such-program) must be a program that can be run"),
    (["--workers", "2", "--", str(ROOT / "setup.cfg")], f"`COMMAND` ({ROOT / 'setup.cfg'}) must be a program that can "
                                                        "be run"),
    (["--workers", "2", "--restarts", "-1", "--", "true"], "`--restarts` (-1) must be an integer of at least 0 (see "
                                                           "--help)")])
def test_bad_input_is_one_line(words, line):
    done = subprocess.run([*LAUNCH, *words], env=environment(), capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")


def test_a_cluster_that_starts_workers_itself_is_not_disturbed(launch):
    assert lines(launch("", TF_CONFIG="{}")) == (2, [
        "error: `TF_CONFIG` ({}) must be unset: it is of a cluster, which starts the workers itself"])


def test_a_file_that_is_no_program_is_told_once(tmp_path):
    file = tmp_path / "broken"
    file.write_bytes(b"\x7fELF and nothing")
    file.chmod(0o755)
    done = subprocess.run([*LAUNCH, "--workers", "2", "--", str(file)], env=environment(), capture_output=True,
                          text=True, timeout=30, check=False)
    assert lines(done) == (2, [f"error: `COMMAND` ({file}) must be a program that can be run: Exec format error"])


def test_the_command_phaseloop_launches_itself(tmp_path):
    phaseloop = [sys.executable, str(ROOT / "scripts" / "phaseloop.py")]
    done = subprocess.run([*phaseloop, "launch", "--workers", "2", "--", *phaseloop, "train-vae", "--epochs", "0"],
                          env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=60,
                          check=False)
    assert lines(done) == (2, ["error: `--epochs` (0) must be a number above 0 (see --help)"])
