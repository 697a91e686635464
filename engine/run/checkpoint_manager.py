"""The checkpoints of a run: saved in the background, restored, locked to one process."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import require
from engine.run import checkpoint
from engine.run.folder import RunFolder
from engine.run.lock import Lock
from engine.run.saving import SavingThread
from engine.run.together import require_same_state, state_from_chief
from engine.workers.workers import Workers

Facts = dict[str, Any]  # JSON values: all of a run's state that is no tensor


class CheckpointManager:
    """Saves and restores the complete state of a run.

    Args:
      folder: Folder of the run; None keeps nothing.
      variables: {name: variable}: the tensors of the state.
      keep: Newest checkpoints to keep.
      say: Function that takes lines for people.
      workers: Those that train together: what the chief reads, all have.
      kept: Whether the chief has a folder, if this worker has none.

    Raises:
      Invalid: If ``keep`` is below 2.
    """

    def __init__(self, folder: RunFolder | None, variables: Mapping[str, Any], keep: int,
                 say: Callable[[str], None], workers: Workers | None = None, kept: bool = False) -> None:
        require(isinstance(keep, int) and keep >= 2, "keep", keep, "an integer of at least 2: one may be damaged")
        self._folder, self._variables, self._keep, self._say = folder, variables, keep, say
        self._workers, self._kept = workers or Workers(), kept or folder is not None
        self._thread = SavingThread()
        self._saving = threading.Lock()  # a signal that is overdue is served by another thread
        self._lock = Lock(folder.path) if folder else None
        self._good: dict[Path, bool] = {}  # whether a checkpoint verifies, looked at once
        self._read: list[Path] = []  # the checkpoints that were there when the run was restored

    @property
    def has_folder(self) -> bool:
        """Whether anything is kept."""
        return self._kept

    @property
    def newest(self) -> int:
        """The cycle of the newest checkpoint that this process has saved or found good; -1 if there is none."""
        return max((int(path.name.partition(".")[0]) for path, good in self._good.items() if good), default=-1)

    def path_of(self, cycle: int) -> Path | None:
        """Where the checkpoint of a cycle stands; None without a folder."""
        return None if self._folder is None else self._folder.checkpoints / str(cycle)

    def open(self) -> bool:
        """Make the folder and lock it, once. Returns whether it was not locked before.

        Raises:
          Invalid: If another process has it, or has trained in it since it was read.
          OSError: If it cannot be made.
        """
        if not (self._folder and self._lock):
            return False
        self._folder.create()
        if not self._lock.take():
            return False
        require(checkpoint.listed(self._folder.checkpoints) == self._read, "run_dir", self._folder.path,
                "left alone between reading and training: another process has trained in it; start again")
        self._folder.sweep()
        return True

    def close(self) -> None:
        """Wait for the writer, then unlock. Raises the writer's error."""
        try:
            self.wait()
        finally:
            if self._folder and self._lock:
                self._lock.release()
                self._read = checkpoint.listed(self._folder.checkpoints)

    @contextmanager
    def held(self) -> Iterator[None]:
        """As ``open``, until the end of the scope if it was not open before it."""
        alone = self.open()
        try:
            yield
        finally:
            if alone:
                self.close()
            else:
                self.wait()

    def wait(self) -> None:
        """Until nothing is being written. Raises the writer's error."""
        with self._clearer():
            self._thread.wait()

    def check(self) -> None:
        """Raise the writer's error, if it had one; ``Invalid`` if the folder is gone."""
        with self._clearer():
            self._thread.check()
        if self._folder:
            self._folder.check()

    def save(self, cycle: int, facts: Facts, also: set[int], wait: bool = True) -> Path | None:
        """A checkpoint of the state now; None without a folder.

        Training stops for one copy of the state in memory; a writer puts it on the disk.

        Args:
          also: Cycles whose checkpoints are kept beside the newest.
          wait: Whether to return only when it is on the disk.

        Raises:
          OSError: If the disk refuses; without ``wait`` at the next ``check``, ``save`` or ``close``.
        """
        if self._folder is None:
            return None
        with self._saving:
            alone = self.open()  # not in training
            self.wait()  # never two at once, and no third copy of the state
            try:
                return self.write(cycle, self.copied(), facts, also, wait or alone)
            finally:
                if alone:
                    self.close()

    def copied(self) -> checkpoint.State:
        """The tensors of the state now, in memory of their own."""
        return checkpoint.copied(self._variables)

    def put(self, state: checkpoint.State) -> None:
        """Make ``state``, which was copied before, the state again."""
        for name, variable in self._variables.items():
            variable.assign(state[name])

    def write(self, cycle: int, state: checkpoint.State, facts: Facts, also: set[int], wait: bool = True
              ) -> Path | None:
        """The same of a ``state`` that was copied before."""
        folder, keep = self._folder, self._keep
        if folder is None:  # the chief's is meant
            return None
        folder.check()
        facts = {**facts, "config": folder.config}

        self._thread.start(lambda: self._written(checkpoint.save(folder.checkpoints, cycle, state, facts, keep, also,
                                                                 self._is_good)))
        if wait:
            self.wait()
        return folder.checkpoints / str(cycle)

    def _written(self, path: Path) -> None:
        self._good[path] = True

    def _is_good(self, path: Path) -> bool:
        if path not in self._good:
            self._good[path] = checkpoint.fault_of(path) is None
        return self._good[path]

    def restore(self) -> Facts | None:
        """Put the newest good checkpoint back, on all workers; its facts, or None if there is none."""
        return state_from_chief(self._workers, self._variables, self._restored())

    def require_same_state(self, cycle: int) -> None:
        """Raise ``Invalid`` on all if a worker's tensors are others than the chief's."""
        require_same_state(self._workers, self._variables, cycle)

    def _restored(self) -> Facts | None:
        if self._folder is None:
            return None
        self.wait()
        self._read = checkpoint.listed(self._folder.checkpoints)
        any_config = self._folder.resume == "always"
        found = checkpoint.newest(self._folder.checkpoints, self._say, None if any_config else self._folder.config)
        given = [(variable, variable.numpy()) for name, variable in self._variables.items()
                 if name.endswith(".learning_rate") and self._folder.changed]
        facts = checkpoint.load(found, self._variables) if found else None
        for variable, rate in given:  # what is given now goes before what was restored
            variable.assign(rate)
        self._folder.changed = False
        return facts

    @contextmanager
    def _clearer(self) -> Iterator[None]:
        """``Invalid`` in the place of an OSError if the folder was removed meanwhile."""
        try:
            yield
        except OSError:
            if self._folder:
                self._folder.check()
            raise
