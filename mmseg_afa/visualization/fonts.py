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
def letters_of(path: Path) -> Set[str]:
    """The letters that a font has; none if it cannot be read."""
    # The 'Last Resort' font has a box for every letter there is.
    if 'lastresort' in path.name.lower():
        return set()
    try:
        return set(map(chr, FT2Font(str(path)).get_charmap()))
    except (OSError, RuntimeError):
        return set()


@lru_cache(maxsize=None)
def font_of(text: str) -> Path:
    """A font that has all letters of a text: the default one if it has them
    or no font does, else an upright one of normal weight if there is one."""
    fonts = sorted(
        fontManager.ttflist,
        key=lambda f: (f.style != 'normal', f.weight != 400, f.fname))
    paths = [DEFAULT, *(Path(font.fname) for font in fonts)]
    return next((p for p in paths if letters_of(p).issuperset(text)), DEFAULT)


def writable(text: str) -> str:
    r"""A text, or where no font here has all its letters, with codes like
    '\u732b' for those that the default font lacks: names that differ still
    do, where a font would draw the same box for each."""
    if letters_of(font_of(text)).issuperset(text):
        return text
    return ''.join(
        letter if letter in letters_of(DEFAULT) else ascii(letter)[1:-1]
        for letter in text)
