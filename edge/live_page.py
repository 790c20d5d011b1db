"""A page of this machine alone that shows the frames of edge.run as they come.

The pictures are JPEGs in one endless answer (multipart/x-mixed-replace), which
browsers show as a moving image without any script.
"""

import http.server
import threading

import cv2
import numpy as np

ADDRESS = "127.0.0.1"
"""No other machine sees the pictures; `ssh -L` brings the page to one."""

_HOSTS = ("127.0.0.1", "localhost")
_QUALITY = 80
_PATIENCE_S = 10.0
_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>tf_hmr</title>
<meta name="viewport" content="width=device-width">
<style>body{margin:0;background:#111}img{display:block;margin:auto;
max-width:100vw;max-height:100vh}</style>
<img src="stream" alt="The camera, with the body of each person over it">
</html>
"""


class Page:
    """Serves the newest frame. Calling it shows the next one."""

    def __init__(self, port: int):
        """Starts to serve.

        Args:
            port: of this machine; 0 takes a free one.

        Raises:
            OSError: the port is not free.
        """
        self._jpeg, self._number = b"", 0
        self._changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"page": self})
        self._server = http.server.ThreadingHTTPServer((ADDRESS, port), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{ADDRESS}:{self._server.server_address[1]}/"

    def __call__(self, image: np.ndarray) -> None:
        """Shows a BGR image."""
        options = (cv2.IMWRITE_JPEG_QUALITY, _QUALITY)
        jpeg = cv2.imencode(".jpg", image, options)[1].tobytes()
        with self._changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def next_frame(self, number: int):
        """The first frame after `number`: its number and JPEG; None if late."""
        with self._changed:
            is_newer = self._changed.wait_for(
                lambda: self._number > number, _PATIENCE_S
            )
            return (self._number, self._jpeg) if is_newer else None

    def close(self) -> None:
        """Stops to serve."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    page: Page

    def do_GET(self):  # noqa: N802  The name is http.server's.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in _HOSTS:  # Another site's script, by a name of its own.
            self.send_error(403)
        elif self.path == "/":
            self._answer("text/html; charset=utf-8", len(_PAGE))
            self.wfile.write(_PAGE)
        elif self.path == "/stream":
            self._answer("multipart/x-mixed-replace; boundary=frame")
            self._stream()
        else:
            self.send_error(404)

    def _answer(self, kind: str, length: int = 0):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        if length:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _stream(self):
        number = 0
        try:
            while True:
                frame = self.page.next_frame(number)
                if frame is None:
                    return
                number, jpeg = frame
                head = f"--frame\r\nContent-Length: {len(jpeg)}\r\n"
                head += "Content-Type: image/jpeg\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        except OSError:
            return  # The browser has left.

    def log_message(self, *_):
        """A line for each request would hide what the command says."""
