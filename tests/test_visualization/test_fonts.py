# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path

import matplotlib
import pytest
from matplotlib.font_manager import FontEntry

from mmseg_afa.visualization import fonts
from mmseg_afa.visualization.fonts import DEFAULT, font_of, writable

TTF = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf'
# It has a letter that the default font lacks.
STIX, STIX_LETTER = TTF / 'STIXNonUni.ttf', '\ue000'


@pytest.mark.parametrize('text, installed, written, font', [
    ('žluť… ко\u0440ова', True, 'žluť… ко\u0440ова', DEFAULT),
    (STIX_LETTER, True, STIX_LETTER, STIX),
    (STIX_LETTER, False, r'\ue000', DEFAULT),
    ('ζ\U000f0001', True, r'ζ\U000f0001', DEFAULT),
])
def test_fonts(text, installed, written, font, monkeypatch, tmp_path):
    """Text is written in a font that has it, of normal weight where there is
    one, and else as codes; matplotlib's 'Last Resort' font, which has a box
    for every letter, and broken files do not count."""
    (tmp_path / 'broken.ttf').write_bytes(b'no font')
    files = [(tmp_path / 'broken.ttf', 400),
             (TTF / 'LastResortHE-Regular.ttf', 400)]
    if installed:
        files += [(TTF / 'STIXNonUniBol.ttf', 700), (STIX, 400)]
    monkeypatch.setattr(fonts.fontManager, 'ttflist', [
        FontEntry(fname=str(path), style='normal', weight=weight)
        for path, weight in files
    ])
    monkeypatch.setattr(fonts, 'font_of', font_of.__wrapped__)
    assert writable(text) == written
    assert fonts.font_of(written) == font
