"""Hides from Keras what it imports for helpers that no command uses.

Keras tries scikit-learn for its wrappers and pyplot for its galleries: a
quarter of the seconds in which TensorFlow is imported. Without them it goes
on. All other modules import both as ever. The packages of commands import this
one; `import tf_hmr` does not, for the sake of programs that use those helpers.
"""

import importlib.abc
import sys

HIDDEN = ("sklearn", "matplotlib.pyplot")


class _Finder(importlib.abc.MetaPathFinder):
    """Refuses `HIDDEN` to the modules of Keras; leaves all else to others."""

    def find_spec(self, name, path=None, target=None):
        if name in HIDDEN and _importer().startswith("keras."):
            raise ModuleNotFoundError(f"{name} is hidden from Keras", name=name)
        return None


def _importer() -> str:
    """The module whose import statement is at work."""
    frame = sys._getframe(2)
    while frame.f_globals["__name__"].startswith("importlib."):
        frame = frame.f_back
    return frame.f_globals["__name__"]


sys.meta_path.insert(0, _Finder())
