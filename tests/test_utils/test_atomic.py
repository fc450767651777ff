# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import signal

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


def write_until_killed(path):
    child = os.fork()
    if child == 0:
        with replacing(path) as unfinished:
            unfinished.write_text('ne')
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_what_killed_processes_left_is_removed(tmp_path):
    kept = ('a.txt', '.a.tmp', '.a.x.tmp.txt', 'b.1.tmp.txt', '.c.1.tmp.d.e')
    for name in kept:
        (tmp_path / name).write_text('old')
    (tmp_path / '.d.1.tmp').mkdir()
    write_until_killed(tmp_path / 'a.txt')
    write_until_killed(tmp_path / 'no_suffix')
    assert len(os.listdir(tmp_path)) == len(kept) + 3
    remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, '.d.1.tmp'])
    assert (tmp_path / 'a.txt').read_text() == 'old'


def test_no_folder_no_unfinished_files(tmp_path):
    remove_unfinished(tmp_path / 'none')
