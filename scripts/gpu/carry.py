"""Bring TensorFlow for GPUs to a machine without a network: pack here, unpack there.

  python scripts/gpu/carry.py pack --wheels FOLDER --output FOLDER [--architecture 90] [--part-mib 48]
  python carry.py unpack FOLDER... --site FOLDER --links FOLDER

``pack`` takes a folder of wheels (docs/gpu.md has the command that downloads them for the other machine's Python),
strips the libraries' symbol tables, empties the GPU code of other architectures, and packs all into folders of at most
so many MiB: 1.2 GB of TensorFlow become about 150 MB. The programs ``strip`` and ``readelf`` (binutils) must be there.
``unpack`` needs Python alone. It makes a folder for PYTHONPATH and one for LD_LIBRARY_PATH, in which the libraries of
the CUDA 13 that is installed there, as PyTorch brings it, have the names by which TensorFlow looks for CUDA 12's.
"""

import argparse
import glob
import json
import lzma
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

REST = "rest.tar.xz"  # of files that are not large
CHUNK = 32 * 2**20  # bytes of a large file that are compressed as one
FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": CHUNK}]
LEFT_OUT = ("tensorflow/include/", "tensorflow/compiler/mlir/stablehlo/stablehlo_extension.so",
            "tensorflow/compiler/tf2xla/ops/_xla_ops.so")
STUBS = {"tensorflow/python/profiler/internal/_pywrap_profiler_plugin.so": ""}  # for looking at profiles of others
FATBIN, ELF = 0xBA55ED50, 2  # the magic number of a container of GPU code; the kind of an entry that is machine code
CONTAINER, ENTRY = 16, 32  # bytes of a header, at least
# The name that TensorFlow loads -> files of CUDA 13.
LINKS = {"libcublas.so.12": "libcublas.so.13", "libcublasLt.so.12": "libcublasLt.so.13",
         "libcufft.so.11": "libcufft.so.12", "libcusolver.so.11": "libcusolver.so.12",
         "libcusparse.so.12": "libcusparse.so.12", "libcurand.so.10": "libcurand.so.10",
         "libcudnn.so.9": "libcudnn.so.9", "libnccl.so.2": "libnccl.so.2", "libnvJitLink.so.12": "libnvJitLink.so.13"}


class Parser(argparse.ArgumentParser):
    """Errors are one line; ``cli.Parser`` is not carried along."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (\S+): \(", r"`\1` (", message)
        print(f"error: {message} (see --help)", file=sys.stderr)
        raise SystemExit(2)


class Refused(Exception):
    """Cannot be done; the message says why."""


def whole(text: str) -> int:
    """An option's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"({text}) must be an integer of at least 1")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 2, with one line, for what cannot be done."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("pack", allow_abbrev=False, help="here, with a network")
    one.add_argument("--wheels", type=Path, required=True, metavar="FOLDER", help="of *.whl files")
    one.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="new; gets folders 1, 2, ...")
    one.add_argument("--architecture", type=whole, default=90, help="of the GPU, as 90 for Hopper (default: 90)")
    one.add_argument("--part-mib", type=whole, default=48, help="of a folder at most (default: 48)")
    other = commands.add_parser("unpack", allow_abbrev=False, help="there, without one")
    other.add_argument("parts", type=Path, nargs="+", metavar="FOLDER", help="folders 1, 2, ... that pack made")
    other.add_argument("--site", type=Path, required=True, metavar="FOLDER", help="for PYTHONPATH")
    other.add_argument("--links", type=Path, required=True, metavar="FOLDER", help="for LD_LIBRARY_PATH")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "pack":
            pack(chosen.wheels, chosen.output, chosen.architecture, chosen.part_mib * 2**20)
        else:
            unpack(chosen.parts, chosen.site)
            print(link(chosen.site, chosen.links))
    except (Refused, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def pack(wheels: Path, output: Path, architecture: int, most: int) -> None:
    """See above. Raises ``Refused``."""
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise Refused(f"`--wheels` ({wheels}) must be a folder of *.whl files")
    if output.exists():
        raise Refused(f"`--output` ({output}) must not be there yet")
    absent = [program for program in ("strip", "readelf") if shutil.which(program) is None]
    if absent:
        raise Refused(f"{' and '.join(absent)} must be installed, as binutils is")
    with tempfile.TemporaryDirectory() as scratch:
        site, pieces = Path(scratch) / "site", Path(scratch) / "pieces"
        pieces.mkdir()
        for wheel in found:
            try:
                _extract(wheel, site)
            except zipfile.BadZipFile as error:
                raise Refused(f"{wheel}: {error}") from error
        libraries = [file for file in site.rglob("*.so*") if file.is_file()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_strip, libraries))
            emptied = sum(pool.map(lambda file: empty_others(file, architecture), libraries))
            print(f"emptied {emptied / 2**20:.0f} MiB of code for other GPUs", file=sys.stderr)
            large = {path for path in site.rglob("*") if path.is_file() and path.stat().st_size > CHUNK}
            made = list(pool.map(lambda piece: _compressed(piece[0], piece[1], site, pieces), [
                (path, offset) for path in sorted(large) for offset in range(0, path.stat().st_size, CHUNK)]))
        with lzma.open(pieces / REST, "wb", preset=6) as file, tarfile.open(fileobj=file, mode="w|") as tar:
            for path in sorted(site.rglob("*")):
                if path.is_file() and path not in large:
                    tar.add(path, path.relative_to(site))
        parts = sorted_into([pieces / REST, *made], most)
        output.mkdir(parents=True)
        for number, part in enumerate(parts, 1):
            (output / str(number)).mkdir()
            for piece in part:
                shutil.move(piece, output / str(number) / piece.name)
    for number, _ in enumerate(parts, 1):
        folder = output / str(number)
        print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 2**20:.0f} MiB")


