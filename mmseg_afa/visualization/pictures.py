# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Paint label maps, and write pictures."""
from io import BytesIO
from pathlib import Path
from typing import Sequence, Union

import cv2
import mmcv
import numpy as np
from PIL import Image

from ..utils import IGNORE_INDEX, UserError, replacing


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
    diagonals = np.indices(label.shape).sum(0) % 8 < 2
    colour[ignored] = np.where(diagonals, 64, 255)[ignored, None]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    region = np.uint8((1 - alpha) * grey + alpha * colour)
    picture = np.where((painted | ignored)[..., None], region, image)
    width = max(1, round(max(label.shape) / 160))  # of a contour
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, ) * 2)
    contour = cv2.morphologyEx(label, cv2.MORPH_GRADIENT, disk) > 0
    picture[painted & contour] = colour[painted & contour]
    return picture


def first_painted(classes: Sequence[str]) -> int:
    """Return the first class id that overlays paint and legends list."""
    return int(classes[0] == 'background')


def figure_to_picture(figure, **kwargs) -> np.ndarray:
    """Draw a figure of matplotlib as an RGB uint8 picture (H, W, 3)."""
    file = BytesIO()
    figure.savefig(file, **kwargs)
    return mmcv.imfrombytes(file.getvalue(), channel_order='rgb')


def save_picture(path: Union[str, Path], picture: np.ndarray) -> None:
    """Write an RGB uint8 picture (H, W, 3), completely or not at all."""
    suffix = Path(path).suffix.lower()
    if suffix not in Image.registered_extensions():
        raise UserError(f'{path}: {suffix!r} is not the suffix of a picture. '
                        'Write .png or .jpg.')
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        Image.fromarray(picture).save(unfinished, quality=90)
