"""One process per run folder; the system gives a lock up with its process."""

import os
import subprocess
import sys

import pytest

from engine.errors import Invalid
from engine.run.lock import Lock

HOLD = "import fcntl, os, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX); f.truncate(0); " \
       "print(os.getpid(), file=f, flush=True); print('held', flush=True); time.sleep(60)"


def test_a_lock_is_taken_once_and_given_free(tmp_path):
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert first.take() is True and first.take() is False
    assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
    with pytest.raises(Invalid, match=rf"`run_dir` \({tmp_path}\) must be free: process {os.getpid()} is training in it"
                       ):
        second.take()
    first.release()
    first.release()
    assert second.take() is True
    second.release()


def test_the_lock_of_another_process_holds_as_long_as_it_lives(tmp_path):
    file = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, file], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Invalid, match=f"process {other.pid} is training in it"):
            Lock(tmp_path).take()
        assert file.read_text() == f"{other.pid}\n"  # refused, it writes nothing
        other.kill()
    assert file.read_text() == f"{other.pid}\n"  # stale
    lock = Lock(tmp_path)
    assert lock.take() is True and file.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_file_that_says_nothing(tmp_path):
    holder = Lock(tmp_path)
    holder.take()
    (tmp_path / ".lock").write_text("")
    with pytest.raises(Invalid, match="process unknown is training in it"):
        Lock(tmp_path).take()
    holder.release()


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder"])
def test_what_is_no_file_is_refused_and_what_a_link_leads_to_stays(tmp_path, kind):
    folder, outside = tmp_path / "run", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("of another's making\n")
    place = folder / ".lock"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(outside if kind == "link" else "nowhere")
    with pytest.raises(Invalid, match=r"`.lock` \(.*\) must be a file, or absent: remove it"):
        Lock(folder).take()
    assert outside.read_text() == "of another's making\n" and not (folder / "nowhere").exists()
