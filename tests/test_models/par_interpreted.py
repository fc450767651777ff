# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run the Triton kernels of PAR in Triton's interpreter, without a GPU.

The script is a process of its own: importing Triton chooses the interpreter.
"""
import os

os.environ['TRITON_INTERPRET'] = '1'

import torch  # noqa: E402

from mmseg_afa.models.refiners.par import PAR, fused_arguments  # noqa: E402
from mmseg_afa.models.refiners.par_triton import fused_par  # noqa: E402


def error(image, masks, sizes, **kwargs):
    """Return the largest difference to PyTorch, inside of the images."""
    par = PAR(**kwargs)
    own = fused_par(*fused_arguments(par, image, masks, sizes))
    expected = par(image, masks, sizes)
    assert own.shape == expected.shape
    if sizes is not None:
        height, width = sizes.unbind(1)
        rows, cols = (torch.arange(n) for n in image.shape[-2:])
        inside = (rows[:, None] < height[:, None, None]) & (
            cols < width[:, None, None])
        own, expected = (x * inside[:, None] for x in (own, expected))
    return (own - expected).abs().max().item()


def main():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(2, 3, 4, 4), (9, 11), mode='bilinear')
    sizes = torch.tensor([[9, 11], [7, 1]])
    few = dict(num_iter=3, dilations=(1, 2, 24))
    print(
        max(
            error(smooth, torch.rand(2, 3, 9, 11), None, num_iter=2),
            error(smooth, torch.rand(2, 18, 9, 11), None, **few),
            error(smooth, torch.rand(2, 1, 9, 11), sizes, **few),
            error(
                torch.zeros(1, 3, 2, 30), torch.rand(1, 2, 2, 30), None,
                **few)))


if __name__ == '__main__':
    main()
