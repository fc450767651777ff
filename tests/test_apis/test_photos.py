# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.apis import Photo, find_photos, read_tags
from mmseg_afa.utils import UserError

NAMES = ['a', 'b', 'sub dir/c', 'sub dir/häuser']


def names(*arguments, **kwargs):
    return [p.name for p in find_photos([*map(str, arguments)], **kwargs)]


def test_folder_files_and_patterns(photos):
    assert names(photos) == NAMES
    found = find_photos([str(photos)])
    assert found[2] == Photo('sub dir/c', f'{photos}/sub dir/c.jpg')
    assert names(photos / 'b.png', photos / 'sub dir/c.jpg') == ['b', 'c']
    assert names(photos / '*.jpg') == ['a']
    assert names(photos / '**/*') == NAMES
    assert names(photos, photos / 'a.jpg') == NAMES  # each once


def test_lists(photos, tmp_path, monkeypatch):
    ids = tmp_path / 'train.txt'
    ids.write_text('sub dir/c\na\n')
    assert names(photos, image_list=str(ids)) == ['sub dir/c', 'a']
    ids.write_text('z\n')
    with pytest.raises(UserError, match="train.txt: 1 of 1.*z.jpg"):
        names(photos, image_list=str(ids))

    monkeypatch.chdir(photos)
    paths = tmp_path / 'paths.txt'
    paths.write_text(f'./sub dir/c.jpg\n\n{photos}/b.png\n')
    assert names(paths) == ['sub dir/c', 'b']
    paths.write_text('nowhere/x.jpg\n')
    with pytest.raises(UserError, match='paths.txt: 1 of 1.*x.jpg'):
        names(paths)


def test_bad_arguments(photos, tmp_path):
    with pytest.raises(UserError, match='nowhere: no such photo'):
        names(tmp_path / 'nowhere')
    with pytest.raises(UserError, match=r'\*.gif: no photo found'):
        names(photos / '*.gif')
    other = tmp_path / 'a.jpg'
    other.write_bytes((photos / 'a.jpg').read_bytes())
    with pytest.raises(UserError, match='would both write a.png'):
        names(photos, other)


def test_tags(photos, tmp_path):
    found = find_photos([str(photos)])
    file = tmp_path / 'labels.txt'
    # with suffix or without; the accent as two characters
    file.write_text('# x,y\na.jpg: x\nb: x, y\nsub dir/c:\n'
                    'sub dir/ha\u0308user: y\nmore: x\n')
    tags = read_tags(str(file), found, ['x', 'y'])
    assert [tags[name] for name in NAMES] == [('x', ), ('x', 'y'), (), ('y', )]
    with pytest.raises(UserError, match="unknown tag 'y'"):
        read_tags(str(file), found, ['x'])
    file.write_text('a: x\n')
    with pytest.raises(UserError, match="labels.txt: no line for 3 of 4"):
        read_tags(str(file), found, ['x', 'y'])
