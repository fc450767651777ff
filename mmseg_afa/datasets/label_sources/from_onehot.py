# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Tags in the published ``cls_labels_onehot.npy``, without unpickling it.

Such a file is a pickled dictionary: for each image an array with a 1 or 0 for
each class. Unpickling runs whatever code the file asks for, and an unpickler
that refuses to can still be made to hang or to fill the memory. So the
standard library's :mod:`pickletools` lists the instructions in the file, and
carries none of them out. The few that numpy writes for a dictionary of arrays
build a tree of plain values here, where a function is nothing but its name;
any other instruction or function is refused.
"""
import pickletools
import re
from dataclasses import dataclass, field
from typing import Any, Sequence, Tuple

import numpy as np

from ..label_file import Labels

HEADER = re.compile(rb"\x93NUMPY\x01\0..\{'descr': '\|O', 'fortran_order': "
                    rb"False, 'shape': \(\), \} *\n", re.S)  # yapf: disable

# What a call of the functions in numpy's pickles makes. Module and name have a
# space between them, as in the list of instructions.
FUNCTIONS = {
    'numpy ndarray': 'class',
    'numpy dtype': 'dtype',
    'numpy.core.multiarray _reconstruct': 'array',
    'numpy.core.multiarray scalar': 'scalar',
    'numpy._core.multiarray _reconstruct': 'array',
    'numpy._core.multiarray scalar': 'scalar',
    '_codecs encode': 'bytes',
}
TYPES_OF_LABELS = re.compile('[<>|=]([iu][1248]|f[248]|b1)')
TYPES_OF_NAMES = re.compile('[<>|=]([iu][1248]|[SU][0-9]{1,4})')

# Instructions that put a value on the stack, and those that remember it.
VALUES = ('BININT', 'BININT1', 'BININT2', 'LONG1', 'BINUNICODE',
          'SHORT_BINUNICODE', 'BINBYTES', 'SHORT_BINBYTES')
BYTES_OF_PYTHON2 = ('BINSTRING', 'SHORT_BINSTRING')
CONSTANTS = dict(NONE=None, NEWTRUE=True, NEWFALSE=False)
REMEMBER = ('BINPUT', 'LONG_BINPUT', 'MEMOIZE')
RECALL = ('BINGET', 'LONG_BINGET')
TUPLES = dict(EMPTY_TUPLE=0, TUPLE1=1, TUPLE2=2, TUPLE3=3)
NOTHING = ('PROTO', 'FRAME')


class Pairs(list):
    """The keys and values of a dictionary in turn, so that none is hashed."""


class Function(str):
    """A function that may be called: what it makes."""


@dataclass(eq=False)
class Call:
    """What a call would make."""
    makes: Function
    args: tuple
    states: list = field(default_factory=list)  # what it would be told then


def read_onehot(path: str,
                classes: Sequence[str]) -> Tuple[Tuple[str, ...], Labels]:
    """Read the tags in a ``cls_labels_onehot.npy``; no code in it runs.

    Args:
        path (str): A dictionary ``{name: array of shape (C, )}`` of zeros and
            ones, saved by :func:`numpy.save`.
        classes (Sequence[str]): The C foreground classes.

    Returns:
        tuple: The classes, and the tags of each image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything else, such as the name of another
            function, or arrays of another length.
    """
    with open(path, 'rb') as file:
        content = file.read()
    try:
        pairs = _read_dictionary(content)
        names = [_read_name(key) for key in pairs[::2]]
        arrays = [_read_array(value) for value in pairs[1::2]]
    # The last three come from values that are not of the kind they should be.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        found = str(error) if isinstance(error, ValueError) else 'is damaged'
        raise ValueError(
            f'{path}: {found}. Expected a dictionary with an array of 0 and 1 '
            'for each image, as numpy.save writes it. Nothing in the file '
            'was run.') from error
    labels = {}
    for name, array in zip(names, arrays):
        if array.shape != (len(classes), ):
            raise ValueError(
                f'{path}: found {len(array)} numbers for {name!r}, expected '
                f'one for each of {len(classes)} classes. Say the classes '
                'with --classes.')
        if not ((array == 0) | (array == 1)).all():
            raise ValueError(f'{path}: found {np.unique(array).tolist()} for '
                             f'{name!r}, expected 0 and 1.')
        if name in labels:
            raise ValueError(f'{path}: has {name!r} twice.')
        labels[name] = tuple(classes[i] for i in np.flatnonzero(array))
    return tuple(classes), labels


def _read_tree(pickle: bytes) -> Any:
    """Build the value of a pickle, with calls left as they are."""
    stack, marks, memory = [], [], {}

    def pop(count: int) -> list:
        items = stack[len(stack) - count:]
        del stack[len(stack) - count:]
        return items

    for opcode, value, _ in pickletools.genops(pickle):
        code = opcode.name
        if code in VALUES:
            stack.append(value)
        elif code in BYTES_OF_PYTHON2:
            stack.append(value.encode('latin-1'))
        elif code in CONSTANTS:
            stack.append(CONSTANTS[code])
        elif code in REMEMBER:
            memory[len(memory) if value is None else value] = stack[-1]
        elif code in RECALL:
            stack.append(memory[value])
        elif code == 'MARK':
            marks.append(len(stack))
        elif code in TUPLES:
            stack.append(tuple(pop(TUPLES[code])))
        elif code == 'TUPLE':
            stack.append(tuple(pop(len(stack) - marks.pop())))
        elif code == 'EMPTY_LIST':
            stack.append([])
        elif code == 'EMPTY_DICT':
            stack.append(Pairs())
        elif code in ('APPENDS', 'SETITEMS'):
            items = pop(len(stack) - marks.pop())
            stack[-1].extend(items)
        elif code in ('APPEND', 'SETITEM'):
            items = pop(1 if code == 'APPEND' else 2)
            stack[-1].extend(items)
        elif code == 'GLOBAL':
            stack.append(_function(value))
        elif code == 'STACK_GLOBAL':
            stack.append(_function(' '.join(pop(2))))
        elif code == 'REDUCE':
            function, args = pop(2)
            if not isinstance(function, Function):
                raise TypeError('a call of something that is no function')
            stack.append(Call(function, args))
        elif code == 'BUILD':
            state, = pop(1)
            stack[-1].states.append(state)
        elif code == 'STOP':
            return stack.pop()
        elif code not in NOTHING:
            names = f' of {value[:80]!r}' if isinstance(value, str) else ''
            raise ValueError(f'has the instruction {code}{names}')


def _function(name: str) -> Function:
    if name not in FUNCTIONS:
        dotted = name.replace(' ', '.')
        raise ValueError(f'asks for {dotted[:80]!r}, which has no place in '
                         'labels')
    return Function(FUNCTIONS[name])


def _read_dictionary(content: bytes) -> Pairs:
    header = HEADER.match(content)
    if not header:
        raise ValueError('is no .npy file of a dictionary')
    _, shape, _, _, items = _state(_read_tree(content[header.end():]), 'array')
    if shape != () or not isinstance(items[0], Pairs) or len(items[0]) % 2:
        raise ValueError('is no .npy file of a dictionary')
    return items[0]


def _state(call: Call, makes: str) -> tuple:
    """What an object of the kind given is told when it has been made."""
    if call.makes != makes:
        raise ValueError(f'has another call where {makes!r} belongs')
    state, = call.states
    return state


def _read_array(call: Call) -> np.ndarray:
    _, shape, dtype, _, data = _state(call, 'array')
    array = np.frombuffer(_read_bytes(data), _dtype(dtype, TYPES_OF_LABELS))
    if shape != array.shape:
        raise ValueError('has an array of several dimensions, or a damaged '
                         'one')
    return array


def _read_name(key: Any) -> str:
    if isinstance(key, Call) and key.makes == 'scalar':
        dtype, data = key.args
        dtype, data = _dtype(dtype, TYPES_OF_NAMES), _read_bytes(data)
        if dtype.kind == 'U':
            order = 'be' if dtype.byteorder == '>' else 'le'
            key = data.decode(f'utf-32-{order}').rstrip('\0')
        elif dtype.kind == 'S':
            key = data.rstrip(b'\0')
        else:
            key, = np.frombuffer(data, dtype).tolist()
    if not isinstance(key, (str, bytes, int)):
        raise ValueError('has a key that is no name')
    return key.decode() if isinstance(key, bytes) else str(key)


def _dtype(call: Call, allowed: re.Pattern) -> np.dtype:
    order = _state(call, 'dtype')[1]
    parts = [
        part.decode() if isinstance(part, bytes) else part
        for part in (order, call.args[0])
    ]
    if not allowed.fullmatch(''.join(parts)):
        raise ValueError(f'has the data type {"".join(parts)!r:.80}')
    return np.dtype(''.join(parts))


def _read_bytes(data: Any) -> bytes:
    if isinstance(data, Call) and data.makes == 'bytes':
        return data.args[0].encode('latin-1')  # bytes as Python 3 writes them
    return data  # for Python 2
