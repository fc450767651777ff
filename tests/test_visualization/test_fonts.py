# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path

import matplotlib
import pytest
from matplotlib.font_manager import FontEntry, FontManager

from mmseg_afa.visualization.fonts import (DEFAULT, font_of, fontManager,
                                           writable)

TTF = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf'
# It has a letter that the default font lacks.
STIX, STIX_LETTER = TTF / 'STIXNonUni.ttf', '\ue000'


@pytest.fixture(params=['none installed', 'two installed'])
def installed(request, monkeypatch, tmp_path):
    assert isinstance(fontManager, FontManager)
    broken = tmp_path / 'broken.ttf'
    broken.write_bytes(b'no font')
    found = [FontEntry(fname=str(broken), style='normal', weight=400)]
    if request.param == 'two installed':
        bold = TTF / 'STIXNonUniBol.ttf'
        found.append(FontEntry(fname=str(bold), style='normal', weight=700))
        found.append(FontEntry(fname=str(STIX), style='normal', weight=400))
    monkeypatch.setattr(fontManager, 'ttflist', found)
    font_of.cache_clear()
    yield len(found) > 1
    font_of.cache_clear()


@pytest.mark.parametrize('text', ['', 'a cat', 'ко\u0440ова', 'ζώο', 'žluť…'])
def test_the_default_font_is_enough(installed, text):
    assert writable(text) == text
    assert font_of(text) == DEFAULT


def test_other_scripts(installed):
    text = STIX_LETTER * 2
    assert writable(text) == (text if installed else r'\ue000\ue000')
    assert font_of(writable(text)) == (STIX if installed else DEFAULT)


def test_letters_that_no_font_has():
    """What can be read stays, and two names do not become one; matplotlib's
    own 'Last Resort' font, which has a box for any letter, does not count."""
    names = [writable(name) for name in ('ко\U000f0001', 'ко\U000f0002')]
    assert names == [r'ко\U000f0001', r'ко\U000f0002']
