# Copyright (c) mmseg_afa contributors. All rights reserved.
import contextlib
import io
import json
import pickle
import re
import struct
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from mmseg_afa.utils import UserError

FOLDER = Path(__file__).parents[2] / 'tools/dataset_converters'
CLASSES = ('cat', 'cow', 'dog')


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a file of a content with the reader of a source."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from label_readers import read_tags

    def read(source, content):
        path = tmp_path / 'source'
        path.write_bytes(content)
        return read_tags(source, str(path), Namespace(classes=CLASSES))

    return read


def test_the_command_knows_the_sources(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import image_labels
    import label_readers
    assert image_labels.SOURCES == tuple(label_readers.SOURCES)


COCO = dict(
    images=[
        dict(id=9, file_name='train/b.jpg'),
        dict(id='x', file_name='c.PNG')
    ],
    categories=[dict(id=18, name='dog '),
                dict(id=1, name='person')],
    annotations=[
        dict(image_id=9, category_id=18, iscrowd=0),
        dict(image_id=9, category_id=1, iscrowd=1)
    ])


def test_coco(read):
    labels = {'train/b.jpg': ['dog', 'person'], 'c.PNG': []}
    content = json.dumps(COCO).encode()
    assert read('coco', content) == (['person', 'dog'], labels)


@pytest.mark.parametrize('content, message', [
    ([], ': list indices must be'),
    ({}, ": no 'images'. Read is COCO's JSON"),
    (dict(COCO, images=[]), ': no 9'),
])
def test_coco_errors_say_what_was_found(read, content, message):
    with pytest.raises(UserError, match=f'source{message}'):
        read('coco', json.dumps(content).encode())


def npy(content):
    """Make a .npy file around a pickle."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header = header.ljust(117) + b'\n'
    return b'\x93NUMPY\x01\0' + struct.pack('<H', len(header)) + header + (
        content)


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_onehot_of_any_numpy(read, core, protocol):
    labels = {
        'a': np.array([0, 1, 0], 'f4'),
        np.str_('é'): np.array([1, 1, 1], '>i8'),
        np.int64(2007): np.zeros(3, '?'),
        2008: np.ones(3, 'u1'),
    }
    content = pickle.dumps(np.array(labels, object), protocol)
    if protocol < 4:  # where no length stands before the name
        content = re.sub(br'numpy\._?core', core, content)
    assert read('onehot', npy(content))[1] == {
        'a': ['cow'],
        'é': [*CLASSES],
        '2007': [],
        '2008': [*CLASSES],
    }


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WHOLE = saved({'a': np.ones(3)})


@pytest.mark.parametrize('content, message', [
    (saved({'a': np.ones(4)}),
     "found [1.0, 1.0, 1.0, 1.0] for 'a', expected 0 or 1 for each of 3 "
     'classes (--classes)'),
    (saved({'a': np.array([0, 2, 1])}), "found [0.0, 2.0, 1.0] for 'a'"),
    (saved({'a': np.array(['x', 'y', 'z'])}), 'could not convert string'),
    (saved(np.ones((2, 3))), 'invalid load key'),
    (b'a,b', 'EOF: reading magic string'),
    (WHOLE[:-10], 'pickle data was truncated. Read is a dictionary with an '
     'array of 0 and 1 for each image, as numpy.save writes it.'),
])
def test_other_files_than_onehot(read, content, message):
    with pytest.raises(UserError, match=re.escape(f'source: {message}')):
        read('onehot', content)


def call(function, *args):
    """Make an object that calls a function when it is unpickled."""

    class Call:

        def __reduce__(self):
            return function, args

    return Call()


def unicode(text):
    """Make the instruction that pushes a string."""
    return b'X' + struct.pack('<I', len(text)) + text.encode()


def attacks(marker):
    """Yield pickles that write a file when loaded, and what they name."""
    python = f'open({marker!r}, "w")'
    shell = unicode(f'touch {marker}')
    text = unicode(python)
    in_array = np.array({'a': call(eval, python)}, object)
    for protocol in range(6):
        yield pickle.dumps(call(eval, python), protocol), 'eval'
        yield pickle.dumps(in_array, protocol), ''
    yield b'\x80\x04cposix\nsystem\n' + shell + b'\x85R.', 'posix.system'
    yield b'(' + shell + b'ios\nsystem\n.', 'os.system'
    yield b'(cbuiltins\neval\n' + text + b'o.', 'builtins.eval'
    # a name put together on the stack
    yield (unicode('builtins') + unicode('eval') + b'\x93' + text + b'\x85R.',
           'builtins.eval')


def test_nothing_in_a_onehot_file_is_run(tmp_path, read):
    marker = tmp_path / 'marker'
    for content, message in attacks(str(marker)):
        with contextlib.suppress(pickle.UnpicklingError, TypeError,
                                 AttributeError):
            pickle.loads(content)
        assert marker.exists()  # the attack is real
        marker.unlink()
        with pytest.raises(UserError, match='source: .*Nothing in the') as e:
            read('onehot', npy(content))
        assert message in str(e.value)
        assert not marker.exists()


@pytest.mark.parametrize(
    'name',
    [  # they look like those of numpy
        b'numpy.core.multiarray\n_reconstruct.__globals__',
        b'numpy\nndarray.tofile', b'numpy._core\nmultiarray.scalar',
        b'numpy\nload', b'_codecs\nlookup'
    ])
def test_other_names_are_refused(read, name):
    message = re.escape(name.decode().replace('\n', '.'))
    with pytest.raises(UserError, match=message):
        read('onehot', npy(b'\x80\x04c' + name + b'\n.'))
