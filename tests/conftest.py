"""Keras is loaded as the stages load it: with the settings that must be made before."""

import core.network  # noqa: F401
