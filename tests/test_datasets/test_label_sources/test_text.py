# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.datasets.label_sources import read_text


def test_read(tmp_path):
    path = tmp_path / 'tags.txt'
    path.write_text('b.JPG:\n\ntrain/a: x.png: cow, cat\n')
    assert read_text(str(path)) == (None, {
        'b': (),
        'train/a: x': ('cow', 'cat')
    })
    path.write_text('# cat,cow\na: cow\n')
    assert read_text(str(path)) == (('cat', 'cow'), {'a': ('cow', )})


@pytest.mark.parametrize('text, message', [
    ('a.jpg: cat\na: cow\n', "'a.jpg' and 'a' are both 'a' without"),
    ('a: cat\na: cow\n', ":2: 'a' stands in line 1 already"),
    ('a cat\n', ":1: found 'a cat'"),
    ('../a: cat\n', "'../a' leads out of the folder"),
])
def test_errors(tmp_path, text, message):
    path = tmp_path / 'tags.txt'
    path.write_text(text)
    with pytest.raises(ValueError, match=f'tags.txt.*{message}'):
        read_text(str(path))
