# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Tags of annotations in VOC's XML: the classes of their objects."""
from functools import partial
from typing import Sequence, Tuple
from xml.parsers import expat

from ..label_file import Labels
from .each_file import read_each

OBJECT = ['annotation', 'object']
FIELDS = ('name', 'difficult')


def read_xml(folder: str,
             names: Sequence[str],
             difficult: str = 'keep',
             workers: int = 1) -> Tuple[None, Labels]:
    """Read the tags of each image from its annotation.

    Args:
        folder (str): Where the annotations are, named as the images, '.xml'.
        names (Sequence[str]): The images.
        difficult (str): 'drop' leaves out objects that are marked difficult;
            'keep' does not.
        workers (int): Number of processes.

    Returns:
        tuple: None, and the tags of each image.

    Raises:
        FileNotFoundError: If an annotation is missing.
        ValueError: If one of them is broken.
    """
    read = partial(tags_of_xml, difficult=difficult)
    return None, read_each(read, folder, names, '.xml', workers)


def tags_of_xml(path: str, difficult: str = 'keep') -> Tuple[str, ...]:
    """The classes of the objects in an annotation, in the order of the file.

    Args:
        path (str): An XML file with <annotation><object><name> elements.
        difficult (str): See :func:`read_xml`.

    Raises:
        ValueError: If it is no such file, or has a document type
            declaration, which could define entities that fill the memory or
            read other files.
    """
    objects, stack = [], []

    def start(tag, _):
        stack.append(tag)
        if stack == OBJECT:
            objects.append(dict.fromkeys(FIELDS, ''))

    def text(data):
        if stack[:-1] == OBJECT and stack[-1] in FIELDS:
            objects[-1][stack[-1]] += data

    def refuse(*_):
        raise ValueError(f'{path}: has a document type declaration, which no '
                         'annotation of VOC has: remove it.')

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    with open(path, 'rb') as file:
        try:
            parser.ParseFile(file)
        except expat.ExpatError as error:
            raise ValueError(f'{path}: no XML file, or a damaged one '
                             f'({error}). Copy it again.') from error
    if difficult == 'drop':
        objects = [
            item for item in objects if item['difficult'].strip() != '1'
        ]
    return tuple(dict.fromkeys(item['name'].strip() for item in objects))
