# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import List


def voc_palette(num_classes: int) -> List[List[int]]:
    """The colours of PASCAL VOC, carried on to more classes.

    The bits of the class number, three at a time, become the bits of red,
    green and blue, highest first: up to 256 colours, no two alike.

    Args:
        num_classes (int): Number of classes, background counted.

    Returns:
        list[list[int]]: [R, G, B] of each class, 0 to 255.
    """
    return [[
        sum((number >> 3 * bit + channel & 1) << 7 - bit for bit in range(8))
        for channel in range(3)
    ] for number in range(num_classes)]
