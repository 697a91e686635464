"""TensorFlow carried to a machine without a network: what is emptied, packed, unpacked and linked."""

import os
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from gpu import carry

CUBIN, PTX = 2, 1


def entry(kind: int, architecture: int, payload: bytes, header: int = 64) -> bytes:
    """One piece of GPU code, its header filled with 0xEE where nothing is read."""
    head = struct.pack("<HHIQ", kind, 0x101, header, len(payload)).ljust(28, b"\xee") + struct.pack("<I", architecture)
    return head.ljust(header, b"\xee") + payload


def container(*entries: bytes) -> bytes:
    """One container of entries."""
    return struct.pack("<IHHQ", carry.FATBIN, 1, 16, sum(map(len, entries))) + b"".join(entries)


def test_code_of_other_architectures_is_emptied_and_nothing_else() -> None:
    kept, other, text, old = b"A" * 40, b"B" * 24, b"C" * 16, b"D" * 8
    rows = [container(entry(CUBIN, 80, other), entry(CUBIN, 90, kept), entry(PTX, 90, text, 72)), bytes(24),
            container(entry(CUBIN, 90, kept)), bytes(8), container(entry(CUBIN, 70, old)), bytes(8)]
    before, after = b"\xff" * 20, struct.pack("<IHHQ", carry.FATBIN, 1, 16, 500)  # not of the section
    data = bytearray(before + b"".join(rows) + after)
    assert carry.empty(data, len(before), len(data) - len(after), 90) == len(other + text + old)
    expected = before + b"".join(rows) + after
    for payload in (other, text, old):
        expected = expected.replace(payload, bytes(len(payload)))
    assert data == expected and data.count(kept) == 2
    assert carry.empty(data, len(before), len(data) - len(after), 80) == len(kept + text + kept + old)
    assert kept not in data  # and the others were emptied before


def test_a_section_without_code_or_of_none_is_left() -> None:
    for data in (bytearray(), bytearray(8), bytearray(b"\x01" * 40)):
        before = bytes(data)
        assert carry.empty(data, 0, len(data), 90) == 0 and data == before


@pytest.mark.parametrize("bad", [entry(CUBIN, 80, b"B" * 8)[:-4], entry(CUBIN, 80, b"B" * 8, 64).replace(
    struct.pack("<I", 64), bytes(4), 1) + bytes(64), bytes(64)])
def test_code_of_an_unknown_form_is_refused_and_not_guessed_at(bad: bytes) -> None:
    data = bytearray(container(bad))
    with pytest.raises(carry.Refused, match="the GPU code at byte 16 is of a form that is not known"):
        carry.empty(data, 0, len(data), 90)


def test_a_library_without_gpu_code_is_left(tmp_path: Path) -> None:
    for name, content in (("text.so", b"no library"), ("python.so", Path(sys.executable).resolve().read_bytes())):
        library = tmp_path / name
        library.write_bytes(content)
        assert carry.empty_others(library, 90) == 0 and library.read_bytes() == content


@pytest.mark.skipif(not shutil.which("objcopy"), reason="objcopy makes the library")
def test_the_gpu_code_of_a_library_is_found(tmp_path: Path) -> None:
    section, library = tmp_path / "section", tmp_path / "library.so"
    section.write_bytes(container(entry(CUBIN, 80, b"other" * 8), entry(CUBIN, 90, b"kept!" * 8)))
    program = Path(sys.executable).resolve()
    subprocess.run(["objcopy", "--add-section", f".nv_fatbin={section}", str(program), str(library)], check=True)
    before = library.read_bytes()
    assert carry.empty_others(library, 90) == 40
    assert library.read_bytes() == before.replace(b"other" * 8, bytes(40)) and b"kept!" * 8 in before


def test_files_are_sorted_into_parts_of_a_size(tmp_path: Path) -> None:
    sizes = {"a": 30, "b": 70, "c": 60, "d": 40, "e": 100, "f": 5, "g": 0}
    files = []
    for name, size in sizes.items():
        files.append(tmp_path / name)
        files[-1].write_bytes(bytes(size))
    parts = [[file.name for file in part] for part in carry.sorted_into(files, 100)]
    assert parts == [["e", "g"], ["b", "a"], ["c", "d"], ["f"]]
    assert [[file.name for file in part] for part in carry.sorted_into(files[:2], 50)] == [["b"], ["a"]]
    assert carry.sorted_into([], 100) == []


