# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Fonts that have the letters of a text."""
from functools import lru_cache
from pathlib import Path
from typing import Set

from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font

# Comes with matplotlib: Latin, Greek, Cyrillic, Arabic and others.
DEFAULT = Path(findfont('DejaVu Sans'))


@lru_cache(maxsize=None)
def font_of(text: str) -> Path:
    """Find a font that has all letters of a text.

    Args:
        text (str): As :func:`writable` gives it.

    Returns:
        Path: The default font if it has them or no font does, or else one of
        those installed, upright and of normal weight where there is one.
    """
    fonts = sorted(
        fontManager.ttflist,
        key=lambda font:
        (font.style != 'normal', font.weight != 400, font.fname))
    paths = [DEFAULT, *(Path(font.fname) for font in fonts)]
    return next((path for path in paths if _has(path, text)), DEFAULT)


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


def _has(path: Path, text: str) -> bool:
    return _codes(path).issuperset(map(ord, text))


@lru_cache(maxsize=None)
def _codes(path: Path) -> Set[int]:
    """The code points that a font has; none if it cannot be read."""
    # The 'Last Resort' font has a box for every letter there is.
    if 'lastresort' in path.name.lower():
        return set()
    try:
        return set(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return set()
