"""Explanations of a prediction, and how far they can be believed."""

import brain_mri.network  # noqa: F401  (loads Keras without its messages)