def _extract(wheel: Path, site: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name in STUBS:
                target = site / name.replace(".so", ".py")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(STUBS[name])
            elif not name.startswith(LEFT_OUT):
                archive.extract(name, site)


def _strip(library: Path) -> None:
    subprocess.run(["strip", "--strip-unneeded", str(library)], stderr=subprocess.DEVNULL)


def empty_others(library: Path, architecture: int) -> int:
    """Fill with zeros what is neither machine code for ``architecture`` nor needed to find it. Returns bytes."""
    said = subprocess.run(["readelf", "-SW", str(library)], capture_output=True, text=True).stdout
    section = re.search(r"\.nv_fatbin\s+PROGBITS\s+\w+\s+(\w+)\s+(\w+)", said)
    if not section:
        return 0
    place = int(section[1], 16)
    with library.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        return empty(data, place, place + int(section[2], 16), architecture)


def empty(data: mmap.mmap | bytearray, place: int, end: int, architecture: int) -> int:
    """``empty_others`` in a section .nv_fatbin, the bytes from ``place`` to ``end``.

    It is a row of containers, {magic: uint32; version, header size: uint16; size: uint64}, with zeros between them.
    Each is a row of entries: {kind, version: uint16; header size: uint32; payload: uint64; ...; architecture: uint32 at
    28}.
    """
    emptied = 0
    while place + CONTAINER <= end:
        magic, _, header, size = struct.unpack_from("<IHHQ", data, place)
        if magic != FATBIN:
            place += 8
            continue
        entry, place = place + header, place + header + size
        while entry + ENTRY <= min(place, end):
            kind, _, own, payload = struct.unpack_from("<HHIQ", data, entry)
            if own < ENTRY or entry + own + payload > end:
                raise Refused(f"the GPU code at byte {entry} is of a form that is not known")
            if (kind, struct.unpack_from("<I", data, entry + 28)[0]) != (ELF, architecture):
                data[entry + own:entry + own + payload] = bytes(payload)
                emptied += payload
            entry += own + payload
    return emptied


def _compressed(path: Path, offset: int, site: Path, into: Path) -> Path:
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(CHUNK)
    target = into / f"{str(path.relative_to(site)).replace('/', '@')}@{offset}.piece"
    target.write_bytes(lzma.compress(data, lzma.FORMAT_XZ, filters=FILTERS))  # other threads go on meanwhile
    return target


def sorted_into(files: list[Path], most: int) -> list[list[Path]]:
    """Parts of at most ``most`` bytes, the largest files first."""
    parts: list[list[Path]] = []
    left: list[int] = []
    for file in sorted(files, key=lambda file: -file.stat().st_size):
        size = file.stat().st_size
        where = next((i for i, room in enumerate(left) if room >= size), None)
        if where is None:
            parts.append([])
            left.append(most)
            where = len(parts) - 1
        parts[where].append(file)
        left[where] -= size
    return parts


def unpack(folders: list[Path], site: Path) -> None:
    """The packed files of all ``folders`` into ``site``. Raises ``Refused``."""
    files = [file for folder in folders for pattern in (REST, "*.piece") for file in folder.glob(pattern)]
    if not any(file.name == REST for file in files):
        raise Refused(f"one of `parts` ({', '.join(map(str, folders))}) must hold {REST}: name all folders that pack "
                      "made")
    site.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda file: _unpacked(file, site), files))


def _unpacked(file: Path, site: Path) -> None:
    try:
        _decompressed(file, site)
    except (lzma.LZMAError, tarfile.TarError, EOFError) as error:
        raise Refused(f"{file}: {error}") from error


def _decompressed(file: Path, site: Path) -> None:
    if file.name == REST:
        with tarfile.open(file, "r:xz") as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(site, filter="data")
            else:
                tar.extractall(site)
        return
    name, offset = file.name.removesuffix(".piece").rsplit("@", 1)
    target = site / name.replace("@", "/")
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_CREAT | os.O_WRONLY, 0o755)
    try:
        data = memoryview(lzma.decompress(file.read_bytes()))
        done = 0
        while done < len(data):  # a write may be of less than all
            done += os.pwrite(descriptor, data[done:], int(offset) + done)
    finally:
        os.close(descriptor)


def link(site: Path, links: Path) -> str:
    """Names of CUDA 12 for the libraries of CUDA 13. Returns what to export, a variable per line."""
    links.mkdir(parents=True, exist_ok=True)
    places = [*sys.path, "/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu"]
    found: dict[str, str] = {}
    for name, file in LINKS.items():
        matches = [match for place in places if place for pattern in (f"{place}/{file}", f"{place}/nvidia/*/lib/{file}")
                   for match in glob.glob(pattern)]
        if matches:
            found[name] = matches[0]
            target = links / name
            target.unlink(missing_ok=True)
            target.symlink_to(matches[0])
    missing = sorted(set(LINKS) - set(found))
    if missing:
        print(f"not found: {', '.join(missing)}", file=sys.stderr)
    own = [str(folder) for folder in sorted(site.glob("nvidia/*/lib"))]
    folders = [str(links), *own, *dict.fromkeys(str(Path(match).parent) for match in found.values())]
    print(json.dumps(found, indent=1), file=sys.stderr)
    return f"export PYTHONPATH={site}\nexport LD_LIBRARY_PATH={':'.join(folders)}"


if __name__ == "__main__":
    raise SystemExit(main())
