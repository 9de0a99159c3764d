"""The stage crop: when it stops."""

import pytest

from brain_mri.errors import UserError
from brain_mri.images.badimage import Refused
from stages.crop import stop_when_too_many


def test_too_many_images_that_cannot_be_used_stop_the_run() -> None:
    bad = [Refused(f"{place}.png", "empty", 0) for place in range(3)]
    stop_when_too_many(bad, 30, 0.1)
    with pytest.raises(UserError, match="3 of 29 images cannot be used"):
        stop_when_too_many(bad, 29, 0.1)
    with pytest.raises(UserError, match="3 of 3 images"):  # nothing is left, however many may be lost
        stop_when_too_many(bad, 3, 1)
