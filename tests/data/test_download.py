"""Downloads, from a server on this machine: whole and verified, or nothing."""

import gc
import gzip
import hashlib
import http.server
import socket
import sys
import threading

import pytest

from engine.data import download
from engine.errors import Invalid

CONTENT = bytes(range(256)) * 9000
SUM = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/missing":
            return self.send_error(404)
        body = gzip.compress(CONTENT) if self.path.endswith(".gz") else CONTENT
        self.send_response(200)
        length = {"/twice": f"{len(body)}, {len(body)}", "/nonsense": "-41x", "/two": "41, 42"}
        self.send_header("Content-Length", length.get(self.path, str(len(body))))
        self.end_headers()
        self.wfile.write(body[:1000] if self.path == "/short" else body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def refusal(folder, url, expected=SUM):
    """The error's text; what stood before is as it was, and nothing came beside it."""
    old = folder / "file"
    old.write_text("old")
    with pytest.raises(Invalid) as caught:
        download.fetch(url, old, expected, "the file")
    assert [each.name for each in folder.iterdir()] == ["file"] and old.read_text() == "old"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_sum_is_of_the_unpacked_content(tmp_path):
    plain, packed, again = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    plain.write_bytes(CONTENT)
    packed.write_bytes(gzip.compress(CONTENT, mtime=1))
    again.write_bytes(gzip.compress(CONTENT, compresslevel=1, mtime=2))
    assert {download.sha256(path) for path in (plain, packed, again)} == {SUM}
    assert download.sha256(plain, as_is=True) == SUM
    assert download.sha256(packed, as_is=True) == hashlib.sha256(packed.read_bytes()).hexdigest() != SUM


def test_fetch_by_the_sum_of_the_packed_file(tmp_path):
    origin = tmp_path / "from.gz"
    origin.write_bytes(gzip.compress(CONTENT, mtime=1))
    right = hashlib.sha256(origin.read_bytes()).hexdigest()
    path = download.fetch(origin.as_uri(), tmp_path / "to.gz", right, "it", as_is=True)
    assert path.read_bytes() == origin.read_bytes()
    path.write_bytes(gzip.compress(CONTENT, mtime=2))  # the same content, packed at another time
    with pytest.raises(Invalid, match="must be the genuine file"):
        download.verify(path, right, "it", as_is=True)


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_fetch_makes_the_folder_and_leaves_only_the_file(tmp_path, server, name, capfd):
    path = tmp_path / "new" / name
    assert download.fetch(f"{server.address}/{name}", path, SUM, "it") == path
    assert download.sha256(path) == SUM
    assert list(path.parent.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")  # no terminal: no bar


def test_a_file_address_and_what_is_there_already(tmp_path, server):
    (tmp_path / "from").write_bytes(CONTENT)
    path = download.fetch((tmp_path / "from").as_uri(), tmp_path / "to", SUM, "it")
    asked = len(server.asked)
    download.fetch(f"{server.address}/plain", path, SUM, "it")
    assert len(server.asked) == asked


def test_a_terminal_gets_a_bar(tmp_path, server, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    download.fetch(f"{server.address}/plain", tmp_path / "f", SUM, "the pictures")
    shown = capsys.readouterr().err
    assert "the pictures" in shown and "2.30M" in shown


def test_a_wrong_sum(tmp_path, server):
    text = refusal(tmp_path, f"{server.address}/plain", "0" * 64)
    assert text.startswith(f"`the file from {server.address}/plain` (") and SUM in text and "0" * 64 in text


def test_an_answer_cut_short(tmp_path, server):
    text = refusal(tmp_path, f"{server.address}/short")
    assert f"({server.address}/short) must be downloadable" in text
    assert "cut short after 1000 of 2304000 bytes" in text


def test_no_such_file_no_server_no_folder(tmp_path, server):
    assert "HTTP Error 404: Not Found" in refusal(tmp_path, f"{server.address}/missing")
    assert "refused" in refusal(tmp_path, "http://127.0.0.1:9/file")
    with pytest.raises(Invalid, match=r"^`it` \(http.*must be downloadable .*(File exists|Not a dir)"):
        download.fetch(f"{server.address}/plain", tmp_path / "file" / "below", SUM, "it")


def test_silence_ends_by_the_timeout(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "timed out" in refusal(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/")


@pytest.mark.parametrize("name", ["twice", "nonsense", "two"])
def test_a_length_that_is_told_twice_or_makes_no_sense_is_not_relied_on(tmp_path, server, name):
    path = download.fetch(f"{server.address}/{name}", tmp_path / "file", SUM, "the file")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("proxy", ["http:/proxy", "http://proxy:port", "://", "ftp//[", "http://[::1"])
def test_a_proxy_that_is_no_address_is_one_line(tmp_path, monkeypatch, proxy):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", proxy)
    refusal(tmp_path, "http://127.0.0.1:1/file")


@pytest.mark.parametrize("url", ["http://[::1", "nonsense", "http://a b/c", "http://127.0.0.1:port/x", "foo://x"])
def test_an_address_that_is_none_is_one_line(tmp_path, url):
    refusal(tmp_path, url)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # http.client leaves a socket to gc
@pytest.mark.parametrize("answer", [b"", b"HELLO\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 302 Found\r\n\r\n",
                                    b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"\x00" * 70000])
def test_a_server_that_answers_nonsense_is_one_line(tmp_path, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(10000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        refusal(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}/file")
        thread.join()
    gc.collect()
