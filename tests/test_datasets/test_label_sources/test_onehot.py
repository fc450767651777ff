# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import pickle
import re
import struct

import numpy as np
import pytest

from mmseg_afa.datasets.label_sources import read_onehot

CLASSES = ('cat', 'cow', 'dog')
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


def test_published_form(tmp_path):
    path = str(tmp_path / 'cls_labels_onehot.npy')
    np.save(path, {
        '2007_000032': np.array([1, 0, 1], 'f4'),
        'été/ä b': np.zeros(3, 'f4'),
    })
    assert read_onehot(path, CLASSES) == (CLASSES, {
        '2007_000032': ('cat', 'dog'),
        'été/ä b': (),
    })


@pytest.mark.parametrize('dtype', ['f4', '>f8', 'f2', 'u1', '>i8', '?'])
@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_types_and_protocols(tmp_path, dtype, protocol):
    labels = {
        'a': np.array([0, 1, 0], dtype),
        np.str_('é'): np.array([1, 1, 1], dtype),
        np.array(['b'], '>U3')[0]: np.array([0, 0, 1], dtype),
        np.bytes_(b'c'): np.array([1, 0, 0], dtype),
        np.int64(2007): np.zeros(3, dtype),
        2008: np.ones(3, dtype),
    }
    content = pickle.dumps(np.array(labels, object), protocol)
    assert read_onehot(write(tmp_path, npy(content)), CLASSES)[1] == {
        'a': ('cow', ),
        'é': CLASSES,
        'b': ('dog', ),
        'c': ('cat', ),
        '2007': (),
        '2008': CLASSES,
    }


def test_thousands_of_images(tmp_path):
    """Pickles write long dictionaries in several pieces."""
    labels = {f'i{n}': np.eye(3, dtype='u1')[n % 3] for n in range(3000)}
    path = str(tmp_path / 'cls_labels_onehot.npy')
    np.save(path, labels)
    assert read_onehot(path, CLASSES)[1] == {
        f'i{n}': (CLASSES[n % 3], )
        for n in range(3000)
    }


# {'a\xc3\xa9': array([1, 0, 1], 'u1')} with the byte strings of Python 2.
PYTHON2 = (b'\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\n'
           b'ndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01)cnumpy\ndtype\n'
           b'q\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff'
           b'\xffJ\xff\xff\xff\xffK?tb\x89]q\x06}q\x07U\x03a\xc3\xa9h\x01h'
           b'\x02K\x00\x85U\x01b\x87Rq\x08(K\x01K\x03\x85h\x04U\x02u1K\x00K'
           b'\x01\x87Rq\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff'
           b'K\x00tb\x89U\x03\x01\x00\x01tbsatb.')


def test_python2(tmp_path):
    loaded = pickle.loads(PYTHON2, encoding='latin1').item()
    np.testing.assert_array_equal(loaded['aÃ©'], [1, 0, 1])
    _, labels = read_onehot(write(tmp_path, npy(PYTHON2)), CLASSES)
    assert labels == {'aé': ('cat', 'dog')}


@pytest.mark.parametrize('labels, message', [
    ({
        'a': np.ones(20)
    }, "found 20 numbers for 'a', expected one for each of 3 classes. Say"),
    ({
        'a': np.array([0, 2, 1])
    }, "found [0, 1, 2] for 'a', expected 0 and 1"),
    ({
        'a': np.array([0, np.nan, 1])
    }, "found [0.0, 1.0, nan] for 'a', expected 0 and 1"),
    ({
        'a': np.zeros((1, 3))
    }, 'has an array of several dimensions'),
    ({
        'a': np.array(['x', 'y', 'z'])
    }, "has the data type '<U1'"),
    ({
        'a': np.array([{}, 1, 2], object)
    }, "has the data type '|O8'"),
    ({
        'a': [1, 0, 1]
    }, 'is damaged'),
    ({
        None: np.ones(3)
    }, 'has a key that is no name'),
    ({
        '1': np.ones(3),
        1: np.ones(3)
    }, "has '1' twice"),
    ([1, 2], 'is no .npy file of a dictionary'),
])
def test_other_content(tmp_path, labels, message):
    content = pickle.dumps(np.array(labels, object), 4)
    path = write(tmp_path, npy(content))
    with pytest.raises(ValueError, match=re.escape(f'{path}: {message}')):
        read_onehot(path, CLASSES)


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize('content', [
    b'',
    b'a,b',
    pickle.dumps({'a': np.ones(3)}),
    saved(np.ones((2, 3))),
    saved(np.array([{}, {}], object)),
    b'\x93NUMPY\x01\0\xff\xff' + b'(' * 65535,
])
def test_other_files(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match='npy: is no .npy file of a dictiona'):
        read_onehot(path, CLASSES)


