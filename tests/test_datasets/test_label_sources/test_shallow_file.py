# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_afa.datasets.label_sources.shallow_file import DEEPEST, ShallowFile


def read(text, size):
    """Everything in the file, read in pieces."""
    file, pieces = ShallowFile(io.BytesIO(text)), []
    while not pieces or pieces[-1]:
        pieces.append(file.read(size))
    return b''.join(pieces), file.depth


tricky = st.text('[]{}"\\a', max_size=20)
values = st.recursive(
    tricky, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        tricky, inner, max_size=3))


@given(values, st.integers(1, 5))
def test_strings_do_not_count(value, size):
    text = json.dumps(value).encode()
    assert read(text, size) == (text, 0)


@pytest.mark.parametrize('size', [1, 7, 1000])
def test_the_limit(size):
    deep = b'[{"a":' * (DEEPEST // 2)
    assert read(deep + b'"[[[[\\"[["', size)[1] == DEEPEST
    with pytest.raises(ValueError, match='nested more than 100 deep'):
        read(deep + b'[', size)
    assert read(b'[]' * 1000, size)[1] == 0
