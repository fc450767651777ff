# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from the exports of annotation tools, for label_readers.py."""
import re
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence
from xml.etree import ElementTree

import yaml
from label_tables import (IMAGE_FIELDS, Read, find_field, load_json, read_csv,
                          read_json, split_tags)

from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, list_images,
                                            read_text, strip_image_suffix)
from mmseg_afa.datasets.label_file import normalize_name
from mmseg_afa.utils import UserError

# What the fields of --pattern match.
FIELDS = dict(
    stem='[^/]+',
    any='[^/]+',
    tags='(?P<tags>.+)',
    onehot='(?P<onehot>[01 ,]+)')
NO_FILE = 'no such file. Name it with --file.'


def read_labelstudio(path: str, options: Namespace) -> Read:
    """Read a classification project of Label Studio: JSON, JSON-MIN or CSV."""
    if path.lower().endswith('.csv'):
        return read_csv(path, options)
    tasks = load_json(path, read_text(path, NO_FILE))
    if not isinstance(tasks, list) or not all(
            isinstance(task, dict) and 'annotations' in task and 'data' in task
            for task in tasks):
        return read_json(path, options)
    questions, labels = set(), {}
    try:
        for task in tasks:
            data, tags = task['data'], None
            image = data[find_field(data, IMAGE_FIELDS) or next(iter(data))]
            for annotation in task['annotations']:
                if annotation.get('was_cancelled'):
                    continue
                tags = tags or []
                for item in annotation['result']:
                    chosen = item['value'].get(item['type'])
                    if (isinstance(chosen, list)
                            and options.column in (None, item['from_name'])):
                        questions.add(item['from_name'])
                        tags += chosen
            labels[image] = tags
    except (AttributeError, KeyError, StopIteration, TypeError) as error:
        raise UserError(
            f'{path}: not an export of Label Studio: {error!r} in the task '
            f'{task.get("id")}. Export the project as JSON, JSON-MIN or CSV.'
        ) from error
    if len(questions) > 1:
        raise UserError(
            f'{path}: found tags of {" and ".join(sorted(questions))}. '
            f'Choose one, such as --column {min(questions)}.')
    return None, labels


def read_cvat(path: str, options: Namespace) -> Read:
    """Read the tags, and the labels of shapes, of CVAT for images 1.1."""
    try:
        root = ElementTree.fromstring(read_text(path, NO_FILE))
    except ElementTree.ParseError as error:
        raise UserError(f'{path}: not an XML file, or a damaged one ({error})'
                        '. Copy the file again.') from error
    images = root.findall('image')
    if root.tag != 'annotations' or not all(one.get('name') for one in images):
        raise UserError(f'{path}: found <{root.tag}>, expected <annotations> '
                        'with <image name="...">. Export the task as "CVAT '
                        'for images 1.1".')
    listed = [name.text for name in root.iterfind('.//labels/label/name')]
    return listed or None, {
        image.get('name'):
        [one.get('label') for one in image if one.get('label')] or None
        for image in images
    }


def read_yolo(path: str, options: Namespace) -> Read:
    """Read the classes of the boxes in labels/**/*.txt, named by data.yaml."""
    root = Path(path)
    root, config = (root,
                    root / 'data.yaml') if root.is_dir() else (root.parent,
                                                               root)
    try:
        names = yaml.safe_load(read_text(str(config), NO_FILE))['names']
        pairs = names if isinstance(names, dict) else dict(enumerate(names))
        names = {int(number): str(name) for number, name in pairs.items()}
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f'{config}: no names of classes ({error!r}). Add '
                        '"names: [cat, dog]".') from error
    labels = {}
    for file in sorted(root.rglob('labels/**/*.txt')):
        if file.name == 'classes.txt':
            continue
        name = f'/{file.relative_to(root).with_suffix("").as_posix()}'
        # images/train/a.jpg has its boxes in labels/train/a.txt
        name = name.replace('/labels/', '/images/', 1)
        tags = labels[name.removeprefix('/images')[1:]] = []
        lines = read_text(str(file), NO_FILE).split('\n')
        for number, line in enumerate(map(str.split, lines), 1):
            if line and not (line[0].isdigit() and int(line[0]) in names):
                raise UserError(
                    f'{file}:{number}: found the class {line[0]!r}, expected '
                    f'a number of {config}: {min(names)} to {max(names)}.')
            tags += [names[int(one)] for one in line[:1]]
    return [names[number] for number in sorted(names)], labels


def read_fiftyone(path: str, options: Namespace) -> Read:
    """Read FiftyOne's labels.json of a classification, or samples.json."""
    content = load_json(path, read_text(path, NO_FILE))
    try:
        if 'samples' in content:
            field = options.column or 'ground_truth'
            return None, {
                one['filepath']: list(labels_of(one.get(field))) or None
                for one in content['samples']
            }
        classes, labels = content.get('classes'), {}
        for name, value in content['labels'].items():
            values = value if isinstance(value, list) else [value]
            labels[name] = [
                classes[int(one)]
                if classes and not isinstance(one, str) else str(one)
                for one in values if one is not None
            ] or None
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise UserError(
            f'{path}: not in the format of FiftyOne: {error!r}. '
            'Export FiftyOneImageClassificationDataset.') from error
    return classes, labels


def labels_of(field: Any) -> Iterator[str]:
    """Yield the labels of a field: Classification(s) or Detections."""
    for one in [field] if isinstance(field, dict) else field or ():
        if 'label' in one:
            yield one['label']
        else:
            yield from labels_of(
                one.get('classifications', one.get('detections')))


def read_names(folder: str, options: Namespace) -> Read:
    """Read the tags in the names of photos, such as ``a-[1 0].png``."""
    pattern = '(.*/)?' + re.escape(options.pattern or '')
    for field, text in FIELDS.items():
        pattern = pattern.replace(re.escape(f'{{{field}}}'), text)
    images, _ = list_images(folder, IMAGE_SUFFIXES)
    stems = [strip_image_suffix(normalize_name(image)) for image in images]
    labels: Dict[str, Optional[Sequence[str]]] = {}
    for stem in stems:
        found = re.fullmatch(pattern, stem)
        parts = found.groupdict() if found else {}
        digits = re.findall('[01]', parts.get('onehot', ''))
        classes = options.classes or ()
        if not parts or 'onehot' in parts and len(digits) != len(classes):
            raise UserError(
                f'{folder}: {stem!r} does not fit --pattern '
                f'{options.pattern!r} and {len(classes)} classes. Give a '
                'pattern such as "{tags}_{stem}", or "{stem}-[{onehot}]" with '
                'the --classes of its digits.')
        labels[stem] = split_tags(parts.get('tags', ''), options.split_at) + [
            name for name, digit in zip(classes, digits) if digit == '1'
        ]
    return options.classes, labels
