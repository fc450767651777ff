# Copyright (c) mmseg_afa contributors. All rights reserved.
"""JSON that is not nested deep, for parsers that would fill the memory."""
import re
from typing import BinaryIO

import numpy as np

DEEPEST = 100
ESCAPE = re.compile(rb'\\.', re.S)
# Everything but quotation marks and brackets.
OTHERS = bytes(set(range(256)) - set(b'"[]{}'))


class ShallowFile:
    """A file of JSON that refuses to be read where it is nested too deep.

    ijson keeps the path of the place it reads: its memory grows with the
    square of the depth, and 50 kB of opening brackets took 6 GB.

    Args:
        file (BinaryIO): The file, opened at its start.

    Raises:
        ValueError: From :meth:`read`, at more than DEEPEST open brackets.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.depth = 0
        self.in_string = False
        self.cut = b''  # a backslash at the end, whose character is to come

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes, as those of any file."""
        data = self.file.read(size)
        text = ESCAPE.sub(b'', self.cut + data)
        self.cut = b'\\' if text.endswith(b'\\') else b''
        pieces = text.translate(None, OTHERS).split(b'"')
        outside = b''.join(pieces[self.in_string::2])
        self.in_string ^= len(pieces) % 2 == 0
        signs = np.frombuffer(outside, np.uint8)
        opening = (signs == ord('[')) | (signs == ord('{'))
        depths = self.depth + np.cumsum(np.where(opening, 1, -1))
        if depths.size:
            self.depth = depths[-1]
            if depths.max() > DEEPEST:
                raise ValueError(f'nested more than {DEEPEST} deep')
        return data
