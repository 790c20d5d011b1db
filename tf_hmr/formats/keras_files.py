"""Reads the two kinds of weights files that Keras has written as HDF5.

Keras 2 keeps arrays by layer and name (a group of each layer, listed in
attributes), Keras 3 by class and count (layers/conv2d_7/vars/0).
"""

from pathlib import Path

import h5py
import numpy as np

from tf_hmr.formats import hdf5_files


def read_layers(path: Path) -> dict[str, dict[str, np.ndarray]] | None:
    """Reads the arrays of a Keras 2 file by layer and variable, in its order.

    Args:
        path: a file of weights, or of a whole model, whose weights are read.

    Returns:
        Arrays by layer and name (such as kernel), for layers that have any;
        None for a file of another kind.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        with hdf5_files.open_file(path) as file:
            root = file.get("model_weights", file)
            if "layer_names" not in root.attrs:
                return None
            names = map(_text, root.attrs["layer_names"])
            layers = {name: _read_layer(file, root[name]) for name in names}
    except hdf5_files.DAMAGE as error:
        raise hdf5_files.damaged(path, error) from error
    return {name: values for name, values in layers.items() if values}


def _read_layer(file: h5py.File, group: h5py.Group) -> dict[str, np.ndarray]:
    values = {}
    for path in map(_text, group.attrs["weight_names"]):
        # Such as conv1_conv/kernel:0; Keras 3 names all kernels alike.
        name = path.split("/")[-1].split(":")[0]
        name = "kernel" if name == "depthwise_kernel" else name
        values[name] = hdf5_files.read(file, group[path])
    return values


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def read_datasets(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an HDF5 file, by its path in the file.

    Raises:
        ValueError: the file is damaged.
    """
    datasets = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            datasets[name] = hdf5_files.read(file, node)

    try:
        with hdf5_files.open_file(path) as file:
            file.visititems(visit)
    except hdf5_files.DAMAGE as error:
        raise hdf5_files.damaged(path, error) from error
    return datasets
