# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Fonts that have the letters of a text."""
from functools import lru_cache
from pathlib import Path
from typing import List

import matplotlib
import numpy as np
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font

# Comes with matplotlib: Latin, Greek, Cyrillic, Arabic and others.
DEFAULT = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'


def writable(text: str) -> str:
    r"""Replace the letters that no font here has by their codes.

    Args:
        text (str): In any script.

    Returns:
        str: The text if a font has all its letters. Else those beyond the
        default font are written as Python does, '\u732b' for example: names
        that differ still do, where a font would draw the same box for each.
    """
    if _has(font_of(text), text):
        return text
    return ''.join(
        letter if _has(DEFAULT, letter) else ascii(letter)[1:-1]
        for letter in text)


@lru_cache(maxsize=None)
def font_of(text: str) -> Path:
    """Find a font that has all letters of a text.

    Args:
        text (str): As :func:`writable` gives it.

    Returns:
        Path: The default font if it has them or no font does, or else one of
        those installed.
    """
    fonts = (path for path in _installed() if _has(path, text))
    return DEFAULT if _has(DEFAULT, text) else next(fonts, DEFAULT)


@lru_cache(maxsize=None)
def _installed() -> List[Path]:
    # Apple's 'Last Resort' has a box for every letter there is.
    fonts = [
        path for path in map(Path, findSystemFonts())
        if 'lastresort' not in path.name.lower()
    ]
    return sorted(
        fonts, key=lambda path: ('regular' not in path.name.lower(), path))


def _has(path, text):
    return bool(np.isin([ord(letter) for letter in text], _codes(path)).all())


@lru_cache(maxsize=None)
def _codes(path) -> np.ndarray:
    """The code points that a font has; none if it cannot be read."""
    try:
        return np.array(list(FT2Font(str(path)).get_charmap()), np.uint32)
    except (OSError, RuntimeError):
        return np.zeros(0, np.uint32)
