"""Fetches the ImageNet weights that Keras publishes.

Names and hashes: keras-team/keras:
keras/src/applications/{resnet,mobilenet_v3}.py.
"""

import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import keras

KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"
# A network that drops packets silently would block a run for minutes.
PATIENCE_SECONDS = 30.0


class Published(NamedTuple):
    """A file of Keras' applications, without the classifier."""

    folder: str
    name: str
    md5: str


PUBLISHED = {
    "resnet50": Published(
        "resnet",
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "fac2f116257151a9d068a22e544a4917",
    ),
    "mobilenet_v3": Published(
        "mobilenet_v3",
        "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
}


_ELSEWHERE = {
    "resnet50_slim": "Its own are TF-slim's: give the path of "
    "resnet_v2_50.ckpt (resnet_v2_50_2017_04_14.tar.gz of tensorflow/models), "
    "or choose --method.encoder resnet50.",
    "resnet50_v15": "Its own are torchvision's: give the path of "
    "resnet50-19c8e357.pth.",
}


def fetch(encoder: str) -> Path:
    """Gets Keras' file for an encoder, from its cache or the network.

    Args:
        encoder: a name of `encoders`.

    Raises:
        ValueError: Keras publishes no weights for it; the message names others.
        FileNotFoundError: the download failed; the message names the file.
    """
    if encoder not in PUBLISHED:
        elsewhere = _ELSEWHERE.get(
            encoder, f"Choose one of the encoders {list(PUBLISHED)}."
        )
        raise ValueError(
            f"Keras publishes no ImageNet weights for the encoder {encoder!r}."
            f" {elsewhere} Or pass `--encoder-weights none`."
        )
    file = PUBLISHED[encoder]
    origin = f"{KERAS_FILES}/{file.folder}/{file.name}"
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    cached = home / "models" / file.name
    if cached.is_file() and _md5(cached) == file.md5:
        return cached
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        # Workers of one machine start together: none may read a partial file.
        with (
            tempfile.TemporaryDirectory(dir=cached.parent) as download_folder,
            _short_timeout(),
        ):
            path = keras.utils.get_file(
                file.name, origin, cache_dir=download_folder, file_hash=file.md5
            )
            Path(path).replace(cached)
    except Exception as error:  # get_file raises the base class
        raise FileNotFoundError(
            f"The ImageNet weights of {encoder} could not be downloaded from "
            f"{origin} to {cached}: {' '.join(str(error).split())} Download "
            f"that file elsewhere (md5 {file.md5}) and pass its path as "
            "`--encoder-weights FILE`, or start from random weights with "
            "`--encoder-weights none`."
        ) from error
    return cached


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


@contextlib.contextmanager
def _short_timeout() -> Iterator[None]:
    previous_timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous_timeout)
