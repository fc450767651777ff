# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find tags that a network cannot learn from, or that look like mistakes."""
import re
import shlex
from collections import Counter

from mmseg_afa.datasets.image_files import format_names

MIN_IMAGES = 5  # to train a class on
TOO_OFTEN = 0.95  # the share of photos with a class


def label_warnings(classes, labels):
    """Describe suspicious classes of the tags, each with the remedy."""
    images = {one: set() for one in classes}
    for name, tags in labels.items():
        for tag in tags:
            images[tag].add(name)
    count = {one: len(images[one]) for one in classes}
    found = []
    for alike in groups(classes, look):
        best = max(alike, key=count.get)
        pairs = ' '.join(
            shlex.quote(f'{one}={best}') for one in alike if one != best)
        found.append(f'{len(alike)} classes look alike: {format_names(alike)}.'
                     f' To merge them, add --rename {pairs}.')
    spaced = [one for one in classes if ' ' in one]
    words = Counter(word for one in classes for word in {*one.split()})
    if 2 * len(spaced) >= len(classes) and max(words.values(), default=0) > 1:
        found.append(f'{len(spaced)} classes seem to hold several tags, such '
                     f'as {spaced[0]!r}. To split them, add --split-at SPACE.')
    for one in classes:
        if labels and count[one] >= TOO_OFTEN * len(labels):
            found.append(
                f'{one!r} is on {count[one]} of {len(labels)} photos '
                f'({count[one] / len(labels):.0%}): it cannot be learned. Add '
                'photos that do not show it.')
    often = [one for one in classes if count[one] >= MIN_IMAGES]
    for same in groups(often, lambda one: frozenset(images[one])):
        found.append(
            f'{format_names(same)} are always together, on '
            f'{count[same[0]]} photos: they cannot be told apart. Add '
            'photos with one of them, or merge them with --rename.')
    rare = [f'{n} ({count[n]})' for n in classes if count[n] < MIN_IMAGES]
    if rare:
        found.append(f'{len(rare)} classes have fewer than {MIN_IMAGES} '
                     f'photos: {format_names(rare, 10)}. Add photos, or '
                     'choose other classes with --only.')
    return found


def groups(names, key):
    """List the names that share a key."""
    found = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return [group for group in found.values() if len(group) > 1]


def look(name):
    """Remove what is easily mistaken: capitals, spaces, hyphens, a plural."""
    text = re.sub(r'[-_\s]+', '', name.casefold())
    return text.rstrip('es') or text
