# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Checks of what is to be drawn, with errors that say what was found."""
import numpy as np


def check_image(image, name='image'):
    """Make sure that ``image`` is BGR uint8 of shape (H, W, 3), not empty.

    Raises:
        TypeError: If it is no uint8 array.
        ValueError: If its shape is another one.
    """
    found = getattr(image, 'dtype', type(image).__name__)
    if found != np.uint8:
        raise TypeError(f'{name} must be a uint8 array, got {found}: '
                        'convert it to whole grey levels from 0 to 255.')
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f'{name} must have the shape (H, W, 3), '
                         f'got {image.shape}.')


def check_same_size(image, values, name):
    """Make sure that ``values`` is (H, W), as large as the image.

    Raises:
        ValueError: If it is not.
    """
    if values.shape != image.shape[:2]:
        raise ValueError(
            f'{name} must have the height and width of the image, '
            f'{image.shape[:2]}, got the shape {values.shape}: resize it.')


def check_palette(palette):
    """Return the palette as uint8 of shape (N, 3).

    Args:
        palette (Sequence): An RGB colour for each class, each number from 0
            to 255.

    Raises:
        ValueError: If it is something else.
    """
    colours = np.asarray(palette)
    if (colours.ndim != 2 or colours.shape[1] != 3
            or not np.isin(colours, np.arange(256)).all()):
        raise ValueError('palette must be a list of [R, G, B] with whole '
                         f'numbers from 0 to 255, got {palette!r}.')
    return colours.astype(np.uint8)
