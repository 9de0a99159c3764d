"""TensorFlow's settings are made before a test file can load Keras; the package makes them and loads nothing heavy."""

import brain_mri  # noqa: F401
