# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A small data set with each problem that the check looks for, once."""
import numpy as np
from PIL import Image

CLASSES = ('cat', 'cow', 'dog')

# Name: height, width, tags (None: no line) and classes in the mask (None: no
# mask).
TRAIN = {
    **{
        f'cat{i}': (40, 50 + i, ('cat', ), ('cat', ))
        for i in range(6)
    },
    'dog': (60, 40, ('dog', ), None),
    'cut': (40, 50, ('cow', ), None),
    'tiny': (31, 33, ('dog', ), None),
    'plain': (40, 50, (), ()),
    'noline': (30, 50, None, None),
    'untagged': (40, 50, ('cat', ), ('cat', 'dog')),
    'unshown': (40, 50, ('cat', 'dog'), ('cat', )),
}
VAL = {
    'good': (40, 50, None, ('cat', 'cow')),
    'nomask': (40, 50, None, None),
    'scaled': (40, 50, None, ('dog', )),
    'seven': (40, 50, None, ('dog', )),
}
TRAIN_LIST = [*TRAIN, 'gone']
VAL_LIST = [*VAL, 'cat0']
BROKEN_TRAIN = ('cut', 'noline', 'gone')
BROKEN_VAL = ('nomask', 'scaled', 'seven')

CONFIG = """
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)
data_root = {root!r}
train_dataloader = dict(
    dataset=dict(
        type='WeakLabelDataset',
        data_root=data_root,
        label_file='image_labels.txt',
        ann_file='lists/train.txt',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        pipeline=[dict(type='LoadWeakImage')]))
val_dataloader = dict(
    dataset=dict(
        type='WeakLabelDataset',
        data_root=data_root,
        label_file='image_labels.txt',
        ann_file='lists/val.txt',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        test_mode=True,
        pipeline=[dict(type='LoadWeakImage'), dict(type='LoadMask')]))
"""


def write_image(path, height, width):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def write_mask(path, height, width, tags):
    mask = np.zeros((height, width), np.uint8)
    for row, tag in enumerate(tags):
        mask[row] = CLASSES.index(tag) + 1
    mask[-1] = 255
    Image.fromarray(mask).save(path)


def write_broken(root):
    """Write the data set and a config, and return the config's path."""
    for folder in ('images', 'masks', 'lists'):
        (root / folder).mkdir()
    lines = ['# ' + ','.join(CLASSES), 'gone: dog']
    for name, (height, width, tags, shown) in {**TRAIN, **VAL}.items():
        write_image(root / f'images/{name}.jpg', height, width)
        if shown is not None:
            write_mask(root / f'masks/{name}.png', height, width, shown)
        if tags is not None:
            lines.append(f'{name}: {", ".join(tags)}'.rstrip())
    cut = root / 'images/cut.jpg'
    cut.write_bytes(cut.read_bytes()[:-20])
    write_mask(root / 'masks/scaled.png', 20, 25, ('dog', ))
    Image.new('L', (50, 40), 7).save(root / 'masks/seven.png')
    (root / 'image_labels.txt').write_text('\n'.join(lines) + '\n')
    (root / 'lists/train.txt').write_text('\n'.join(TRAIN_LIST) + '\n')
    (root / 'lists/val.txt').write_text('\n'.join(VAL_LIST) + '\n')
    config = root / 'config.py'
    config.write_text(CONFIG.format(root=str(root)))
    return config
