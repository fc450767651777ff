# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import List, Sequence

from torch import Tensor, nn


def refine_all(refiner: nn.Module, images: Sequence[Tensor],
               masks: Sequence[Tensor]) -> List[Tensor]:
    """Refine the masks of images that may differ in size.

    Args:
        refiner (nn.Module): PAR or DenseCRF. A refiner with a method
            `refine_all` gets all images at once, any other one by one.
        images (Sequence[Tensor]): (3, H, W) each, RGB in [0, 1].
        masks (Sequence[Tensor]): (C, H, W) each, probabilities.

    Returns:
        list[Tensor]: (C, H, W) float32 each.
    """
    if hasattr(refiner, 'refine_all'):
        return refiner.refine_all(images, masks)
    return [
        refiner(image[None], mask[None])[0]
        for image, mask in zip(images, masks)
    ]
