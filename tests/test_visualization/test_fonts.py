# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path

import matplotlib
import pytest

from mmseg_afa.visualization import fonts
from mmseg_afa.visualization.fonts import DEFAULT, font_of, writable

TTF = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf'
# It has a letter that the default font lacks.
STIX, STIX_LETTER = TTF / 'STIXNonUni.ttf', '\ue000'


@pytest.fixture(params=['none installed', 'one installed'])
def installed(request, monkeypatch, tmp_path):
    broken = tmp_path / 'broken.ttf'
    broken.write_bytes(b'no font')
    found = [broken, STIX] if request.param == 'one installed' else [broken]
    monkeypatch.setattr(fonts, 'findSystemFonts', lambda: map(str, found))
    caches = (font_of, fonts._installed)
    for function in caches:
        function.cache_clear()
    yield found
    for function in caches:
        function.cache_clear()


@pytest.mark.parametrize('text', ['', 'a cat', 'ко\u0440ова', 'ζώο', 'žluť…'])
def test_the_default_font_is_enough(installed, text):
    assert writable(text) == text
    assert font_of(text) == DEFAULT


def test_other_scripts(installed):
    text = STIX_LETTER * 2
    if STIX in installed:
        assert writable(text) == text
        assert font_of(text) == STIX
    else:
        assert writable(text) == r'\ue000\ue000'
        assert font_of(writable(text)) == DEFAULT


def test_letters_that_no_font_has_alone(installed):
    """What can be read stays, and two names do not become one."""
    names = [writable(name) for name in ('ко\U000f0001', 'ко\U000f0002')]
    assert names == [r'ко\U000f0001', r'ко\U000f0002']
    assert [writable(name) for name in names] == names


def test_regular_fonts_come_first(monkeypatch):
    found = ['/a/Noto-Black.ttf', '/b/Noto-Regular.ttf', '/c/LastResort.otf']
    monkeypatch.setattr(fonts, 'findSystemFonts', lambda: found)
    fonts._installed.cache_clear()
    assert fonts._installed() == [Path(found[1]), Path(found[0])]
    fonts._installed.cache_clear()