WHOLE = pickle.dumps(np.array({'a': np.ones(3)}, object), 4)


@pytest.mark.parametrize('end', range(0, len(WHOLE), 7))
def test_cut_files(tmp_path, end):
    path = write(tmp_path, npy(WHOLE[:end]))
    with pytest.raises(ValueError, match='npy: .* Nothing in the file was r'):
        read_onehot(path, CLASSES)


def test_changed_bytes(tmp_path):
    """Whatever stands in the file: labels, or a ValueError."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        content = bytearray(WHOLE)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        try:
            _, labels = read_onehot(
                write(tmp_path, npy(bytes(content))), CLASSES)
        except ValueError:
            continue
        assert all(set(tags) <= set(CLASSES) for tags in labels.values())


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
    reduce = call(eval, python)
    in_array = np.array({'a': call(eval, python)}, object)
    for protocol in (0, 1, 2, 3, 4, 5):
        yield pickle.dumps(reduce, protocol), 'eval'
        yield (pickle.dumps(in_array, protocol),
               'eval' if protocol > 1 else 'has the instruction')
    yield b'cos\nsystem\n' + shell + b'\x85R.', 'os.system'
    yield b'\x80\x04cposix\nsystem\n' + shell + b'\x85R.', 'posix.system'
    yield b'(' + shell + b'ios\nsystem\n.', "INST of 'os system'"
    yield b'(cbuiltins\neval\n' + text + b'o.', 'builtins.eval'
    # a name put together on the stack
    yield (unicode('builtins') + unicode('eval') + b'\x93' + text + b'\x85R.',
           'builtins.eval')
    yield b'cbuiltins\neval\n' + text + b'\x85\x81.', 'builtins.eval'
    # names that look like those of numpy
    for name in ('numpy.core.multiarray\n_reconstruct.__globals__',
                 'numpy\nndarray.tofile', 'numpy._core\nmultiarray.scalar',
                 'numpy.testing._private.utils\nrunstring',
                 'numpy.core\n_reconstruct', 'numpy\nload', '_codecs\nlookup'):
        yield (b'c' + name.encode() + b'\n' + text + b'\x85R.',
               repr(name.replace('\n', '.')))
    # a call of what is no function, and extension codes
    yield unicode('array') + b')R.', 'is damaged'
    yield b'\x80\x02\x82\x01)R.', 'EXT1'
    yield b'\x80\x02K\x01Q.', 'BINPERSID'
    yield b'P1\n.', 'PERSID'


def test_nothing_in_the_file_is_run(tmp_path):
    marker = tmp_path / 'marker'
    for number, (content, message) in enumerate(attacks(str(marker))):
        path = write(tmp_path, npy(content))
        with pytest.raises(ValueError) as error:
            read_onehot(path, CLASSES)
        assert message in str(error.value), number
        assert str(error.value).startswith(path)
        assert 'Nothing in the file was run' in str(error.value)
        assert not marker.exists()


def test_the_attacks_are_real(tmp_path):
    for content, _ in list(attacks(str(tmp_path / 'marker')))[:17]:
        try:
            pickle.loads(content)
        except (pickle.UnpicklingError, TypeError, AttributeError):
            pass
        assert (tmp_path / 'marker').exists()
        (tmp_path / 'marker').unlink()


def tuples(depth):
    """A tuple with 2 ** depth leaves, in 4 bytes for each level."""
    return b')' + b'q\x00h\x00\x86' * depth


@pytest.mark.parametrize(
    'content', [
        b'\x80\x02}' + tuples(500) + b'K\x01s.',
        b'\x80\x02}' + tuples(500) + b')Rs.',
        b'\x80\x02' + tuples(500) + b'q\x01h\x01\x93.',
        b'\x80\x02]q\x00h\x00ah\x00.',
        b'\x80\x02Nr\xff\xff\xff\x7f.',
        b'\x80\x02NrNNNNr\xff\xff\xff\xff.',
        b'\x80\x04\x96' + struct.pack('<Q', 1 << 40) + b'.',
        b'\x80\x04\x8e' + struct.pack('<Q', 1 << 40) + b'.',
        b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.',
    ],
    ids=range(9))
def test_bombs(tmp_path, content):
    """Each of these makes an unpickler hang, fill the memory or fail."""
    path = write(tmp_path, npy(content))
    with pytest.raises(ValueError, match='Nothing in the file was run'):
        read_onehot(path, CLASSES)
