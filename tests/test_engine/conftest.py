# Copyright (c) mmseg_afa contributors. All rights reserved.
import cv2
import numpy as np
import pytest

CLASSES = ('cat', 'cow', 'dog', 'bird', 'fish')


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    """Noise with tags."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    stems = [f'{i}' for i in range(6)]
    (root / 'ImageSets/Segmentation/trainaug.txt').write_text('\n'.join(stems))
    for stem in stems:
        image = rng.integers(256, size=(64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'JPEGImages/{stem}.jpg'), image)
    lines = [f'{stem}: {CLASSES[int(stem) % 5]}' for stem in stems]
    (root / 'image_labels.txt').write_text('\n'.join(
        ['# ' + ','.join(CLASSES), *lines]))
    return root
