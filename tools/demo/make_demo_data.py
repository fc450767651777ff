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


def write_scene(folder, parameters, item):
    """Write an image and, for validation, its mask; return name and tags."""
    import cv2
    import numpy as np
    import scenes

    split, index = item
    name = f'{SPLITS[split]}_{index:06d}'
    rng = np.random.default_rng([parameters['seed'], split, index])
    image, mask, tags = scenes.draw_scene(rng, parameters['size'])
    cv2.imwrite(
        str(folder / f'JPEGImages/{name}.jpg'), image,
        [cv2.IMWRITE_JPEG_QUALITY, 90])
    if SPLITS[split] == 'val':
        cv2.imwrite(str(folder / f'SegmentationClassAug/{name}.png'), mask)
    return name, tags


def write_dataset(folder, parameters):
    """Write the data set into a new folder."""
    import scenes
    from tqdm.contrib.concurrent import thread_map

    lists = folder / 'ImageSets/Segmentation'
    for path in (lists, folder / 'JPEGImages',
                 folder / 'SegmentationClassAug'):
        path.mkdir(parents=True)
    items = [(split, index) for split, key in enumerate(SPLITS)
             for index in range(parameters[key])]
    written = thread_map(
        partial(write_scene, folder, parameters), items, desc='Drawing images')
    train, val = written[:parameters['train']], written[parameters['train']:]
    labels = [f'{name}: {", ".join(tags)}' for name, tags in train]
    for path, lines in ((lists / 'trainaug.txt', [name for name, _ in train]),
                        (lists / 'val.txt', [name for name, _ in val]),
                        (folder / 'image_labels.txt',
                         ['# ' + ','.join(scenes.CLASSES),
                          *labels]), (folder / 'parameters.json',
                                      [json.dumps(parameters)])):
        path.write_text('\n'.join(lines) + '\n')


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder to make')
    for name, default, meaning in (('train', 600, 'number of training images'),
                                   ('val', 100, 'number of validation images'),
                                   ('size', 128, 'longer side in pixels'),
                                   ('seed', 0, 'random seed')):
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

    from mmseg_afa.utils import check_least, exit_on_user_error
    with exit_on_user_error():
        check_least(args, train=1, val=1, size=32, seed=0)
    folder = args.pop('out')
    parameters = dict(recipe=scenes.RECIPE, classes=scenes.CLASSES, **args)
    record = folder / 'parameters.json'
    if record.exists() and json.loads(record.read_text()) == parameters:
        print(f'{folder} is complete.')
        return
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f'{folder}: exists, and was not made with '
                         f'{parameters}. Remove it, or name another folder.')
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
            dir=folder.parent, prefix=f'.{folder.name}.') as unfinished:
        new = Path(unfinished) / 'new'
        write_dataset(new, parameters)
        new.replace(folder)
    print('{}: {train} training and {val} validation images.'.format(
        folder, **args))


if __name__ == '__main__':
    main()
