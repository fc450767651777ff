# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.datasets.image_list import (find_images, find_missing,
                                           first_few, read_image_list)


def test_first_few():
    assert first_few(['a', 'b']) == "'a', 'b'"
    assert first_few(list('abcd')) == "'a', 'b', 'c', ... (4 in all)"


def test_read_image_list(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text('b\n\n train/a c \n')
    assert read_image_list(str(path)) == ['b', 'train/a c']


@pytest.mark.parametrize('text, message', [
    ('', 'train.txt: names no image'),
    (' \n\n', 'train.txt: names no image'),
    ('a\nb\n\na\n', "train.txt:4: 'a' stands in line 1 already"),
])
def test_bad_image_list(tmp_path, text, message):
    path = tmp_path / 'train.txt'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_image_list(str(path))


def test_missing_image_list(tmp_path):
    with pytest.raises(FileNotFoundError, match='train.txt: no such image li'):
        read_image_list(str(tmp_path / 'train.txt'))


def test_find_images(tmp_path):
    (tmp_path / 'more').mkdir()
    for name in ('b.jpg', 'a.jpg', 'more/c.jpg', 'd.png'):
        (tmp_path / name).touch()
    assert find_images(str(tmp_path), '.jpg') == ['a', 'b', 'more/c']


@pytest.mark.parametrize('folder', ['none', '.'])
def test_no_images(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r'no file \*.jpg in it'):
        find_images(str(tmp_path / folder), '.jpg')


def test_find_missing(tmp_path):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/a.jpg').touch()
    (tmp_path / 'b.jpg').touch()
    paths = [
        str(tmp_path / name)
        for name in ('z.jpg', 'train/a.jpg', 'b.jpg', 'val/a.jpg', 'train')
    ]
    assert find_missing(paths) == [paths[0], paths[3], paths[4]]


@pytest.mark.parametrize('name', ['../up', 'a/../../up', '/etc/a', '..\\up'])
def test_names_stay_in_the_folder(tmp_path, name):
    path = tmp_path / 'train.txt'
    path.write_text(f'a\n{name}\n')
    with pytest.raises(ValueError, match='train.txt:2: .* leads out of'):
        read_image_list(str(path))


def test_dots_in_names(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text('..a\nb..c/d\n')
    assert read_image_list(str(path)) == ['..a', 'b..c/d']


def test_all_wrong_lines(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text('a\nb\na\n../c\n/d\ne\n')
    errors = []
    assert read_image_list(str(path), errors=errors) == ['a', 'b', 'e']
    assert [error.split(': ')[0] for error in errors
            ] == [f'{path}:{number}' for number in (3, 4, 5)]
    path.write_text('/d\n')
    errors = []
    assert read_image_list(str(path), errors=errors) == []
    assert len(errors) == 2 and 'names no image' in errors[1]
