# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Choose, merge and drop tags, for image_labels.py."""
import difflib
import re
import sys

from label_tables import EMPTY

from mmseg_afa.datasets.image_files import format_names, normalize_nfc
from mmseg_afa.utils import UserError

NUMBER = r'-?\d+(\.\d+)?'


def note(text):
    """Print a warning."""
    print(text, file=sys.stderr)


def all_tags(labels):
    """List the tags of all images; numbers first, by value."""

    def order(tag):
        number = re.fullmatch(NUMBER, tag)
        return (0, float(tag), tag) if number else (1, 0, tag)

    tags = set().union(*(found or () for found in labels.values()))
    return sorted(tags, key=order)


def name_numbers(where, labels, classes):
    """Replace the numbers of classes by names; they are never names alone.

    Without 0, and without the classes, numbers may be names: a note says it.
    """
    tags = all_tags(labels)
    values = {tag: float(tag) for tag in tags if re.fullmatch(NUMBER, tag)}
    if not values.keys() - set(classes or ()):
        return labels
    first = 0 if 0 in values.values() else 1
    if classes and len(values) == len(tags):
        names = dict(enumerate(classes, first))
        unknown = [tag for tag, value in values.items() if value not in names]
        if unknown:
            raise UserError(
                f'{where}: found the numbers {format_names(unknown)}, '
                f'expected {first} to {max(names)} for the {len(classes)} '
                'classes. Correct --classes.')
        note(f'{where}: the tags are numbers. {first} is {classes[0]!r}, and '
             f'{max(names)} is {classes[-1]!r}.')
        return {
            image: found and [names[values[tag]] for tag in found]
            for image, found in labels.items()
        }
    if first == 0:
        raise UserError(
            f'{where}: found the tags {format_names(list(values))}. Numbers '
            'need names: give them as --classes cat,dog, number 0 first. If '
            'the numbers are the names, list them so.')
    note(f'{where}: numbers are the names of classes, in the order of their '
         f'values: {", ".join(values)}.')
    return labels


def choose_tags(where, classes, labels, options):
    """Apply --rename, --normal, --ignore and --only, in this order."""
    pairs = [pair.rpartition('=') for pair in options.rename or ()]
    if not all(old and new for old, _, new in pairs):
        raise UserError(f'--rename: found {" ".join(options.rename)}, '
                        'expected pairs such as jeans=pants.')
    rename = {old: new for old, _, new in pairs}
    normal, ignore, only = (
        set(map(normalize_nfc, names or ()))
        for names in (options.normal, options.ignore, options.only))
    known = {*(classes or ()), *all_tags(labels)}
    check_names(where, '--rename', rename, known)
    known = {rename.get(tag, tag) for tag in known}
    for option, names in (('--normal', normal - {''}),
                          ('--ignore', ignore - {*EMPTY}), ('--only', only)):
        check_names(where, option, names, known)
    dropped = normal | ignore | (known - only if only else set())

    def choose(tags):
        if tags is None:
            return [] if '' in normal else None
        tags = dict.fromkeys(rename.get(tag, tag) for tag in tags)
        if tags and ignore.issuperset(tags):
            return None
        return [tag for tag in tags if tag not in dropped]

    labels = {image: choose(tags) for image, tags in labels.items()}
    return classes and choose(classes), labels


def check_names(where, option, names, known):
    """Refuse the names in an option that are no tags."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UserError(
                f'{option}: found {name!r}, which is not a tag of {where}. ' +
                (f'Did you mean {near[0]!r}?' if near else 'Its tags are '
                 f'{format_names(sorted(known), 10)}.'))
