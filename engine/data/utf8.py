"""Reading text files: UTF-8, with or without a byte order mark, plain or packed by gzip."""

import gzip
import zlib
from pathlib import Path

from engine.errors import Invalid, require


def read(path: str | Path) -> str:
    """The whole text of a file, its ends of lines as they are.

    Raises:
      Invalid: One line, for a file that cannot be read, is a damaged gzip stream, is not UTF-8 (with the line and
        the byte), or has a NUL character, as no text has.
    """
    path = Path(path)
    data = _bytes(path)
    try:
        text = data.decode()
    except UnicodeDecodeError as fault:
        raise Invalid(f"`file` ({path}) must be UTF-8, but has the byte {data[fault.start]:02x} in line "
                      f"{data.count(10, 0, fault.start) + 1}, at {fault.start} from the start: "
                      f"{fault.reason}") from None
    nul = text.find("\0")
    require(nul < 0, "file", path, f"text, but has a NUL character in line {text.count(chr(10), 0, nul) + 1}")
    return text.removeprefix("\ufeff")


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except EOFError:
        raise Invalid(f"`file` ({path}) must be complete: its gzip stream is cut short") from None
    except (gzip.BadGzipFile, zlib.error) as fault:
        raise Invalid(f"`file` ({path}) must be intact: its gzip stream is damaged, {fault}") from None
    except OSError as fault:
        raise Invalid(f"`file` ({path}) must be readable: {fault.strerror or fault}") from None
