# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import weakref
from typing import Callable, List, Optional, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from .crf_workers import Workers


@MODELS.register_module()
class DenseCRF(nn.Module):
    """Fully connected CRF on what a segmentor predicts, with the constants of
    AFA's published evaluation, computed on the CPU by pydensecrf2.

    Has no parameters and passes no gradient. For predictions: labels of
    training are made by :class:`PAR`.

    Args:
        num_iter (int): Mean-field iterations.
        gaussian (dict): Kernel of positions: `sxy` its width in pixels,
            `compat` the weight.
        bilateral (dict): Kernel of positions and colours: `srgb` its width
            in grey levels.
        num_workers (int, optional): Processes that share the images of a
            batch, started at first use and ended with the program; 0 for
            none. A lone image takes none either. Each takes about 70 bytes
            for a pixel and class while it works: 0.3 GB for 500 x 375 pixels
            and 21 classes, 1.5 GB for 640 x 480 and 81. Default: as many as
            the machine has processors, 4 at most.

    Raises:
        ImportError: Without pydensecrf2.
    """

    def __init__(self,
                 num_iter: int = 10,
                 gaussian: dict = dict(sxy=3, compat=3),
                 bilateral: dict = dict(sxy=64, srgb=5, compat=4),
                 num_workers: Optional[int] = None) -> None:
        super().__init__()
        try:
            from .crf_worker import dense_crf
        except ImportError as error:
            raise ImportError(
                f'DenseCRF needs pydensecrf2 ({error}): run `pip install '
                '".[crf]"`, which takes a C++ compiler, or take PAR, which '
                'needs nothing.') from error
        self.compute = dense_crf
        self.settings = (num_iter, dict(gaussian), dict(bilateral))
        if num_workers is None:
            num_workers = min(4, os.cpu_count())
        self.num_workers = num_workers
        self._workers = None

    def forward(self, image: Tensor, masks: Tensor) -> Tensor:
        """Refine a batch of masks.

        Args:
            image (Tensor): (B, 3, H, W), RGB in [0, 1].
            masks (Tensor): (B, C, H, W), probabilities.

        Returns:
            Tensor: (B, C, H, W) float32, probabilities.
        """
        return torch.stack(self.refine_all(image, masks))

    def refine_all(self, images: Sequence[Tensor],
                   masks: Sequence[Tensor]) -> List[Tensor]:
        """Refine the masks of images that may differ in size.

        Args:
            images (Sequence[Tensor]): (3, H, W) each, RGB in [0, 1].
            masks (Sequence[Tensor]): (C, H, W) each, probabilities.

        Returns:
            list[Tensor]: (C, H, W) float32 each, probabilities, the same for
            any number of workers.

        Raises:
            RuntimeError: If a worker is killed.
        """
        if self.num_workers == 0 or len(images) < 2:
            return [
                self._refine(self.compute, *pair)
                for pair in zip(images, masks)
            ]
        if self._workers is None:
            self._workers = Workers(self.num_workers)
            weakref.finalize(self, self._workers.close)
        return self._workers.map(self._refine, images, masks)

    def _refine(self, compute: Callable, image: Tensor,
                masks: Tensor) -> Tensor:
        levels = (image.detach() * 255).round().byte().cpu().numpy()
        probabilities = masks.detach().float().cpu().numpy()
        refined = compute(levels, probabilities, *self.settings)
        return torch.from_numpy(refined).to(masks.device)

    def extra_repr(self) -> str:
        num_iter, gaussian, bilateral = self.settings
        return (f'num_iter={num_iter}, gaussian={gaussian}, '
                f'bilateral={bilateral}, num_workers={self.num_workers}')
