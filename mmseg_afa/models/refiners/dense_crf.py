# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
from typing import Callable, List, Optional, Sequence

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ...utils import MissingLibraryError

MIN_PROBABILITY = 1e-5  # the energy of probability 0 is infinite


@MODELS.register_module()
class DenseCRF(nn.Module):
    """Refine predictions by a fully connected CRF on the CPU.

    The defaults are the constants of AFA's published evaluation. The library
    is pydensecrf2. The module has no parameters and passes no gradient. Use
    :class:`PAR` for the labels of training.

    Args:
        num_iter (int): Mean-field iterations.
        gaussian (dict): Kernel of positions: `sxy` is the width in pixels,
            `compat` the weight.
        bilateral (dict): Kernel of positions and colours: `srgb` is the width
            in grey levels.
        num_workers (int, optional): Processes that share the images of a
            batch; a single image is refined in this process. Each takes
            about 70 bytes per pixel and class: 0.3 GB for 500 x 375 pixels
            and 21 classes. Default: the number of processors, at most 4.
    """

    def __init__(self,
                 num_iter: int = 10,
                 gaussian: dict = dict(sxy=3, compat=3),
                 bilateral: dict = dict(sxy=64, srgb=5, compat=4),
                 num_workers: Optional[int] = None) -> None:
        super().__init__()
        try:
            import joblib  # noqa: F401
            load_infer()
        except ImportError as error:
            raise MissingLibraryError(
                f'DenseCRF needs pydensecrf2 and joblib ({error}). Run `pip '
                'install ".[crf]"`, which needs a C++ compiler, or use PAR.'
            ) from error
        self.settings = num_iter, gaussian, bilateral
        if num_workers is None:
            num_workers = min(4, os.cpu_count())
        self.num_workers = num_workers

    def forward(self, image: Tensor, masks: Tensor) -> Tensor:
        """Refine probabilities (B, C, H, W) of images (B, 3, H, W)."""
        return torch.stack(self.refine_all(image, masks))

    def refine_all(self, images: Sequence[Tensor],
                   masks: Sequence[Tensor]) -> List[Tensor]:
        """Refine the masks of images that may differ in size.

        Args:
            images (Sequence[Tensor]): (3, H, W) each, RGB in [0, 1].
            masks (Sequence[Tensor]): (C, H, W) each, probabilities.

        Returns:
            list[Tensor]: (C, H, W) float32 each, probabilities.
        """
        from joblib import Parallel, delayed
        infer = delayed(load_infer())
        calls = (infer(
            grey_levels(image), probabilities(mask), *self.settings)
                 for image, mask in zip(images, masks))
        num_jobs = max(self.num_workers, 1) if len(images) > 1 else 1
        # max_nbytes: send arrays through pipes, not through temporary files
        parallel = Parallel(num_jobs, batch_size=1, max_nbytes=None)
        return [
            torch.from_numpy(refined).to(mask.device)
            for refined, mask in zip(parallel(calls), masks)
        ]


def grey_levels(image: Tensor) -> np.ndarray:
    """Convert RGB (3, H, W) in [0, 1] to (H, W, 3) uint8."""
    levels = (image.detach() * 255).round().byte()
    return levels.permute(1, 2, 0).cpu().numpy()


def probabilities(masks: Tensor) -> np.ndarray:
    """Convert masks (C, H, W) to float32 in [MIN_PROBABILITY, 1]."""
    return masks.detach().float().nan_to_num().clamp(MIN_PROBABILITY,
                                                     1).cpu().numpy()


def load_infer() -> Callable:
    """Import pydensecrf2 and return the function that refines one image.

    The function is a local one, so that joblib pickles its code: a worker
    process imports NumPy and pydensecrf2 only, neither torch nor mmseg.
    """
    from pydensecrf.densecrf import DenseCRF2D

    def infer(image: np.ndarray, masks: np.ndarray, num_iter: int,
              gaussian: dict, bilateral: dict) -> np.ndarray:
        classes, height, width = masks.shape
        crf = DenseCRF2D(width, height, classes)
        crf.setUnaryEnergy(-np.log(masks).reshape(classes, -1))
        crf.addPairwiseGaussian(**gaussian)
        crf.addPairwiseBilateral(
            rgbim=np.ascontiguousarray(image), **bilateral)
        return np.asarray(crf.inference(num_iter)).reshape(masks.shape)

    return infer
