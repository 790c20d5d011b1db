"""Tests; as the commands do, they start Keras without what nothing uses."""

import tf_hmr.lean_keras  # noqa: F401
