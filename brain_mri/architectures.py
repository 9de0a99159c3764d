"""The facts about each network that the rest of the project needs without loading Keras.

The networks themselves are built in brain_mri/network/model.py.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """What is true of a network, whatever its weights."""

    # What the detector of other pictures sees, from textures to what is nearly a class.
    inner_layers: tuple[str, str, str, str]
    lesion_map: bool = False  # it answers from a map of lesions, and must be taught where they are
    stride: int = 1  # of the coarsest features that it enlarges again: must divide the image's side
    imagenet: bool = False  # weights of ImageNet can be had

    @property
    def explanation(self) -> str:
        """The explanation that is shown first: the map that the network itself has learned to draw, else Grad-CAM."""
        return "lesion_map" if self.lesion_map else "grad_cam"


_BLOCKS = ("block1_out", "block2_out", "block3_out", "block4_out")
_INVERTED = ("block2_add", "block4_add", "block10_add", "block15_project_bn")
ARCHITECTURES = {
    "compact": Architecture(_BLOCKS),
    "compact_fine": Architecture(_BLOCKS),
    "compact_lesion": Architecture(_BLOCKS, lesion_map=True, stride=16),
    "efficientnet": Architecture(_INVERTED, imagenet=True),
    "efficientnet_lesion": Architecture(_INVERTED, lesion_map=True, stride=32, imagenet=True),
    "resnet50": Architecture(
        ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"), imagenet=True
    ),
}
