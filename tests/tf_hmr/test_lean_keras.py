"""Keras alone does not see what it would import for nothing."""

import importlib.util
import sys

import pytest
from keras.src.visualization import plot_image_gallery
from keras.src.wrappers import fixes

from tf_hmr import lean_keras


def test_keras_has_started_without_them():
    assert fixes.sklearn is None and plot_image_gallery.plt is None


@pytest.mark.parametrize("name", lean_keras.HIDDEN)
def test_others_import_them_as_ever(name, monkeypatch):
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ModuleNotFoundError, match=f"{name} is hidden"):
        exec(f"import {name}", {"__name__": "keras.src.wrappers.fixes"})
    assert importlib.util.find_spec(name)
