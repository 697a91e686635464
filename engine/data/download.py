"""Fetching one file: checked against its SHA-256, and put in its place whole or not at all."""

import hashlib
import http.client
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from tqdm import tqdm

from engine.data.idx import CHUNK, unpacked
from engine.data.whole import whole
from engine.errors import Invalid, require

TIMEOUT = 20  # seconds without an answer or a byte


def sha256(path: str | Path, as_is: bool = False) -> str:
    """The SHA-256, in hexadecimal, of a file's content: of what it unpacks to where it is packed by gzip.

    So a file that was packed again (Debian does) has the sum of the original, and so has the unpacked file.
    With ``as_is`` it is the sum of the file's bytes, packed or not.

    Raises:
      OSError: A file that cannot be read; EOFError, zlib.error: for a damaged one.
    """
    digest = hashlib.sha256()
    with open(path, "rb") if as_is else unpacked(Path(path)) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def verify(path: str | Path, expected: str, what: str, as_is: bool = False) -> None:
    """Raise ``Invalid``, naming ``what`` and ``path``, unless ``sha256(path, as_is)`` is ``expected``."""
    try:
        found = sha256(path, as_is)
    except (OSError, EOFError, zlib.error) as fault:  # a damaged gzip stream raises any of these
        raise Invalid(f"`{what}` ({path}) must be readable and intact: {fault}") from None
    require(found == expected, what, path, f"the genuine file, of SHA-256 {expected}, but has {found}")


def fetch(url: str, path: str | Path, sha256: str, what: str, as_is: bool = False) -> Path:
    """Download ``url`` to ``path``, by way of a temporary file beside it, unless the right file is there.

    A progress bar shows on standard error where that is a terminal. Whatever goes wrong, what stood at
    ``path`` before is untouched and nothing else is left.

    Args:
      url: Address, of http, https or a file.
      path: The file to make; its folder is made too.
      sha256: What ``sha256(path, as_is)`` must be afterwards, in hexadecimal.
      what: The file's name for people.
      as_is: Whether the sum is of a packed file itself, not of what is in it.

    Returns:
      ``path``.

    Raises:
      Invalid: One line, for an address that does not answer, an answer cut short, a wrong sum, or a folder
        that cannot be written.
    """
    path = Path(path)
    if _is_right(path, sha256, what, as_is):
        return path
    try:
        with whole(path) as part:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                _copy(answer, part, what)
            verify(part, sha256, f"{what} from {url}", as_is)
    except Invalid:
        raise
    except (OSError, ValueError, http.client.HTTPException) as fault:  # ValueError: of a proxy's address, say
        raise Invalid(f"`{what}` ({url}) must be downloadable to {path.parent}: {_reason(fault)}") from None
    return path


def _is_right(path: Path, expected: str, what: str, as_is: bool) -> bool:
    try:
        verify(path, expected, what, as_is)
    except Invalid:
        return False
    return True


def _reason(fault: Exception) -> str:
    if isinstance(fault, urllib.error.HTTPError):
        fault.close()  # it is the answer too
        return str(fault)
    return " ".join(str(getattr(fault, "reason", fault)).split())


def _copy(answer: http.client.HTTPResponse, path: Path, what: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {each.strip() for each in (answer.headers.get("Content-Length") or "").split(",")}  # twice, by some servers
    length = int(told.pop()) if len(told) == 1 and all(map(str.isdecimal, told)) else 0  # not known
    bar = tqdm(total=length or None, desc=what, unit="B", unit_scale=True, disable=None, leave=False)
    with open(path, "wb") as file, bar:
        while chunk := answer.read(CHUNK):
            bar.update(file.write(chunk))
    if path.stat().st_size < length:
        raise OSError(f"the answer was cut short after {path.stat().st_size} of {length} bytes")
