"""Training, its data and its measures."""

# Sets what TensorFlow and OpenCV read at their start, which may be before any
# other module imports it; and Keras starts without what no command uses.
import tf_hmr.lean_keras  # noqa: F401
