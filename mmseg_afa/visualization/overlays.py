# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Heat maps and label maps laid over an image."""
import cv2
import numpy as np

from .checks import check_image, check_palette, check_same_size

IGNORE_INDEX = 255


def overlay_heatmap(image, heat, opacity=0.55):
    """Lay a heat map over an image, from blue (0) to red (1).

    Args:
        image (np.ndarray): BGR uint8 of shape (H, W, 3).
        heat (np.ndarray): Real numbers in [0, 1] of shape (H, W).
        opacity (float): Share of the heat map in the picture, 0 to 1.

    Returns:
        np.ndarray: BGR uint8 of shape (H, W, 3).

    Raises:
        TypeError: If the image is no uint8 array.
        ValueError: If a shape is wrong, or heat leaves [0, 1] or is not
            finite.
    """
    check_image(image)
    heat = np.asarray(heat)
    check_same_size(image, heat, 'heat')
    # Written so that a NaN fails too.
    if not (heat.min() >= 0 and heat.max() <= 1):
        raise ValueError(f'heat must be in [0, 1], got {heat.min()} to '
                         f'{heat.max()}: normalise the map first.')
    levels = np.round(heat * 255).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_JET)
    return cv2.addWeighted(colours, opacity, image, 1 - opacity, 0)


def hatching(height, width):
    """White with grey diagonals, BGR uint8 of shape (height, width, 3)."""
    rows, cols = np.indices((height, width))
    grey = np.where((rows + cols) % 8 < 2, 150, 255).astype(np.uint8)
    return cv2.merge([grey] * 3)


def overlay_label(image, label, palette, opacity=0.65):
    """Lay a label map over an image.

    Pixels to ignore (255) are hatched in white, and hide the image.

    Args:
        image (np.ndarray): BGR uint8 of shape (H, W, 3).
        label (np.ndarray): Whole numbers of shape (H, W), each the index of a
            colour, or 255.
        palette (Sequence): An RGB colour for each class, background
            included.
        opacity (float): Share of the colours in the picture, 0 to 1.

    Returns:
        np.ndarray: BGR uint8 of shape (H, W, 3).

    Raises:
        TypeError: If the image is no uint8 array or the label not integer.
        ValueError: If a shape is wrong, or a label has no colour.
    """
    check_image(image)
    colours = check_palette(palette)
    label = np.asarray(label)
    check_same_size(image, label, 'label')
    if not np.issubdtype(label.dtype, np.integer):
        raise TypeError(f'label must be of an integer type, got {label.dtype}')
    ignored = label == IGNORE_INDEX
    unknown = np.unique(label[~ignored
                              & ((label < 0) | (label >= len(colours)))])
    if unknown.size:
        raise ValueError(f'label has the values {unknown.tolist()}, but the '
                         f'palette has {len(colours)} colours only.')
    tint = colours[np.where(ignored, 0, label), ::-1]
    picture = cv2.addWeighted(tint, opacity, image, 1 - opacity, 0)
    picture[ignored] = hatching(*label.shape)[ignored]
    return picture
