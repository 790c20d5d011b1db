"""Writes the page that shows meshes in a browser, as a folder of static files.

    python -m edge.site --out site
    python -m edge.site --out site --model hmr.tflite --serve 8000

Any https server can serve the folder; it needs nothing but a browser, and no
picture leaves that. It holds the networks that find people
(python -m tf_hmr.landmark_files), the lifter that ships, and with --model files
of edge.export. LiteRT.js comes from npm, once. With --serve it is served here;
a phone on a cable sees it at localhost too, after
`adb reverse tcp:8000 tcp:8000`.
"""

import dataclasses
import functools
import hashlib
import http.server
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tyro

from edge import export
from tf_hmr import landmark_files
from tf_hmr.formats import atomic

WEB = Path(__file__).parent / "web"
SHADERS = Path(__file__).parent / "shaders"
PAGE = ("*.html", "*.js", "*.css", "*.svg", "*.webmanifest", "core/*.js")
"""Files of edge/web that are the page."""
NOT_PAGE = ("eslint.config.js",)
FOLDERS = ("core", "shaders", "vendor", "networks", "models")
"""Folders of a site, which are written anew."""
NETWORKS = {
    "people": landmark_files.PEOPLE,
    "faces": landmark_files.FACES,
    "landmarks": landmark_files.LANDMARKS,
}
LIFTER = "lifter"
_LIFTER_CROPS = 16  # People that its file is compared with Keras on.
_RUNTIME = {
    "litert": "@litertjs/core/dist",
    "wasm-utils": "@litertjs/wasm-utils/dist",
    "wasm": "@litertjs/core/wasm",
}
_RUNTIME_FILES = ("*.js", "*.wasm")
_VERSION = 'const VERSION = "development";'
_NPM_SECONDS = 600

NOTICE = """\
The page, and the lifter: tf_hmr, Apache-2.0.
vendor: LiteRT.js (npm, @litertjs/core), Google, Apache-2.0.
networks: BlazePose and face detection of MediaPipe, Google, Apache-2.0.
models: each .card.json names the licence of its body.
"""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    out: Path
    """The folder to write: new, empty, or an older site."""
    model: tuple[Path, ...] = ()
    """Files of edge.export, each with .card.json and .mesh.npz beside it; the
    first is what the page starts with."""
    serve: int = 0
    """Port to serve the folder at on this machine, until Ctrl+C; 0: do not."""


def check_args(args: Args) -> None:
    """Refuses what would fail only after the work began.

    Raises:
        FileNotFoundError: a model's file is missing.
        ValueError: the folder holds something else, or a model's name or place
            does not do.
    """
    out = args.out
    if out.is_dir() and any(out.iterdir()) and not _is_site(out):
        raise ValueError(
            f"--out {out} holds other files. Expected a new or empty folder, "
            "or an older site."
        )
    for path in args.model:
        _check_model(path, out)


