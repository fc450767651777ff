# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.datasets.image_list import (IMAGE_SUFFIXES, DataError, by_stem,
                                           composed, find_files, find_images,
                                           find_missing, read_image_list,
                                           strip_image_suffix,
                                           write_image_list)


def test_written_lists_are_read_back(tmp_path):
    path = tmp_path / 'list.txt'
    names = ['b', 'some more/\u732b', 'a b']
    write_image_list(path, names)
    assert read_image_list(str(path)) == names
    assert path.read_bytes().endswith(b'a b\n')


def test_read_image_list(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text('b\n\n train/a c \n..a\nb..c/d\n')
    assert read_image_list(str(path)) == ['b', 'train/a c', '..a', 'b..c/d']


@pytest.mark.parametrize('text, message', [
    (' \n\n', 'train.txt: names no image'),
    ('a\nb\n\na\n', "train.txt:4: 'a' stands in line 1 already"),
    ('a/../../up\n', 'train.txt:1: .* leads out of'),
    ('/etc/a\n', 'train.txt:1: .* leads out of'),
    ('..\\up\n', 'train.txt:1: .* leads out of'),
])
def test_bad_image_list(tmp_path, text, message):
    path = tmp_path / 'train.txt'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_image_list(str(path))


def test_image_list_in_another_encoding(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_bytes('m\u00e9\n'.encode('latin-1'))
    with pytest.raises(ValueError, match='train.txt: not a text file in UTF-'):
        read_image_list(str(path))


@pytest.mark.parametrize('folder', ['none', '.'])
def test_no_images(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r'no file \*.jpg in it'):
        find_images(str(tmp_path / folder), ('.jpg', ))


def test_find_missing(tmp_path):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/a.jpg').touch()
    (tmp_path / 'b.jpg').touch()
    paths = [
        str(tmp_path / name)
        for name in ('z.jpg', 'train/a.jpg', 'b.jpg', 'val/a.jpg', 'train')
    ]
    assert find_missing(paths) == [paths[0], paths[3], paths[4]]


@pytest.mark.parametrize('name, stem', [
    ('a.jpg', 'a'),
    ('train/a b.JPEG', 'train/a b'),
    ('a.b', 'a.b'),
    ('v1.jpg/a', 'v1.jpg/a'),
    ('a.jpg.png', 'a.jpg'),
    ('.jpg', '.jpg'),
])
def test_strip_image_suffix(name, stem):
    assert strip_image_suffix(name) == stem


def test_find_images(tmp_path):
    (tmp_path / 'm\u00e9 b').mkdir()
    for name in ('b.JPG', 'a.c.jpeg', 'm\u00e9 b/\u732b.png', 'd.txt', '.jpg'):
        (tmp_path / name).touch()
    found = find_images(str(tmp_path), IMAGE_SUFFIXES)
    assert found == ['a.c', 'b', 'm\u00e9 b/\u732b']
    assert find_images(str(tmp_path), ('.jpg', )) == ['b']


def test_find_files(tmp_path):
    (tmp_path / 'sub').mkdir()
    for name in ('b.JPG', 'a.png.jpeg', 'sub/c_image.png', 'c.tif'):
        (tmp_path / name).touch()
    root = str(tmp_path)
    found = find_files(root, ['b', 'a.png', 'c.tif', 'none'], IMAGE_SUFFIXES)
    assert list(found.items()) == [('b', f'{root}/b.JPG'),
                                   ('a.png', f'{root}/a.png.jpeg'),
                                   ('c', f'{root}/c.tif'),
                                   ('none', f'{root}/none.jpg')]
    assert find_files(root, ['sub/c'], ('_image.png', )) == {
        'sub/c': f'{root}/sub/c_image.png'
    }


def test_all_images_that_are_not_told_apart(tmp_path):
    for name in ('a.jpg', 'a.png', 'b.jpg', 'c.bmp', 'c.BMP', 'd.webp'):
        (tmp_path / name).touch()
    with pytest.raises(DataError) as error:
        find_files(
            str(tmp_path), ['a', 'b', 'c', 'b.jpg', 'd'], IMAGE_SUFFIXES)
    assert list(error.value.rest) == ['b', 'd']
    assert [
        text.split(': ')[1].split(' ')[0] for text in error.value.problems
    ] == ["'a.jpg'", "'c.BMP'"]


def test_by_stem_of_contradictions():
    tags = {'a.jpg': ('cat', ), 'b': (), 'a.png': ('dog', )}
    with pytest.raises(
            DataError, match="labels: 'a.jpg' and 'a.png' differ") as error:
        by_stem('labels', tags)
    assert error.value.rest['a'] == ('cat', )


def test_all_wrong_lines(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text('a\nb\na\n../c\n/d\ne\n')
    with pytest.raises(DataError) as error:
        read_image_list(str(path))
    assert error.value.rest == ['a', 'b', 'e']
    assert [line.split(': ')[0] for line in str(error.value).split('\n')
            ] == [f'{path}:{number}' for number in (3, 4, 5)]
    path.write_text('/d\n' * 30)
    with pytest.raises(DataError) as error:
        read_image_list(str(path))
    assert error.value.rest == []
    assert len(error.value.problems) == 31  # and no image
    lines = str(error.value).split('\n')
    assert len(lines) == 11 and lines[-1] == '... (31 problems in all)'


NFC, NFD = 'caf\xe9/\xfc', 'cafe\u0301/u\u0308'  # the same to a reader


@pytest.mark.parametrize('disk, listed', [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
def test_accents_in_either_form(tmp_path, disk, listed):
    """macOS keeps accents apart from their letters, keyboards do not."""
    path = tmp_path / f'{disk}.jpg'
    path.parent.mkdir()
    path.touch()
    paths = find_files(str(tmp_path), [listed], ['.jpg'])
    assert paths == {disk: str(path)}  # its masks will be named alike
    for name in (NFC, NFD, f'{NFC}.jpg', f'{NFD}.jpg'):
        assert by_stem('f', {name: 'tag'})[composed(listed)] == 'tag'


def test_files_that_differ_in_the_form_of_their_accents(tmp_path):
    for name in ('\xe9.jpg', 'e\u0301.jpg'):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match='or in how accents are encoded'):
        find_files(str(tmp_path), ['\xe9'], ['.jpg'])
    with pytest.raises(ValueError, match='or in how accents are encoded'):
        by_stem('f', {'\xe9': 'cat', 'e\u0301': 'dog'})
