"""The facts about each heat map that drawing, page and report share; how it is computed: `brain_mri.explanation`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HeatMap:
    """What is true of a method, whatever the network."""

    name: str  # for people
    coarse: bool = False  # a map of regions, drawn over the image; the others have a pixel's detail
    colour: int | None = None  # of Matplotlib's tab10 in every figure; None, grey: it knows nothing of the network


HEAT_MAPS = {
    "gradient": HeatMap("gradient", colour=0),
    "guided_backpropagation": HeatMap("guided backpropagation", colour=1),
    "grad_cam": HeatMap("Grad-CAM", coarse=True, colour=2),
    "grad_cam_pp": HeatMap("Grad-CAM++", coarse=True, colour=3),
    "guided_grad_cam": HeatMap("guided Grad-CAM", colour=4),
    "integrated_gradients": HeatMap("integrated gradients", colour=5),
    "lesion_map": HeatMap("lesion map", coarse=True, colour=6),
    "sobel": HeatMap("edges of the image (Sobel)"),
    "random": HeatMap("random map"),
}
