"""Explanations of a prediction, and how far they can be believed."""