FILES = {"tensorflow/__init__.py": b"version = 1\n", "tensorflow/libbig.so.2": random.Random(0).randbytes(2_500),
         "tensorflow/even.bin": b"x" * 2_000, "tensorflow/small.so": b"small", "tensorflow/empty.txt": b"",
         "tensorflow/include/header.h": b"left out",
         "tensorflow/python/profiler/internal/_pywrap_profiler_plugin.so": b"a stub takes its place",
         "tensorflow-2.0.dist-info/METADATA": b"Name: tensorflow\n"}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two wheels; files of more than 1000 bytes are large."""
    monkeypatch.setattr(carry, "CHUNK", 1000)
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tensorflow-2.0-py3-none-any.whl", "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    with zipfile.ZipFile(folder / "keras-3.0-py3-none-any.whl", "w") as archive:
        archive.writestr("keras/__init__.py", "from tensorflow import version\n")
    return folder


def call(*arguments: object) -> int:
    return carry.main([str(each) for each in arguments])


def test_what_is_packed_is_unpacked(wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("pack", "--wheels", wheels, "--output", tmp_path / "packed") == 0
    assert capsys.readouterr() == (f"{tmp_path}/packed/1: 0 MiB\n", "emptied 0 MiB of code for other GPUs\n")
    names = sorted(path.name for path in (tmp_path / "packed" / "1").iterdir())
    assert names == sorted([carry.REST, *(f"tensorflow@libbig.so.2@{i}.piece" for i in (0, 1000, 2000)),
                            *(f"tensorflow@even.bin@{i}.piece" for i in (0, 1000))])
    folders = [tmp_path / "a", tmp_path / "b"]  # in any folders, in any order
    for folder in folders:
        folder.mkdir()
    for number, name in enumerate(names):
        shutil.move(tmp_path / "packed" / "1" / name, folders[number % 2])
    for _ in range(2):  # and again into the same
        assert call("unpack", *folders, "--site", tmp_path / "site", "--links", tmp_path / "links") == 0
        found = {str(path.relative_to(tmp_path / "site")): path.read_bytes()
                 for path in (tmp_path / "site").rglob("*") if path.is_file()}
        stub = "tensorflow/python/profiler/internal/_pywrap_profiler_plugin"
        expected = {name: content for name, content in FILES.items() if "include" not in name and stub not in name}
        assert found == {**expected, f"{stub}.py": b"", "keras/__init__.py": b"from tensorflow import version\n"}
    exported = capsys.readouterr().out.splitlines()
    assert exported[0] == f"export PYTHONPATH={tmp_path}/site"
    assert exported[1].startswith(f"export LD_LIBRARY_PATH={tmp_path}/links")
    script = "import keras; print(keras.version)"
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
                          capture_output=True, text=True)
    assert done.stdout == "1\n"


def test_parts_are_no_larger_than_wanted(wheels: Path, tmp_path: Path) -> None:
    carry.pack(wheels, tmp_path / "packed", 90, 1_500)  # a piece of what is random takes over 1000 bytes
    sizes = {folder.name: sum(file.stat().st_size for file in folder.iterdir())
             for folder in (tmp_path / "packed").iterdir()}
    assert sorted(sizes) == [str(number) for number in range(1, len(sizes) + 1)] and len(sizes) >= 3
    assert max(sizes.values()) <= 1_500
    carry.unpack(sorted((tmp_path / "packed").iterdir()), tmp_path / "site")
    assert (tmp_path / "site" / "tensorflow" / "libbig.so.2").read_bytes() == FILES["tensorflow/libbig.so.2"]


def test_what_cannot_be_packed_is_one_line(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    def error(*arguments: object) -> str:
        assert call("pack", *arguments) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1
        return said.err

    (tmp_path / "none").mkdir()
    for folder in (tmp_path / "missing", tmp_path / "none"):
        assert error("--wheels", folder, "--output", tmp_path / "new") == (
            f"error: `--wheels` ({folder}) must be a folder of *.whl files\n")
    assert error("--wheels", wheels, "--output", tmp_path / "none") == (
        f"error: `--output` ({tmp_path}/none) must not be there yet\n")
    (wheels / "zz.whl").write_text("no wheel")
    assert error("--wheels", wheels, "--output", tmp_path / "new") == (
        f"error: {wheels}/zz.whl: File is not a zip file\n")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert error("--wheels", wheels, "--output", tmp_path / "new") == (
        "error: strip and readelf must be installed, as binutils is\n")
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_unpacked_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(folder: Path) -> str:
        assert call("unpack", folder, "--site", tmp_path / "site", "--links", tmp_path / "links") == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1
        return said.err

    packed = tmp_path / "packed"
    missing = (f"error: one of `parts` ({packed}) must hold rest.tar.xz: name all folders that pack made\n")
    assert error(packed) == missing
    packed.mkdir()
    (packed / "a@0.piece").write_bytes(b"")
    assert error(packed) == missing and not (tmp_path / "site").exists()
    (packed / carry.REST).write_bytes(b"no archive")
    assert error(packed).startswith(f"error: {packed}/")
    (packed / "a@0.piece").unlink()
    assert error(packed) == f"error: {packed}/rest.tar.xz: not an lzma file\n"


@pytest.mark.parametrize(("arguments", "words"), [
    ((), "the following arguments are required: command"), (("pack",), "--wheels, --output"),
    (("pack", "--wheels", "a", "--output", "b", "--architecture", "0"),
     "`--architecture` (0) must be an integer of at least 1"),
    (("pack", "--wheels", "a", "--output", "b", "--part-mib", "2.5"), "`--part-mib` (2.5) must be an integer"),
    (("unpack", "a", "--site", "b"), "--links")])
def test_bad_options_are_one_line(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call(*arguments)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and words in error and error.startswith("error: ") and error.count("\n") == 1


def test_libraries_get_the_names_that_tensorflow_looks_for(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, own = tmp_path / "packages", tmp_path / "site" / "nvidia" / "nvshmem" / "lib"
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "empty"), str(theirs)])
    monkeypatch.setattr(carry, "LINKS", {"libcublas.so.12": "libcublas.so.13", "libcudnn.so.9": "libcudnn.so.9",
                                         "libmade.up.so.1": "libmade.up.so.2"})
    for name in ("cu13/lib/libcublas.so.13", "cudnn/lib/libcudnn.so.9"):
        (theirs / "nvidia" / name).parent.mkdir(parents=True)
        (theirs / "nvidia" / name).touch()
    own.mkdir(parents=True)
    links = tmp_path / "new" / "links"
    for _ in range(2):  # again, over what is there
        exported = carry.link(tmp_path / "site", links)
        assert {path.name: os.readlink(path) for path in links.iterdir()} == {
            "libcublas.so.12": f"{theirs}/nvidia/cu13/lib/libcublas.so.13",
            "libcudnn.so.9": f"{theirs}/nvidia/cudnn/lib/libcudnn.so.9"}
    assert exported.splitlines() == [f"export PYTHONPATH={tmp_path}/site", "export LD_LIBRARY_PATH=" + ":".join(
        map(str, (links, own, theirs / "nvidia" / "cu13" / "lib", theirs / "nvidia" / "cudnn" / "lib")))]
    assert "not found: libmade.up.so.1\n" in capsys.readouterr().err


def test_it_unpacks_alone_and_without_packages(wheels: Path, tmp_path: Path) -> None:
    carry.pack(wheels, tmp_path / "packed", 90, 2**20)
    script = shutil.copy(carry.__file__, tmp_path)
    done = subprocess.run([sys.executable, "-S", "-W", "error", script, "unpack", tmp_path / "packed" / "1", "--site",
                           tmp_path / "site", "--links", tmp_path / "links"], cwd=tmp_path, capture_output=True,
                          text=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0 and done.stdout.startswith(f"export PYTHONPATH={tmp_path}/site\n"), done.stderr
    assert (tmp_path / "site" / "tensorflow" / "libbig.so.2").read_bytes() == FILES["tensorflow/libbig.so.2"]
