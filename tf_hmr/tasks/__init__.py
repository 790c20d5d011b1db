"""The work of commands whose words are read: here TensorFlow is imported."""

# Before any module of it imports Keras.
import tf_hmr.lean_keras  # noqa: F401
