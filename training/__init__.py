"""Training, its data and its measures."""

# Sets what TensorFlow and OpenCV read at their start, which may be before any
# other module imports it.
import tf_hmr.lean_keras  # noqa: F401