def write(args: Args) -> None:
    """Writes the site.

    Raises:
        FileNotFoundError: a network, a model's file or npm is missing.
        ValueError: as `check_args`, or a model or a network is damaged.
        OSError: npm failed.
    """
    check_args(args)
    out = args.out
    networks = {
        name: (file.name, landmark_files.read(file))
        for name, file in NETWORKS.items()
    }
    for path in args.model:
        _check_content(path)
    out.mkdir(parents=True, exist_ok=True)
    # Without it nobody takes what is half written for a site.
    (out / "site.json").unlink(missing_ok=True)
    for folder in FOLDERS:
        shutil.rmtree(out / folder, ignore_errors=True)
    page = _copy_page(out)
    _copy_runtime(out / "vendor")
    (out / "networks").mkdir(exist_ok=True)
    for name, content in networks.values():
        (out / "networks" / name).write_bytes(content)
    (out / "models").mkdir(exist_ok=True)
    models = [_copy_model(path, out / "models") for path in args.model]
    models.append(_export_lifter(out / "models"))
    (out / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
    version = _version(out)
    worker = (out / "sw.js").read_text("utf-8")
    worker = worker.replace(_VERSION, f'const VERSION = "{version}";')
    (out / "sw.js").write_text(worker, encoding="utf-8")
    content = {
        "version": version,
        "page": ["./", *page],
        "networks": {
            name: f"networks/{file}" for name, (file, _) in networks.items()
        },
        "models": models,
    }
    with atomic.replacing(out / "site.json") as part:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _is_site(folder: Path) -> bool:
    """Whether a site is there, or part of one."""
    return (folder / "sw.js").is_file() and (folder / "boot.js").is_file()


def _copy_page(out: Path) -> list[str]:
    """Copies the page and the shaders; returns their names."""
    sources = {
        str(path.relative_to(WEB)): path
        for pattern in PAGE
        for path in sorted(WEB.glob(pattern))
        if path.name not in NOT_PAGE
    }
    for path in sorted(SHADERS.iterdir()):
        sources[f"shaders/{path.name}"] = path
    for name, path in sources.items():
        (out / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, out / name)
    # The worker itself is the browser's to keep.
    return [name for name in sources if name not in ("index.html", "sw.js")]


def _copy_runtime(vendor: Path) -> None:
    """Copies LiteRT.js, of npm's folder or downloaded."""
    modules = WEB / "node_modules"
    if (modules / _RUNTIME["wasm"]).is_dir():
        _copy_packages(modules, vendor)
        return
    with tempfile.TemporaryDirectory() as name:
        for file in ("package.json", "package-lock.json"):
            shutil.copyfile(WEB / file, Path(name, file))
        _install(Path(name))
        _copy_packages(Path(name, "node_modules"), vendor)


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(
            "The page needs LiteRT.js from npm, and there is no npm here. "
            "Install Node.js 20 or later."
        )
    print("Downloading LiteRT.js by npm ...")
    result = subprocess.run(
        [npm, "ci", "--omit=dev", "--no-audit", "--no-fund"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_NPM_SECONDS,
    )
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise OSError(f"npm failed: {' '.join(lines[-3:])}")


def _copy_packages(modules: Path, vendor: Path) -> None:
    for name, folder in _RUNTIME.items():
        (vendor / name).mkdir(parents=True, exist_ok=True)
        for pattern in _RUNTIME_FILES:
            for path in sorted((modules / folder).glob(pattern)):
                shutil.copyfile(path, vendor / name / path.name)


def _model_files(path: Path) -> tuple[Path, ...]:
    return tuple(
        path.with_suffix(ending)
        for ending in (".tflite", ".card.json", ".mesh.npz")
    )


def _check_model(path: Path, out: Path) -> None:
    """Refuses a model of which a file is missing, and names that do not do."""
    for file in _model_files(path):
        if not file.is_file():
            raise FileNotFoundError(
                f"--model {path}: there is no {file.name}. Expected the "
                ".tflite, .card.json and .mesh.npz of edge.export."
            )
    if path.stem == LIFTER or path.suffix != ".tflite":
        raise ValueError(
            f"--model {path}: expected a .tflite that is not called {LIFTER}."
        )
    if path.resolve().is_relative_to(out.resolve()):
        raise ValueError(
            f"--model {path} lies in --out {out}, which is written anew. Copy "
            "it to another folder."
        )


def _check_content(path: Path) -> None:
    """Refuses a model that is not the file of its card."""
    from edge.conversion import card as cards  # It imports TensorFlow.

    cards.check_content(path, path.read_bytes(), cards.read(path))


def _copy_model(path: Path, folder: Path) -> dict[str, str]:
    for file in _model_files(path):
        shutil.copyfile(file, folder / file.name)
    card = json.loads(path.with_suffix(".card.json").read_text("utf-8"))
    title = f"{path.stem}: {card['method']}, {card['precision']}"
    return {"name": path.stem, "title": title}


def _export_lifter(folder: Path) -> dict[str, str]:
    # Not at the top: they import TensorFlow.
    from edge.tasks import export as task
    from tf_hmr import landmark_fitting

    print("Exporting the lifter ...")
    args = export.Args(
        landmark_fitting.LIFTER,
        folder / f"{LIFTER}.tflite",
        precision="float16",
        crops=_LIFTER_CROPS,
    )
    export.check_args(args)
    task.export(args)
    return {"name": LIFTER, "title": "BlazePose and the lifter"}


def _version(out: Path) -> str:
    """A digest of all files."""
    digest = hashlib.sha256()
    for path in sorted(out.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(out)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Isolates the page from others, which gives it threads."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }

    def end_headers(self):
        """Adds the headers that an isolated page has."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_):
        """Says nothing: a page is a hundred requests."""


def server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of a folder at localhost, not yet running; port 0 is a free one.

    Raises:
        OSError: the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise OSError(
            f"--serve {port}: {error.strerror}. Give another port."
        ) from None


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        write(args)
        size = sum(p.stat().st_size for p in args.out.rglob("*") if p.is_file())
        print(f"{args.out}: {size / 1e6:.0f} MB, ready for an https server")
        if args.serve:
            with server(args.out, args.serve) as running:
                print(
                    f"http://localhost:{args.serve}/ until Ctrl+C", flush=True
                )
                running.serve_forever()
    except (OSError, ValueError) as error:
        _log.error("%s", " ".join(str(error).split()))
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    parsed = tyro.cli(Args, prog="python -m edge.site", description=__doc__)
    sys.exit(main(parsed))
