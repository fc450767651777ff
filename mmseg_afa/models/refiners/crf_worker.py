# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Dense CRF of one image, in this process or, as a script, in one of its own.

It imports NumPy and pydensecrf only, so that a worker takes tens of megabytes:
a process of multiprocessing's would import the main script, and so torch.
"""
import pickle
import sys

import numpy as np
from pydensecrf.densecrf import DenseCRF2D

LEAST = 1e-5  # probability; the energy of 0 would be infinite


def dense_crf(image: np.ndarray, masks: np.ndarray, num_iter: int,
              gaussian: dict, bilateral: dict) -> np.ndarray:
    """Mean-field inference of a fully connected CRF.

    Args:
        image (np.ndarray): (3, H, W) uint8.
        masks (np.ndarray): (C, H, W) float32 probabilities; NaN counts as 0.
        num_iter (int): Iterations.
        gaussian (dict): sxy and compat of the kernel of positions.
        bilateral (dict): sxy, srgb and compat of that of positions and
            colours.

    Returns:
        np.ndarray: (C, H, W) float32 probabilities.
    """
    classes, height, width = masks.shape
    energy = -np.log(np.nan_to_num(masks).clip(LEAST, 1))
    crf = DenseCRF2D(width, height, classes)
    crf.setUnaryEnergy(energy.reshape(classes, -1))
    crf.addPairwiseGaussian(**gaussian)
    crf.addPairwiseBilateral(
        rgbim=np.ascontiguousarray(image.transpose(1, 2, 0)), **bilateral)
    return np.asarray(crf.inference(num_iter)).reshape(masks.shape)


def main() -> None:
    """Answer the arguments that come in with results, until they end."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            arguments = pickle.load(requests)
        except EOFError:  # the main process is gone
            return
        pickle.dump(dense_crf(*arguments), answers, protocol=5)
        answers.flush()


if __name__ == '__main__':
    main()
