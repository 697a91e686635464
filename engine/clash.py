"""A user's own ``losses.py`` or ``nets.py``, which Python finds in the place of phaseloop's packages.

That is no fault as long as nobody wants ours: only an import that fails because of it is explained, by one more line
below Python's own.
"""

import importlib.util
import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parent.parent  # the packages lie side by side, in a clone and installed


def hidden() -> dict[str, str]:
    """{package of ours: path of what takes its place}. Nothing is imported."""
    return {name: place for name in ("losses", "nets")
            if (ROOT / name / "__init__.py").exists() and (place := _place(name)) != str(ROOT / name / "__init__.py")}


def _place(name: str) -> str:
    try:
        found = importlib.util.find_spec(name)
    except ValueError:  # a module without a spec, put into sys.modules by hand
        found = None
    return "" if found is None else found.origin or next(iter(found.submodule_search_locations or ()), "")


def explain() -> None:
    """From now on a failed import of ``losses`` or ``nets`` says what clashes, if anything does."""
    places = hidden()
    if not places:
        return
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        name = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
        if name in places:
            print(f"{places[name]} takes the place of phaseloop's package `{name}`: rename it", file=sys.stderr)

    sys.excepthook = hook
