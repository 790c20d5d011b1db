"""Models on devices: export, checks, benchmarks and the device's runner."""

import os

# As in tf_hmr/__init__.py, which may be imported only after TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
