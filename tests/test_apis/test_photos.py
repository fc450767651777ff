# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.apis import Photo, find_photos, read_tags
from mmseg_afa.utils import UserError

NAMES = ['a', 'b', 'sub dir/c', 'sub dir/häuser']


def names(*arguments, **kwargs):
    return [p.name for p in find_photos([*map(str, arguments)], **kwargs)[0]]


def test_folder_files_and_patterns(photos):
    assert names(photos) == NAMES
    found, _ = find_photos([str(photos)])
    assert found[2] == Photo('sub dir/c', f'{photos}/sub dir/c.jpg')
    assert names(photos / 'b.png', photos / 'sub dir/c.jpg') == ['b', 'c']
    assert names(photos / '*.jpg') == ['a']
    assert names(photos / '**/*') == NAMES
    assert names(photos, photos / 'a.jpg') == NAMES  # each once


def test_lists(photos, tmp_path, monkeypatch):
    ids = tmp_path / 'train.txt'
    ids.write_text('sub dir/c\na\n')
    assert names(photos, image_list=str(ids)) == ['sub dir/c', 'a']
    # also of patterns and files; each once
    ids.write_text('sub dir/c\na.jpg\na\n')
    arguments = photos / '**/*.*', photos / 'a.jpg'
    assert names(*arguments, image_list=str(ids)) == ['sub dir/c', 'a']
    ids.write_text('z\n')
    with pytest.raises(UserError, match="train.txt: 1 of 1.*'z'. .*has 'a'"):
        names(photos, image_list=str(ids))
    with pytest.raises(UserError, match='none.txt: no such image list.*--li'):
        names(photos, image_list='none.txt')

    monkeypatch.chdir(photos)
    paths = tmp_path / 'paths.txt'
    paths.write_text(f'./sub dir/c.jpg\n\n{photos}/b.png\n')
    assert names(paths) == ['sub dir/c', 'b']
    # absolute paths keep their folders
    paths.write_text(f'{photos}/sub dir/c.jpg\n{photos}/b.png\n')
    assert names(paths) == ['sub dir/c', 'b']
    paths.write_text('nowhere/x.jpg\n')
    with pytest.raises(UserError, match='paths.txt: 1 of 1.*x.jpg'):
        names(paths)


def test_bad_arguments(photos, tmp_path):
    with pytest.raises(UserError, match='nowhere: no such photo'):
        names(tmp_path / 'nowhere')
    with pytest.raises(UserError, match=r'\*.heic: no photo found'):
        names(photos / '*.heic')
    other = tmp_path / 'a.jpg'
    other.write_bytes((photos / 'a.jpg').read_bytes())
    with pytest.raises(UserError, match='would both write a.png'):
        names(photos, other)


def copies(photo, folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(photo.read_bytes())
    return folder


def test_suffix_of_a_data_set(photos, tmp_path):
    """The mask of a_sat.jpg is a.png; other files of the folder are named."""
    root = copies(photos / 'a.jpg', tmp_path, 'a_sat.jpg', 'a_mask.png',
                  'b.heic')
    found, left_out = find_photos([str(root)], suffixes=['_sat.jpg'])
    assert found == [Photo('a', f'{root}/a_sat.jpg')]
    assert left_out == [f'{root}/a_mask.png', f'{root}/b.heic']
    file = root / 'a_sat.jpg'
    assert names(file, suffixes=['_sat.jpg']) == ['a']
    assert names(photos / 'a.jpg', suffixes=['_sat.jpg']) == ['a']
    with pytest.raises(UserError, match='of .gif. Found 3 images with other'):
        names(root, suffixes=['.gif'])


def test_hidden_files(photos, tmp_path):
    root = copies(photos / 'a.jpg', tmp_path / '.hidden', 'a.jpg', '._a.jpg',
                  '__MACOSX/b.jpg', 'c/.thumbs/d.jpg')
    assert names(root) == names(root / '**/*') == ['a']
    assert find_photos([f'{root}/**/*'])[1] == []
    assert names(root / 'c/.thumbs/*') == ['d']  # by its name


def test_photos_that_differ_in_suffix(photos, tmp_path):
    root = copies(photos / 'a.jpg', tmp_path, 'a.jpg', 'a.png', 'b.jpg')
    with pytest.raises(UserError, match=r"by a pattern, such as 'photos/\*.p"):
        names(root)
    assert names(root / '*.jpg') == ['a', 'b']
    ids = tmp_path / 'list.txt'
    ids.write_text('b\n')
    assert names(root, image_list=str(ids)) == ['b']
    ids.write_text('/JPEGImages/b.jpg /SegmentationClassAug/b.png\n')
    assert names(root, image_list=str(ids)) == ['b']


def test_tags(photos, tmp_path):
    found, _ = find_photos([str(photos)])
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
