"""Keras is loaded as the stages load it: with the settings that must be made before."""

import brain_mri.network  # noqa: F401
