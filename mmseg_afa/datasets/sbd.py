# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The Semantic Boundaries Dataset (SBD): its masks are MATLAB files."""
import struct
import zlib
from io import BytesIO

import numpy as np
from scipy.io import loadmat

NUM_CLASSES = 21

# The MATLAB 5 format: a header, then elements of type, size and data.
HEADER_BYTES = 128
COMPRESSED = 15
MAX_BYTES = 2**26  # unpacked; a mask and its boundaries take one per cent


def decode_sbd_mask(content: bytes, where: str) -> np.ndarray:
    """Decode a file of SBD's folder ``cls``.

    It holds a struct ``GTcls``, whose field ``Segmentation`` has the number
    of a class of VOC at each pixel. SBD has no pixels to ignore.

    Source: http://home.bharathh.info/pubs/codes/SBD/download.html

    Args:
        content (bytes): The content of the file.
        where (str): Its name, for messages.

    Returns:
        np.ndarray: uint8 of shape (H, W), 0 to 20.

    Raises:
        ValueError: If it is no such file, or a damaged one.
    """
    try:
        _verify_checksums(content)
        variables = loadmat(BytesIO(content), variable_names=['GTcls'])
        mask = variables['GTcls']['Segmentation'][0, 0]
    except Exception as error:  # damage shows in many kinds of errors
        raise ValueError(
            f'{where}: cannot be read as a mask of SBD, a MATLAB file with '
            f'GTcls.Segmentation in it ({error!r}): unpack or download it '
            'again.') from error
    if mask.dtype != np.uint8 or mask.ndim != 2 or mask.size == 0:
        raise ValueError(
            f'{where}: GTcls.Segmentation is {mask.dtype} of shape '
            f'{mask.shape}, expected uint8 of shape (height, width): this is '
            'no mask of SBD.')
    if mask.max() >= NUM_CLASSES:
        raise ValueError(
            f'{where}: found the value {mask.max()} in GTcls.Segmentation, '
            f'expected 0 to {NUM_CLASSES - 1}: unpack or download it again.')
    return np.ascontiguousarray(mask)


def _verify_checksums(content):
    # loadmat reads on where a checksum is wrong, and can crash the process.
    position = HEADER_BYTES
    while position < len(content):
        kind, size = struct.unpack_from('<II', content, position)
        position += 8
        if kind == COMPRESSED:
            stream = zlib.decompressobj()
            stream.decompress(content[position:position + size], MAX_BYTES)
            if not stream.eof:
                raise ValueError('cut off, or too large')
        position += size
