# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Sequence, Tuple

import cv2
import numpy as np

from ..utils import IGNORE_INDEX


def overlay_label(image: np.ndarray, label: np.ndarray, palette: Sequence,
                  classes: Sequence[str], alpha: float) -> np.ndarray:
    """Paint a label map over an image.

    A region has a contour in the exact colour of its class. Inside, the
    colour covers a grey copy of the image, which keeps the hue. The
    background shows the image. Ignored pixels are hatched.

    Args:
        image (np.ndarray): (H, W, 3) RGB uint8.
        label (np.ndarray): (H, W) uint8 class ids.
        palette (Sequence): (num_classes, 3) RGB in 0..255.
        classes (Sequence[str]): Names; see :func:`first_painted`.
        alpha (float): Opacity of the regions, in [0, 1].

    Returns:
        np.ndarray: (H, W, 3) RGB uint8.
    """
    painted = (label >= first_painted(classes)) & (label < len(palette))
    ignored = label == IGNORE_INDEX
    colour = np.asarray(palette, np.uint8)[np.where(painted, label, 0)]
    colour[ignored] = hatching(label.shape)[ignored]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    region = np.uint8((1 - alpha) * grey + alpha * colour)
    picture = np.where((painted | ignored)[..., None], region, image)
    contour = painted & contours(label)
    picture[contour] = colour[contour]
    return picture


def first_painted(classes: Sequence[str]) -> int:
    """Return the first class id that overlays paint and legends list."""
    return int(classes[0] == 'background')


def hatching(shape: Tuple[int, int]) -> np.ndarray:
    """Draw diagonal dark lines on white, (H, W, 1) uint8."""
    rows, cols = np.indices(shape)
    return np.where((rows + cols) % 8 < 2, 64, 255).astype(np.uint8)[..., None]


def contours(label: np.ndarray) -> np.ndarray:
    """Find the pixels at a border between two labels, (H, W) bool.

    The width of a contour is 1/160 of the image's longer side.
    """
    width = max(1, round(max(label.shape) / 160))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, ) * 2)
    return cv2.morphologyEx(label, cv2.MORPH_GRADIENT, disk) > 0
