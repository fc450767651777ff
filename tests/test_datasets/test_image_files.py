# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.datasets import image_files
from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, DataError,
                                            MissingFileError, find_images,
                                            list_images, read_text)

NFC, NFD = 'caf\xe9/\xfc', 'cafe\u0301/u\u0308'  # the same to a reader


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return str(folder)


def test_read_text(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(f'\ufeff{NFD}'.encode())
    assert read_text(str(path), '') == NFC
    path.write_bytes('m\xe9\n'.encode('latin-1'))
    with pytest.raises(ValueError, match='a.txt: not a text file in UTF-8'):
        read_text(str(path), '')
    with pytest.raises(MissingFileError, match='a.txtx: write one'):
        read_text(f'{path}x', 'write one')


def test_all_images_of_a_folder(tmp_path):
    root = touch(tmp_path, 'b.JPG', 'a.c.jpeg', f'{NFD}.png', 'd.txt', '.jpg')
    assert find_images(root, IMAGE_SUFFIXES) == ({
        'a.c': f'{root}/a.c.jpeg',
        'b': f'{root}/b.JPG',
        NFC: f'{root}/{NFD}.png'
    }, [])
    assert list(find_images(root, ('.jpg', ))[0]) == ['b']
    assert find_images(f'{root}/none', ('.jpg', )) == ({}, [])


def test_images_of_a_list(tmp_path):
    root = touch(tmp_path, 'b.JPG', 'a.png.jpeg', 'sub/c_image.png', 'c.tif')
    names = ['b', 'a.png', 'c.tif', 'none']
    paths, missing = find_images(root, IMAGE_SUFFIXES, names)
    assert list(paths.items()) == [('b', f'{root}/b.JPG'),
                                   ('a.png', f'{root}/a.png.jpeg'),
                                   ('c', f'{root}/c.tif'),
                                   ('none', f'{root}/none.jpg')]
    assert missing == [f'{root}/none.jpg']
    assert find_images(root, ('_image.png', ), ['sub/c']) == ({
        'sub/c':
        f'{root}/sub/c_image.png'
    }, [])


def test_files_that_differ_only_in_suffix_or_accents(tmp_path):
    root = touch(tmp_path, 'a.jpg', 'a.png', 'b.jpg', '\xe9.jpg',
                 'e\u0301.jpg')
    with pytest.raises(DataError, match='how accents are encoded') as error:
        find_images(root, IMAGE_SUFFIXES, ['a', 'b', '\xe9', 'none'])
    assert "such as img_suffix='.jpg'" in error.value.problems[0]
    assert list(error.value.rest[0]) == ['b', 'none']
    assert error.value.rest[1] == [f'{root}/none.jpg']
    assert [
        text.split(': ')[1].split(' ')[0] for text in error.value.problems
    ] == ["'a.jpg'", "'e\u0301.jpg'"]


HIDDEN = ('.ipynb_checkpoints/a-checkpoint.jpg', '__MACOSX/sub/._a.jpg',
          'sub/@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg', '._b.jpg', '.DS_Store',
          'Thumbs.db', '$RECYCLE.BIN/c.jpg')


def test_hidden_and_system_files(tmp_path):
    """Ignore them below the folder; the folder itself may be hidden."""
    root = touch(tmp_path / '.cache/@eaDir', 'b.jpg', 'sub/a.jpg', *HIDDEN)
    assert list(find_images(root, IMAGE_SUFFIXES)[0]) == ['b', 'sub/a']
    assert list_images(root, ['.jpg']) == (['b.jpg', 'sub/a.jpg'], [])


def test_images_that_cannot_be_read(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(image_files, 'print_log',
                        lambda text, **_: said.append(text))
    root = touch(tmp_path, 'a.jpg', 'b.HEIC', 'sub/c.cr2', 'd_mask.png',
                 'd.txt')
    assert list(find_images(root, ['.jpg'])[0]) == ['a']
    assert len(said) == 1
    assert f"{root}: left out 2 images: 'b.HEIC', 'sub/c.cr2'." in said[0]
    find_images(root, ['.jpg'], ['a'])  # a list chooses
    assert len(said) == 1
    assert list_images(root,
                       ['.jpg'])[1] == ['b.HEIC', 'd_mask.png', 'sub/c.cr2']
