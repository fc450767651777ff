# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.datasets.label_sources import read_folders


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return str(folder)


def test_read(tmp_path):
    folder = touch(tmp_path, 'hot dog/outside/2.v1.PNG', 'cat/1.jpg',
                   'cat/notes.txt', 'readme.md', 'background/1.jpg', 'cat/été')
    (tmp_path / 'cow').mkdir()
    classes, labels = read_folders(folder)
    assert classes == ('cat', 'cow', 'hot dog')
    assert list(labels.items()) == [
        ('background/1', ()),
        ('cat/1', ('cat', )),
        ('hot dog/outside/2.v1', ('hot dog', )),
    ]


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match='none: no such folder, or'):
        read_folders(str(tmp_path / 'none'))
    with pytest.raises(FileNotFoundError, match='or no image in it'):
        read_folders(touch(tmp_path, 'cat/notes.txt'))
    with pytest.raises(ValueError, match="'cat/1.jpg' and 'cat/1.png' are bo"):
        read_folders(touch(tmp_path, 'cat/1.jpg', 'cat/1.png'))
    with pytest.raises(ValueError, match="in no folder of a class: '1.jpg'"):
        read_folders(touch(tmp_path, '1.jpg'))
