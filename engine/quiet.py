"""What TensorFlow's libraries print on standard error while they load is held back; shown if they fail."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

STDERR = 2  # while it is held back: what it was
LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # 0 and 1: a person wants to read it


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing comes to standard error meanwhile. From then on TensorFlow tells errors alone, unless asked for more."""
    global STDERR
    try:
        kept = os.dup(2) if os.environ.setdefault(LEVEL, "2") not in ("0", "1") else None
    except OSError:  # there is no standard error
        kept = None
    if kept is None:
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    STDERR = kept
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            STDERR = 2
            os.dup2(kept, 2)
            os.close(kept)
