# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.utils import remove_unfinished, replacing


def test_replaces_the_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with replacing(path) as unfinished:
        unfinished.write_text('new')
        assert path.read_text() == 'old'
        assert unfinished.suffix == '.txt'
    assert path.read_text() == 'new'
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(RuntimeError), replacing(path) as unfinished:
        unfinished.write_text('ne')
        raise RuntimeError
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_remove_what_killed_processes_left(tmp_path):
    for name in ('.a.1.tmp.txt', '.a.22.tmp', 'a.txt', '.a.b.tmp.txt'):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == \
        {'a.txt', '.a.b.tmp.txt'}
