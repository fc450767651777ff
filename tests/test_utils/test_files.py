# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import signal

import pytest

from mmseg_afa.utils import replacing


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


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    child = os.fork()
    if child == 0:
        with replacing(path) as unfinished:
            unfinished.write_text('ne')
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_text() == 'old'
    with replacing(path) as unfinished:
        unfinished.write_text('new')
    assert path.read_text() == 'new'
    assert list(tmp_path.iterdir()) == [path]
