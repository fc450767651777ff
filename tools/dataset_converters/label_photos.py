# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Match the names in a tag file with the photos, for image_labels.py."""
import os.path as osp
import posixpath
import re
from typing import Dict, List
from urllib.parse import unquote, urlsplit

from label_choice import note
from label_tables import add_tags

from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, format_names,
                                            list_images, strip_image_suffix)
from mmseg_afa.datasets.label_file import normalize_name
from mmseg_afa.utils import UserError

# How Label Studio renames an upload.
UPLOAD = re.compile('(.*/)?[0-9a-f]{8}-(?=[^/]+$)')

Index = Dict[str, List[str]]  # the names by their last part


def find_photos(args, source):
    """List the photos, without suffix, relative to their folder.

    The folder `source`, of masks, is left out.
    """
    usual = ('JPEGImages/train', 'JPEGImages/val'), ('JPEGImages', ), ('', )
    for choice in [args.photos] if args.photos else usual:
        folders = [osp.join(args.data_root, one) for one in choice]
        folders = [*filter(osp.isdir, folders)]
        if folders:
            break
    masks = osp.join(osp.abspath(source), '')
    files = [
        file for folder in folders
        for file in list_images(folder, IMAGE_SUFFIXES)[0]
        if args.source != 'masks'
        or not osp.abspath(osp.join(folder, file)).startswith(masks)
    ]
    if args.photos and not files:
        raise UserError(f'--photos: no photo in {" ".join(args.photos)}.')
    return sorted({strip_image_suffix(normalize_name(one)) for one in files})


def index_names(names):
    """Index names by the last part of their paths."""
    index = {}
    for name in names:
        index.setdefault(posixpath.basename(name), []).append(name)
    return index


def find_name(name, index):
    """Find an equal name, or one of which either is the other's end."""
    near = index.get(posixpath.basename(name), [])
    ends = [one for one in near if f'/{name}'.endswith(f'/{one}')]
    if ends:
        return max(ends, key=len)
    near = [one for one in near if one.endswith(f'/{name}')]
    if len(near) > 1:
        raise UserError(f'{name!r} may be any of {format_names(near)}. Write '
                        'the folder too, or choose one folder by --photos.')
    return near[0] if near else None


def is_address(name):
    """Tell whether a name is an address, or one of Label Studio's server."""
    return bool(re.match(r'[a-zA-Z][\w+.-]+://|/data/', name.strip()))


def path_of(name):
    """Return the path in a name, which may be an address."""
    if is_address(name):
        parts = urlsplit(name.strip())
        local = parts.query.startswith('d=')  # of Label Studio's local files
        name = unquote(parts.query[2:] if local else parts.path)
    return normalize_name(name)


def match_photos(where, labels, photos):
    """Rename the images of a source as their photos, and count the rest."""
    if not photos:
        note(f'{where}: no photo found, so names were not compared. Give the '
             'folder of the photos with --photos.')
    index, matched, origin, unmatched = index_names(photos), {}, {}, []
    for name, tags in labels.items():
        path = path_of(name)
        stem = strip_image_suffix(path)
        uploaded = UPLOAD.sub('', stem)
        photo = find_name(stem, index) or find_name(uploaded, index)
        if photo is None:
            unmatched.append(name)
            photo = stem
            if is_address(name):
                photo = posixpath.basename(uploaded)
        other = origin.setdefault(photo, path)
        if other != path and (strip_image_suffix(other) != stem
                              or stem not in (other, path)):
            raise UserError(
                f'{where}: {other!r} and {path!r} would both be the image '
                f'{photo!r}. Rename one of them, or remove one.')
        add_tags(matched, photo, tags)
    if photos and unmatched:
        message = (f'{where}: {len(unmatched)} of {len(labels)} names match '
                   f'no photo: {format_names(unmatched)}.')
        if len(unmatched) == len(labels):
            raise UserError(
                f'{message} The photos are {format_names(photos)}. Correct '
                'the names, or give the folder of the photos with --photos.')
        note(message)
    return matched


def select_images(where, labels, names):
    """Select the labels of the images in a list; without one, sort them all.
    """
    if not names:
        return {name: labels[name] for name in sorted(labels)}
    index = index_names(labels)
    found = {name: find_name(name, index) for name in names}
    missing = [name for name in names if found[name] is None]
    if missing:
        raise UserError(
            f'{where}: has nothing about {len(missing)} of {len(names)} '
            f'images of the list: {format_names(missing)}. It has '
            f'{format_names(sorted(labels))}. Add the images, or correct the '
            'names in the list.')
    return {found[name]: labels[found[name]] for name in names}
