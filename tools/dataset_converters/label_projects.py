# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from the exports of annotation tools, for label_readers.py."""
import re
from pathlib import Path
from xml.etree import ElementTree

import yaml
from label_choice import note
from label_tables import (IMAGE_FIELDS, find_fields, load_json, read_csv,
                          read_file, read_json, split_tags)

from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, list_images,
                                            strip_image_suffix)
from mmseg_afa.datasets.label_file import normalize_name

# What the fields of --pattern match.
FIELDS = dict(
    stem='[^/]+',
    any='[^/]+',
    tags='(?P<tags>.+)',
    onehot='(?P<onehot>[01 ,]+)')


def read_coco(path, options):
    """Read the categories of the annotations in a file of COCO's format."""
    content = load_json(path)
    images = {one['id']: one['file_name'] for one in content['images']}
    names = {one['id']: one['name'].strip() for one in content['categories']}
    labels = {name: [] for name in images.values()}
    for item in content['annotations']:
        labels[images[item['image_id']]].append(names[item['category_id']])
    used = set().union(*labels.values())
    parents = {
        one.get('supercategory')
        for one in content['categories']
        if one.get('supercategory') != one['name']
    }
    empty = [one for one in names.values() if one in parents - used]
    if empty:
        note(f'{path}: left out {", ".join(map(repr, empty))}, which holds '
             'other categories and has no annotation.')
    return [name for _, name in sorted(names.items())
            if name not in empty], labels


def read_labelstudio(path, options):
    """Read a classification project of Label Studio: JSON, JSON-MIN or CSV."""
    if path.lower().endswith('.csv'):
        return read_csv(path, options)
    tasks = load_json(path)
    if tasks and 'annotations' not in tasks[0]:
        return read_json(path, options)
    labels, questions = {}, set()
    for task in tasks:
        data = task['data']
        image = data[[*find_fields(data, IMAGE_FIELDS), *data][0]]
        submitted = [
            one['result'] for one in task['annotations']
            if not one.get('was_cancelled')
        ]
        labels[image] = [] if submitted else None
        for item in sum(submitted, []):
            chosen = item['value'].get(item['type'])
            if (isinstance(chosen, list)
                    and options.column in (None, item['from_name'])):
                questions.add(item['from_name'])
                labels[image] += chosen
    if len(questions) > 1:
        raise ValueError(f'found tags of {" and ".join(sorted(questions))}. '
                         f'Choose one, such as --column {min(questions)}')
    return None, labels


def read_cvat(path, options):
    """Read the tags, and the labels of shapes, of CVAT for images 1.1."""
    root = ElementTree.fromstring(read_file(path))
    if root.tag != 'annotations':
        raise ValueError(f'found <{root.tag}>')
    listed = [name.text for name in root.iterfind('.//labels/label/name')]
    return listed or None, {
        image.attrib['name']:
        [one.get('label') for one in image if one.get('label')] or None
        for image in root.iterfind('image')
    }


def read_yolo(path, options):
    """Read the classes of the boxes in labels/**/*.txt, named by data.yaml."""
    config = Path(path)
    config = config / 'data.yaml' if config.is_dir() else config
    names = yaml.safe_load(read_file(str(config)))['names']
    names = names if isinstance(names, dict) else dict(enumerate(names))
    names = {str(number): str(name) for number, name in names.items()}
    labels = {}
    for file in sorted(config.parent.rglob('labels/**/*.txt')):
        if file.name == 'classes.txt':
            continue
        # images/train/a.jpg has its boxes in labels/train/a.txt
        name = file.relative_to(config.parent).with_suffix('').as_posix()
        name = f'/{name}'.replace('/labels/', '/images/', 1)
        tags = labels[name.removeprefix('/images')[1:]] = []
        lines = read_file(str(file)).split('\n')
        for number, line in enumerate(map(str.split, lines), 1):
            if line and line[0] not in names:
                raise ValueError(f'{file}:{number}: found the class '
                                 f'{line[0]!r}, which {config} does not name')
            tags += [names[one] for one in line[:1]]
    return [names[number] for number in sorted(names, key=int)], labels


def read_fiftyone(path, options):
    """Read FiftyOne's labels.json: names, or numbers of the classes."""
    content = load_json(path)
    names = content.get('classes') or ()
    labels = {}
    for image, value in content['labels'].items():
        values = value if isinstance(value, list) else [value]
        labels[image] = [
            one if isinstance(one, str) else names[one]
            for one in values if one is not None
        ] or None
    return names or None, labels


def read_names(folder, options):
    """Read the tags in the names of photos, such as ``a-[1 0].png``."""
    pattern = '(.*/)?' + re.escape(options.pattern or '')
    for field, text in FIELDS.items():
        pattern = pattern.replace(re.escape(f'{{{field}}}'), text)
    classes, labels = options.classes or (), {}
    for image in list_images(folder, IMAGE_SUFFIXES)[0]:
        stem = strip_image_suffix(normalize_name(image))
        found = re.fullmatch(pattern, stem)
        parts = found.groupdict() if found else {}
        digits = re.findall('[01]', parts.get('onehot', ''))
        if not parts or 'onehot' in parts and len(digits) != len(classes):
            raise ValueError(
                f'{stem!r} does not fit --pattern {options.pattern!r} and '
                f'{len(classes)} classes')
        labels[stem] = split_tags(parts.get('tags', ''), options.split_at) + [
            name for name, digit in zip(classes, digits) if digit == '1'
        ]
    return options.classes, labels
