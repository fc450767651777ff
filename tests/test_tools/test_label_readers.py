# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import json
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / 'tools/dataset_converters'
CLASSES = ('cat', 'cow', 'dog')


@pytest.fixture
def readers(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import label_readers
    return label_readers


def coco(
        categories=((18, 'dog '), (1, 'person')),
        images=((9, 'train/b.jpg'), ('x', 'c.PNG')),
        annotations=((9, 18), (9, 1), (9, 1)),
        **more):
    """The content of an annotation file."""
    return dict(
        annotations=[
            dict(image_id=image, category_id=category, **more)
            for image, category in annotations
        ],
        categories=[dict(id=i, name=name) for i, name in categories],
        images=[dict(id=i, file_name=name) for i, name in images])


def write_json(tmp_path, content):
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    return str(path)


def test_coco(tmp_path, readers):
    path = write_json(tmp_path, coco(iscrowd=0))
    assert readers.read_coco(path) == readers.read_coco(
        path, 'drop') == (['person', 'dog'], {
            'train/b.jpg': ['dog', 'person', 'person'],
            'c.PNG': [],
        })
    path = write_json(tmp_path, coco(iscrowd=1))
    assert readers.read_coco(path)[1]['train/b.jpg']
    assert not readers.read_coco(path, crowd='drop')[1]['train/b.jpg']


@pytest.mark.parametrize('content, message', [
    ([], ': not in the format of COCO: list indices'),
    ({}, ": not in the format of COCO: no 'images'. Give a file with"),
    (coco(annotations=[(3, 1)]),
     ': annotations[0] is of image 3 and category 1. The file does not'),
    (coco(images=[(1, None)]), ': not in the format of COCO: '),
    (coco(images=[(1, 'a'), (1, 'b')]),
     ': several images have the same id. Give'),
])
def test_coco_errors_say_what_was_found(tmp_path, readers, content, message):
    path = write_json(tmp_path, content)
    with pytest.raises(ValueError, match=re.escape(f'{path}{message}')):
        readers.read_coco(path)


HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"


def npy(content):
    """A .npy file around a pickle."""
    header = HEADER.ljust(117) + b'\n'
    return b'\x93NUMPY\x01\0' + struct.pack('<H', len(header)) + header + (
        content)


def write(tmp_path, content):
    path = tmp_path / 'cls_labels_onehot.npy'
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
@pytest.mark.parametrize('dtype', ['f4', '>f8', 'u1', '>i8', '?'])
@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_onehot_of_any_numpy(tmp_path, readers, core, dtype, protocol):
    labels = {
        'a': np.array([0, 1, 0], dtype),
        np.str_('é'): np.array([1, 1, 1], dtype),
        np.bytes_(b'c'): np.array([1, 0, 0], dtype),
        np.int64(2007): np.zeros(3, dtype),
        2008: np.ones(3, dtype),
    }
    content = pickle.dumps(np.array(labels, object), protocol)
    if protocol < 4:  # where no length stands before the name
        content = re.sub(br'numpy\._?core', core, content)
    assert read_onehot(npy(content))[1] == {
        'a': ['cow'],
        'é': [*CLASSES],
        'c': ['cat'],
        '2007': [],
        '2008': [*CLASSES],
    }


# {'a\xc3\xa9': array([1, 0, 1], 'u1')} with the byte strings of Python 2.
PYTHON2 = (b'\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\n'
           b'ndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01)cnumpy\ndtype\n'
           b'q\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff'
           b'\xffJ\xff\xff\xff\xffK?tb\x89]q\x06}q\x07U\x03a\xc3\xa9h\x01h'
           b'\x02K\x00\x85U\x01b\x87Rq\x08(K\x01K\x03\x85h\x04U\x02u1K\x00K'
           b'\x01\x87Rq\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff'
           b'K\x00tb\x89U\x03\x01\x00\x01tbsatb.')


def test_onehot_of_python2(tmp_path, readers):
    path = write(tmp_path, npy(PYTHON2))
    assert OOO[1] == {'aé': ['cat', 'dog']}


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WHOLE = saved({'a': np.ones(3)})


@pytest.mark.parametrize('content, message', [
    (saved({'a': np.ones(20)}),
     "found shape (20,) for 'a', expected a number for each of 3 classes. S"),
    (saved({'a': np.array([0, 2, 1])}), "found 2 for 'a', expected 0 and 1"),
    (saved({'a': np.array([0, np.nan, 1])}), "found nan for 'a', expected 0"),
    (saved({'a': np.array(['x', 'y', 'z'])}), 'not a dictionary with an array'),
    (saved(np.ones((2, 3))), 'not a dictionary with an array of 0 and 1'),
    (b'a,b', 'not a dictionary'),
    *((WHOLE[:end], 'not a dictionary') for end in range(9, len(WHOLE), 40)),
])
def test_other_files_than_onehot(tmp_path, readers, content, message):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=re.escape(f'{path}: {message}')):
        OOO


