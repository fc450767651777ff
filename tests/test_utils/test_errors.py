# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.utils import collecting


def test_collecting():
    errors = []
    for number in range(3):
        with collecting(errors):
            if number != 1:
                raise ValueError(f'not {number}')
    assert errors == ['not 0', 'not 2']


def test_passing():
    with pytest.raises(ValueError, match='not 0'):
        with collecting(None):
            raise ValueError('not 0')
    errors = []
    with pytest.raises(KeyError):
        with collecting(errors):
            raise KeyError('another')
    assert errors == []
