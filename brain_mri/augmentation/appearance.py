"""Domain randomisation: the same head as another scanner, sequence, patient or file would show it.

What scanners and patients do is modelled as in corruptions.py beside it, whose docstrings name the sources; a network
that has seen everything in training need not guess what the next hospital's images look like (Tobin et al.,
IROS 2017; for MRI contrast: Billot et al., Med. Image Anal. 86, 2023). Images are uint8 (H, W), 0 to 255.
"""

import cv2
import numpy as np

from brain_mri.augmentation import corruptions
from brain_mri.augmentation.corruptions import Image
from brain_mri.params import Appearance

CHANCE = 0.5  # of each change, on its own, in an image


def change_appearance(image: np.ndarray, largest: Appearance, rng: np.random.Generator) -> np.ndarray:
    """Return the image, uint8 (H, W), as the generator's next draws have it.

    In the order of the keys each change comes to half of the images, its strength uniform up to the largest; `invert`
    is the share of images that it comes to."""
    changed: Image = np.asarray(image / 255, np.float32)
    for name, strength in largest:
        chance, least = (strength if name == "invert" else CHANCE), float(name == "low_resolution")
        # All draws are taken, so that switching a change off leaves the others as they were.
        comes, drawn, own = rng.random() < chance, rng.uniform(least, max(strength, least)), rng.spawn(1)[0]
        if comes and strength > least:
            changed = np.asarray(np.clip(CHANGES[name](changed, drawn, own), 0, 1), np.float32)
    return np.asarray(changed * 255 + 0.5, np.uint8)


def invert(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Dark tissue bright and bright tissue dark, as between T1 and T2 weighting; the background stays dark."""
    top = np.percentile(image, 99)
    head = np.clip(image / (0.15 * top + 1e-6), 0, 1)
    return np.asarray(np.maximum(top - image, 0) * head, np.float32)


def brightness(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """All greys times exp(+-strength), the sign by chance; what gets too bright is clipped, as by a window."""
    return np.asarray(image * np.exp(strength * rng.choice([-1, 1])), np.float32)


def sharpen(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Unsharp mask of a standard deviation of 1.2 % of the width; `strength` times what the blur took is added."""
    return image + np.float32(strength) * (image - cv2.GaussianBlur(image, (0, 0), 0.012 * image.shape[1]))


CHANGES = {
    "invert": invert,
    "gamma": corruptions.gamma,
    "contrast": corruptions.contrast,
    "brightness": brightness,
    "bias_field": corruptions.bias_field,
    "ghosting": corruptions.ghosting,
    "motion": corruptions.motion,
    "low_resolution": corruptions.low_resolution,
    "blur": corruptions.blur,
    "sharpen": sharpen,
    "rician_noise": corruptions.rician_noise,
}
