"""Explanations of a prediction, and how far they can be believed."""

import core.network  # noqa: F401  (settings that must be made before Keras is loaded)
