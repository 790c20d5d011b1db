"""The work of commands whose words are read: here TensorFlow is imported."""
