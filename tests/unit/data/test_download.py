"""Public data sets are the pinned bytes, or nothing; a server on loopback stands for their publishers."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedrec.cli import app
from fedrec.data import public_sets
from fedrec.data.download import download
from fedrec.data.interactions import DataError
from fedrec.data.opening import read_interactions
from fedrec.data.public_sets import PUBLIC_SETS, PublicSet

RATINGS = b"1\t10\t4\t5\n1\t20\t3\t6\n2\t10\t5\t7\n"
Publish = Callable[[bytes], PublicSet]


def archive(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, value in members.items():
            opened.writestr(name, value)
    return content.getvalue()


GOOD = archive(**{"ml-tiny/u.data": RATINGS, "ml-tiny/README": b"terms"})


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publish]:
    """Serve bytes; returns their address with the true size and digest."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def make(content: bytes) -> PublicSet:
            served["/set.zip"] = content
            url = f"http://127.0.0.1:{server.server_address[1]}/set.zip"
            return PublicSet(url, len(content), hashlib.sha256(content).hexdigest(), "any use")

        yield make
        server.shutdown()
        thread.join()


def test_a_data_set_is_fetched_unpacked_and_read(publish: Publish, tmp_path: Path) -> None:
    folder = download("ml-tiny", publish(GOOD), tmp_path)
    assert folder == tmp_path / "ml-tiny"
    assert read_interactions(folder).user_ids == ("1", "2")
    assert [path.name for path in tmp_path.iterdir()] == ["ml-tiny"]  # nothing else is left


def test_what_is_there_is_not_fetched_again(publish: Publish, tmp_path: Path) -> None:
    source = publish(GOOD)
    download("ml-tiny", source, tmp_path)
    publish(b"something else")
    assert download("ml-tiny", source, tmp_path) == tmp_path / "ml-tiny"


def test_other_bytes_of_the_same_length_are_not_used(publish: Publish, tmp_path: Path) -> None:
    source = publish(GOOD)
    publish(GOOD[:-1] + bytes([GOOD[-1] ^ 1]))
    with pytest.raises(DataError, match="SHA-256"):
        download("ml-tiny", source, tmp_path)
    assert not list(tmp_path.iterdir())


def test_more_bytes_than_pinned_are_not_even_written(publish: Publish, tmp_path: Path) -> None:
    source = publish(GOOD)
    publish(GOOD + bytes(1_000_000))
    with pytest.raises(DataError, match="longer than"):
        download("ml-tiny", source, tmp_path)


def test_an_archive_cannot_write_outside_its_folder(publish: Publish, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside"):
        download("evil", publish(archive(**{"../evil.txt": b"x"})), tmp_path / "data")
    assert not (tmp_path / "evil.txt").exists()


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(publish: Publish, tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(10_000_000))
    with pytest.raises(DataError, match="unpack"):
        download("bomb", publish(content.getvalue()), tmp_path)


def test_bytes_that_are_no_archive_are_refused(publish: Publish, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="zip"):
        download("text", publish(b"hello"), tmp_path)


def test_a_missing_file_and_a_silent_address_are_said_to_be_so(publish: Publish, tmp_path: Path) -> None:
    source = publish(GOOD)
    missing = PublicSet(source.url.replace("set.zip", "gone.zip"), 1, "", "")
    with pytest.raises(DataError, match="answered 404"):
        download("gone", missing, tmp_path)
    silent = PublicSet("http://127.0.0.1:9/set.zip", 1, "", "")  # the discard port: nobody listens
    with pytest.raises(DataError, match="download it elsewhere"):
        download("silent", silent, tmp_path)


def test_the_command_downloads_by_name(publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(public_sets.PUBLIC_SETS, "ml-100k", publish(GOOD))
    done = CliRunner().invoke(app, ["data", "download", "ml-100k", "--to", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "ml-100k" / "u.data").read_bytes() == RATINGS
    unknown = CliRunner().invoke(app, ["data", "download", "netflix", "--to", str(tmp_path)])
    assert unknown.exit_code == 2
    assert "ml-1m" in unknown.output


def test_every_pin_is_a_sha_256_over_https() -> None:
    for source in PUBLIC_SETS.values():
        assert source.url.startswith("https://")
        assert len(bytes.fromhex(source.sha256)) == 32
