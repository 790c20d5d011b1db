"""Training, its data and its measures."""

import os

# As in tf_hmr/__init__.py, which may be imported only after TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
