"""Values of any type to grey levels: the 8-bit picture where it can be had back, else one stretch for all."""

import numpy as np

from brain_mri.images.badimage import BadImage, Reason

ONE_IN = 1000  # of the values at either end may lie beyond black and white: hot and dead pixels


def to_grey(values: np.ndarray, outside: np.ndarray | None = None) -> np.ndarray:
    """Return values of any real type as grey levels, uint8 of the same shape.

    Whole numbers from 0 to 255, and 16-bit numbers that are all multiples of 257, are an 8-bit picture in a wider type
    and are taken as it; everything else is stretched. What is not finite, or where `outside` (bool) is true, belongs to
    no picture: it is left out of the reckoning and becomes black. Raises BadImage where nothing is left.
    """
    inside = _inside(values, outside)
    levels = eight_bit(np.where(inside, values, 0))
    return stretch(values, outside) if levels is None else levels


def eight_bit(values: np.ndarray) -> np.ndarray | None:
    """Return the 8-bit picture that the values are in a wider type, or None."""
    if values.dtype == np.uint8:
        return values
    low, high = values.min(), values.max()
    if low >= 0 and high <= 255:
        levels = values.astype(np.uint8)
        return levels if np.array_equal(levels, values) else None
    if values.dtype == np.uint16 and not (values % 257).any():
        return (values // 257).astype(np.uint8)
    return None


def stretch(values: np.ndarray, outside: np.ndarray | None = None) -> np.ndarray:
    """Scale linearly to uint8, so that all but one in `ONE_IN` of the values at either end lie from 0 to 255.

    Single extreme values move nothing, and a stretched picture stretched again is the same. Where nearly all values are
    one, the lowest and the highest are the ends instead; an array of one value becomes all 0. `outside` as in
    `to_grey`. Raises BadImage where nothing is inside.
    """
    inside = _inside(values, outside)
    with np.errstate(invalid="ignore"):  # a signalling NaN complains of the cast
        values = np.where(inside, values, 0).astype(np.float64)
    largest = np.abs(values).max()
    if largest > np.sqrt(np.finfo(float).max):  # the difference of two such values may overflow
        values /= largest
    known = values[inside]
    dropped = known.size // ONE_IN
    known.partition([dropped, known.size - 1 - dropped])
    low, high = known[dropped], known[known.size - 1 - dropped]
    if low == high:
        low, high = known.min(), known.max()
    if low == high:
        return np.zeros(values.shape, np.uint8)
    grey = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    grey[~inside] = 0
    return grey


def _inside(values: np.ndarray, outside: np.ndarray | None) -> np.ndarray:
    inside = np.isfinite(values)
    if outside is not None:
        inside &= ~outside
    if not inside.any():
        raise BadImage(Reason.ONE_VALUE, "no value that belongs to the picture")
    return inside
