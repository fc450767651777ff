# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Files of images and text: find them, read them, or say what is wrong."""
import codecs
import logging
import os.path as osp
import unicodedata
from pathlib import PurePath
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from mmengine import fileio
from mmengine.logging import print_log

from ..utils import UserError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.tif',
                  '.tiff', '.webp', '.gif', '.jp2', '.ppm', '.pgm', '.pnm')
# Images that OpenCV cannot decode, or (AVIF) does not turn upright.
OTHER_SUFFIXES = ('.avif', '.heic', '.heif', '.jxl', '.tga', '.psd', '.svg',
                  '.pdf', '.exr', '.hdr', '.raw', '.dng', '.cr2', '.cr3',
                  '.nef', '.arw', '.orf', '.raf', '.rw2')
# of archives of macOS, network drives and Windows
SYSTEM_FOLDERS = ('__MACOSX', '@eaDir', '#recycle', '$RECYCLE.BIN')
# Zero-width spaces, marks of direction, and byte order marks inside of a text.
INVISIBLE = dict.fromkeys(
    map(ord, '\u200b\u200e\u200f\u202a\u202c\u2060\ufeff'))
MAX_PROBLEMS = 10  # that an error spells out


class MissingFileError(UserError, FileNotFoundError):
    """A file that the user names does not exist."""


class DataError(UserError):
    """All problems of a file; `rest` is what can be used without them."""

    def __init__(self, problems: List[str], rest: Any = None) -> None:
        lines = problems[:MAX_PROBLEMS]
        if len(problems) > MAX_PROBLEMS:
            lines.append(f'... ({len(problems)} problems in all)')
        super().__init__('\n'.join(lines))
        self.problems, self.rest = problems, rest


def read_bytes(path: str,
               fix: str,
               backend_args: Optional[dict] = None) -> bytes:
    """Read a file, or raise a MissingFileError that names the fix."""
    try:
        return fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise MissingFileError(f'{path}: {fix}') from error


def read_text(path: str, fix: str, backend_args: Optional[dict] = None) -> str:
    """Read a text file in UTF-8, or UTF-16 with a byte order mark."""
    content = read_bytes(path, fix, backend_args)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode('utf-16' if wide else 'utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path}: not a text file in UTF-8 ({error}). Save '
            'the file as UTF-8; Excel calls it "CSV UTF-8".') from error
    if '\0' in text:
        raise UserError(f'{path}: holds NUL characters. The file is damaged, '
                        'or UTF-16 without a mark. Save the file as UTF-8.')
    return normalize_nfc(text)


def is_hidden(path: str) -> bool:
    """Tell whether a path has a part that is hidden or the system's."""
    return any(
        part.startswith('.') or part in SYSTEM_FOLDERS
        for part in PurePath(path).parts)


def list_images(
        folder: str,
        suffixes: Sequence[str],
        backend_args: Optional[dict] = None) -> Tuple[List[str], List[str]]:
    """List the images in a folder, which may be missing, and its subfolders.

    Returns:
        tuple: See :func:`split_images`; paths in the folder.
    """
    if not fileio.isdir(folder or '.', backend_args=backend_args):
        return [], []
    return split_images(
        fileio.list_dir_or_file(
            folder or '.',
            list_dir=False,
            recursive=True,
            backend_args=backend_args), suffixes)


def split_images(files: Iterable[str],
                 suffixes: Sequence[str]) -> Tuple[List[str], List[str]]:
    """Sort the images with some suffixes, and the others; skip hidden files.
    """
    files = sorted(file for file in files if not is_hidden(file))
    images = [file for file in files if has_suffix(file, suffixes)]
    known = OTHER_SUFFIXES + IMAGE_SUFFIXES
    others = {file for file in files if has_suffix(file, known)}
    return images, sorted(others.difference(images))


def find_images(
        folder: str,
        suffixes: Sequence[str],
        names: Optional[Iterable[str]] = None,
        backend_args: Optional[dict] = None
) -> Tuple[Dict[str, str], List[str]]:
    """Find images in a folder and its subfolders, which are listed once.

    Images that cannot be read are left out of a folder, with a warning.

    Args:
        folder (str): The folder, which may be missing.
        suffixes (Sequence[str]): Suffixes of the files, in any case.
        names (Iterable[str], optional): Paths in the folder, with or without
            suffix. Defaults to all images, sorted.
        backend_args (dict, optional): See :func:`mmengine.fileio.get`.

    Returns:
        tuple: The path of each image by its name, in NFC and without suffix;
        and those paths that do not exist, which have the first suffix.

    Raises:
        DataError: If files differ only in suffix or encoding of accents.
    """
    images, others = list_images(folder, suffixes, backend_args)
    unreadable = [file for file in others if has_suffix(file, OTHER_SUFFIXES)]
    if names is None and unreadable:
        print_log(
            f'{folder}: {describe_left_out(unreadable)}',
            logger='current',
            level=logging.WARNING)
    files = {}
    for file in images:
        stem = normalize_nfc(strip_image_suffix(file, suffixes))
        files.setdefault(stem, []).append(file)
    paths, missing, problems = {}, [], []
    for name in sorted(files) if names is None else names:
        name = name if name in files else strip_image_suffix(name)
        found = files.get(name, [name + suffixes[0]])
        if len(found) > 1:
            differing = ' and '.join(map(repr, sorted(found)))
            problems.append(
                f'{folder}: {differing} differ only in their suffix or in '
                'how accents are encoded. Rename one of them, or choose the '
                "images by the data set's img_suffix, such as img_suffix="
                f'{osp.splitext(found[0])[1]!r}.')
            continue
        paths[name] = osp.join(folder, found[0])
        if name not in files:
            missing.append(paths[name])
    if problems:
        raise DataError(problems, (paths, missing))
    return paths, missing


def normalize_nfc(text: str) -> str:
    """Join accents with their letters (NFC), which macOS stores separately.

    Characters without width are removed.
    """
    return unicodedata.normalize('NFC', text).translate(INVISIBLE)


def describe_left_out(files: Sequence[str]) -> str:
    """Say which images are left out, and what to do."""
    return (f'left out {len(files)} images: {format_names(files)}. Only files '
            f'with these suffixes are read: {" ".join(IMAGE_SUFFIXES)}, or '
            'those of img_suffix in the config. Convert other images to PNG '
            'or JPEG.')


def has_suffix(name: str, suffixes: Sequence[str]) -> bool:
    """Tell whether a file has one of the suffixes, in any case, and a name."""
    return strip_image_suffix(name, suffixes) != name


def strip_image_suffix(name: str,
                       suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str:
    """Remove an image's suffix, in any case: 'a.JPEG' is 'a', 'a.b' stays."""
    for suffix in suffixes:
        if name.lower().endswith(suffix.lower()):
            return name[:-len(suffix)]
    return name


def format_names(names: Sequence[str], count: int = 3) -> str:
    """Write out the first few names: ``'a', 'b', 'c', ... (12 in all)``."""
    text = ', '.join(map(repr, names[:count]))
    return text + (f', ... ({len(names)} in all)' * (len(names) > count))