def call(function, *args):
    """An object that calls a function when it is unpickled."""

    class Call:

        def __reduce__(self):
            return function, args

    return Call()


def unicode(text):
    """The instruction that gives a string."""
    return b'X' + struct.pack('<I', len(text)) + text.encode()


def attacks(marker):
    """Pickles that write a file when they are loaded, and what they name."""
    python = f'open({marker!r}, "w")'
    shell = unicode(f'touch {marker}')
    text = unicode(python)
    in_array = np.array({'a': call(eval, python)}, object)
    for protocol in range(6):
        yield pickle.dumps(call(eval, python), protocol), 'eval'
        yield pickle.dumps(in_array, protocol), ''
    yield b'cos\nsystem\n' + shell + b'\x85R.', 'os.system'
    yield b'\x80\x04cposix\nsystem\n' + shell + b'\x85R.', 'posix.system'
    yield b'(' + shell + b'ios\nsystem\n.', 'os.system'
    yield b'(cbuiltins\neval\n' + text + b'o.', 'builtins.eval'
    # a name put together on the stack
    yield (unicode('builtins') + unicode('eval') + b'\x93' + text + b'\x85R.',
           'builtins.eval')


# Names that look like those of numpy.
LOOKALIKES = ('numpy.core.multiarray\n_reconstruct.__globals__',
              'numpy\nndarray.tofile', 'numpy._core\nmultiarray.scalar',
              'numpy.testing._private.utils\nrunstring', 'numpy\nload',
              '_codecs\nlookup')


def test_nothing_in_a_onehot_file_is_run(tmp_path, readers):
    marker = tmp_path / 'marker'
    for content, message in attacks(str(marker)):
        try:
            pickle.loads(content)
        except (pickle.UnpicklingError, TypeError, AttributeError):
            pass
        assert marker.exists()  # the attack is real
        marker.unlink()
        path = write(tmp_path, npy(content))
        with pytest.raises(ValueError) as error:
            OOO
        assert message in str(error.value)
        assert str(error.value).startswith(path)
        assert 'Nothing in the file was run' in str(error.value)
        assert not marker.exists()


@pytest.mark.parametrize('name', LOOKALIKES)
def test_other_functions_are_refused(tmp_path, readers, name):
    content = b'\x80\x04c' + name.encode() + b'\n.'
    asked = name.replace('\n', '.')
    with pytest.raises(ValueError, match=f"it asks for '{re.escape(asked)}'"):
        read_onehot(npy(content))


@pytest.mark.parametrize('content', [b'\x82\x01)R.', b'K\x01Q.', b'P1\n.'])
def test_extensions_and_persistent_ids_are_refused(tmp_path, readers, content):
    with pytest.raises(ValueError, match='Nothing in the file was run'):
        readers.read_onehot(
            write(tmp_path, npy(b'\x80\x02' + content)), CLASSES)
