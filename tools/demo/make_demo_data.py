# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw the demo data set: tags for training, masks for validation only.

The layout is that of VOC 2012:

    OUT/JPEGImages/{train,val}_000000.jpg
    OUT/SegmentationClassAug/val_000000.png    class ids, 0 = background
    OUT/ImageSets/Segmentation/{trainaug,val}.txt
    OUT/image_labels.txt                       tags of the training images
    OUT/parameters.json                        settings that made the data
"""
import argparse
import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

SPLITS = ('train', 'val')


def write_image(path, image, *options):
    import cv2

    if not cv2.imwrite(str(path), image, options):
        raise OSError(f'{path}: cannot be written. Is the disk full?')


def write_scene(folder, parameters, item):
    """Write an image and, for validation, its mask.

    Returns:
        tuple: The name of the image, and its line for the label file.
    """
    import cv2
    import numpy as np
    import scenes

    split, index = item
    name = f'{SPLITS[split]}_{index:06d}'
    rng = np.random.default_rng([parameters['seed'], split, index])
    image, mask, tags = scenes.draw_scene(rng, parameters['size'])
    write_image(folder / f'JPEGImages/{name}.jpg', image,
                cv2.IMWRITE_JPEG_QUALITY, 90)
    if SPLITS[split] == 'val':
        write_image(folder / f'SegmentationClassAug/{name}.png', mask)
    return name, f'{name}: {", ".join(tags)}'


def write_dataset(folder, parameters, workers):
    """Write the data set into a new folder."""
    import scenes
    from tqdm.contrib.concurrent import thread_map

    for name in ('JPEGImages', 'SegmentationClassAug',
                 'ImageSets/Segmentation'):
        (folder / name).mkdir(parents=True)
    items = [(split, index) for split, key in enumerate(SPLITS)
             for index in range(parameters[key])]
    names, lines = zip(*thread_map(
        partial(write_scene, folder, parameters),
        items,
        max_workers=workers,
        desc='Drawing images'))
    count = parameters['train']
    for path, text in {
            'ImageSets/Segmentation/trainaug.txt': names[:count],
            'ImageSets/Segmentation/val.txt': names[count:],
            'image_labels.txt':
        ['# ' + ','.join(scenes.CLASSES), *lines[:count]],
            'parameters.json': [json.dumps(parameters)]
    }.items():
        (folder / path).write_text('\n'.join(text) + '\n')


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder to make')
    for name, default, meaning in (('train', 600, 'number of training images'),
                                   ('val', 100, 'number of validation images'),
                                   ('size', 128, 'longer side in pixels'),
                                   ('seed', 0, 'random seed'),
                                   ('workers', 8, 'number of threads')):
        parser.add_argument(
            f'--{name}',
            type=int,
            default=default,
            help=f'{meaning} (default: {default})')
    return parser.parse_args(argv)


def main(argv=None):
    """Write the whole data set, unless it exists."""
    args = vars(parse_args(argv))
    import scenes

    folder, workers = args.pop('out'), args.pop('workers')
    parameters = dict(recipe=scenes.RECIPE, classes=scenes.CLASSES, **args)
    record = folder / 'parameters.json'
    if record.exists():
        found = json.loads(record.read_text())
        if found == parameters:
            print(f'{folder} is complete.')
            return
        raise SystemExit(f'{folder} was made with {found}, not with '
                         f'{parameters}. Remove it, or name another folder.')
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f'{folder} exists and is not a demo data set. Name '
                         'another folder.')
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
            dir=folder.parent, prefix=f'.{folder.name}.') as unfinished:
        write_dataset(Path(unfinished) / 'new', parameters, workers)
        (Path(unfinished) / 'new').replace(folder)
    print('{}: {train} training and {val} validation images.'.format(
        folder, **args))


if __name__ == '__main__':
    main()
