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
    from label_readers import SOURCES

    def read(source, content, **options):
        path = tmp_path / 'source'
        path.write_bytes(content)
        options = Namespace(**{'classes': CLASSES, 'crowd': None, **options})
        return SOURCES[source].read(str(path), options)

    return read


def test_the_command_knows_the_sources(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import image_labels
    import label_readers
    assert image_labels.SOURCES == tuple(label_readers.SOURCES)


def coco(
        categories=((18, 'dog '), (1, 'person')),
        images=((9, 'train/b.jpg'), ('x', 'c.PNG')),
        annotations=((9, 18), (9, 1), (9, 1)),
        **more):
    """Make the content of an annotation file."""
    return dict(
        annotations=[
            dict(image_id=image, category_id=category, **more)
            for image, category in annotations
        ],
        categories=[dict(id=i, name=name) for i, name in categories],
        images=[dict(id=i, file_name=name) for i, name in images])


def encode(content):
    return json.dumps(content).encode()


def test_coco(read):
    labels = {'train/b.jpg': ['dog', 'person', 'person'], 'c.PNG': []}
    for crowd in (None, 'keep', 'drop'):
        found = read('coco', encode(coco(iscrowd=0)), crowd=crowd)
        assert found == (['person', 'dog'], labels)
    crowds = encode(coco(iscrowd=1))
    assert read('coco', crowds)[1] == labels
    assert not read('coco', crowds, crowd='drop')[1]['train/b.jpg']


@pytest.mark.parametrize('content, message', [
    ([], ': not in the format of COCO: list indices'),
    ({}, ": not in the format of COCO: no 'images'. Give a file with"),
    (coco(annotations=[(3, 1)]),
     ': annotations[0] is of image 3 and category 1. The file does not'),
    (coco(images=[(1, None)]), ': not in the format of COCO: '),
    (coco(images=[(1, 'a'), (1, 'b')]),
     ': several images have the same id. Give'),
])
def test_coco_errors_say_what_was_found(read, content, message):
    with pytest.raises(UserError, match=re.escape(f'source{message}')):
        read('coco', encode(content))


HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"


def npy(content):
    """Make a .npy file around a pickle."""
    header = HEADER.ljust(117) + b'\n'
    return b'\x93NUMPY\x01\0' + struct.pack('<H', len(header)) + header + (
        content)


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
@pytest.mark.parametrize('dtype', ['f4', '>f8', 'u1', '>i8', '?'])
@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_onehot_of_any_numpy(read, core, dtype, protocol):
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
    assert read('onehot', npy(content))[1] == {
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


def test_onehot_of_python2(read):
    assert read('onehot', npy(PYTHON2))[1] == {'aé': ['cat', 'dog']}


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WHOLE = saved({'a': np.ones(3)})


@pytest.mark.parametrize('content, message', [
    (saved({'a': np.ones(20)}),
     "found shape (20,) for 'a', expected a number for each of 3 classes. L"),
    (saved({'a': np.array([0, 2, 1])}), "found 2 for 'a', expected 0 and 1"),
    (saved({'a': np.array([0, np.nan, 1])}), "found nan for 'a', expected 0"),
    (saved({'a': np.array(['x', 'y', 'z'])
            }), 'not a dictionary with an array'),
    (saved(np.ones((2, 3))), 'not a dictionary with an array of 0 and 1'),
    (b'a,b', 'not a dictionary'),
    *((WHOLE[:end], 'not a dictionary') for end in range(9, len(WHOLE), 40)),
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
    yield b'cos\nsystem\n' + shell + b'\x85R.', 'os.system'
    yield b'\x80\x04cposix\nsystem\n' + shell + b'\x85R.', 'posix.system'
    yield b'(' + shell + b'ios\nsystem\n.', 'os.system'
    yield b'(cbuiltins\neval\n' + text + b'o.', 'builtins.eval'
    # a name put together on the stack
    yield (unicode('builtins') + unicode('eval') + b'\x93' + text + b'\x85R.',
           'builtins.eval')


# Names that look like those of numpy.
LOOKALIKES = (b'numpy.core.multiarray\n_reconstruct.__globals__',
              b'numpy\nndarray.tofile', b'numpy._core\nmultiarray.scalar',
              b'numpy.testing._private.utils\nrunstring', b'numpy\nload',
              b'_codecs\nlookup')


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
    'content, message',
    [
        *((b'c' + name + b'\n.', re.escape(name.decode().replace('\n', '.')))
          for name in LOOKALIKES),
        # extensions and persistent ids
        *((content, 'Nothing in the file was run')
          for content in (b'\x82\x01)R.', b'K\x01Q.', b'P1\n.')),
    ])
def test_other_instructions_are_refused(read, content, message):
    with pytest.raises(UserError, match=message):
        read('onehot', npy(b'\x80\x04' + content))
