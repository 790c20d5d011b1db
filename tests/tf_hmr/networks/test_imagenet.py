"""Downloads from a server of our own, as it should be and as it is not."""

import contextlib
import functools
import hashlib
import http.server
import socket
import threading

import pytest

from tf_hmr.networks import imagenet

CONTENT = b"weights" * 1000
FILE = imagenet.Published("folder", "file.h5", hashlib.md5(CONTENT).hexdigest())


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `content`, and says that it has `length` bytes."""

    def __init__(self, content, length, requests, *rest):
        self.content, self.length, self.requests = content, length, requests
        super().__init__(*rest)

    def do_GET(self):
        self.requests.append(self.path)
        if self.content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.length))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(monkeypatch, content, length=None):
    """A server in place of Keras'; gives the list of what is asked for."""
    requests = []
    length = len(content or b"") if length is None else length
    handler = functools.partial(Handler, content, length, requests)
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/applications"
    monkeypatch.setattr(imagenet, "KERAS_FILES", url)
    try:
        yield requests
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache of Keras', and one small file that is published."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setitem(imagenet.PUBLISHED, "resnet50", FILE)
    return tmp_path / "keras" / "models"


def test_downloads_once(monkeypatch, cache):
    with served(monkeypatch, CONTENT) as requests:
        path = imagenet.fetch("resnet50")
        assert imagenet.fetch("resnet50") == path == cache / "file.h5"
    assert requests == ["/applications/folder/file.h5"]
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]


def test_a_damaged_copy_is_fetched_again(monkeypatch, cache):
    cache.mkdir(parents=True)
    (cache / "file.h5").write_bytes(CONTENT[:-1])
    with served(monkeypatch, CONTENT):
        assert imagenet.fetch("resnet50").read_bytes() == CONTENT


def check_failure(cache, reason):
    """One error with all that helps; nothing half is left behind."""
    with pytest.raises(FileNotFoundError, match=reason) as error:
        imagenet.fetch("resnet50")
    text = str(error.value)
    assert f"{imagenet.KERAS_FILES}/folder/file.h5" in text
    assert FILE.md5 in text
    assert "--encoder-weights FILE" in text
    assert "--encoder-weights none" in text
    assert "\n" not in text
    assert list(cache.iterdir()) == []


def test_without_a_network(monkeypatch, cache):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr(imagenet, "KERAS_FILES", url)
    check_failure(cache, "refused")


def test_a_network_that_never_answers(monkeypatch, cache):
    monkeypatch.setattr(imagenet, "PATIENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(imagenet, "KERAS_FILES", url)
        # Who waits longer sees the connection end, and the test with it.
        end = threading.Timer(5, lambda: silent.accept()[0].close())
        end.start()
        check_failure(cache, "timed out")
        end.cancel()
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("content", "length", "reason"),
    [
        (None, None, "404"),
        (CONTENT[::-1], None, "hash does not match"),
        (CONTENT[:3000], len(CONTENT), "3000 out of 7000"),
    ],
)
def test_what_arrives_is_not_the_file(
    monkeypatch, cache, content, length, reason
):
    with served(monkeypatch, content, length):
        check_failure(cache, reason)


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with served(monkeypatch, CONTENT) as requests:
        with pytest.raises(FileNotFoundError, match="Not a directory"):
            imagenet.fetch("resnet50")
    assert not requests


def test_encoders_without_published_weights():
    with pytest.raises(ValueError, match="resnet_v2_50.ckpt.*resnet50"):
        imagenet.fetch("resnet50_slim")
    with pytest.raises(ValueError, match=r"'small'.*\['resnet50', 'mobilen"):
        imagenet.fetch("small")
