# Copyright (c) mmseg_afa contributors. All rights reserved.
"""tools/test.py and tools/predict.py write the same masks."""
import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_afa.models import FIELDS, SOURCES
from tests.conftest import CLASSES, DEMO
from tools.predict import main as predict
from tools.test import main as evaluate

SLIDE = [
    'model.test_cfg.mode=slide', 'model.test_cfg.crop_size=(48,48)',
    'model.test_cfg.stride=(32,32)'
]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Photos of two sizes with masks, and the tags that the masks show."""
    root = tmp_path_factory.mktemp('data')
    (root / 'photos').mkdir()
    (root / 'masks').mkdir()
    rng = np.random.default_rng(0)
    lines = ['# ' + ','.join(CLASSES[1:])]
    for i, size in enumerate([(64, 96), (64, 96), (72, 56)]):
        photo = cv2.resize(
            rng.integers(0, 256, (6, 8, 3), np.uint8), size[::-1])
        cv2.imwrite(str(root / f'photos/{i}.png'), photo)
        shown = rng.choice(np.arange(1, 6), 2, replace=False)
        mask = rng.choice([0, *shown], size).astype(np.uint8)
        cv2.imwrite(str(root / f'masks/{i}.png'), mask)
        tags = ', '.join(CLASSES[c] for c in sorted(shown))
        lines.append(f'{i}: {tags}')
    (root / 'tags.txt').write_text('\n'.join(lines))
    return root


def config(root, out):
    """Write a config whose metrics write the masks of all sources."""
    path = root / 'demo.py'
    fields = {
        field.source.name: name
        for name, field in FIELDS.items()
        if field.tags != 'given' or field.source.needs_tags
    }
    evaluator = [
        dict(
            type='WeakIoUMetric',
            output_field=fields[source],
            output_dir=str(out / source),
            prefix=source) for source in SOURCES
    ]
    path.write_text(
        f"_base_ = ['{DEMO}']\n"
        # labels that are neither all background nor all ignored
        'model = dict(labeler=dict(radius=1, bkg_high=0.4, bkg_low=0.3))\n'
        'test_dataloader = dict(num_workers=0, persistent_workers=False, '
        f'dataset=dict(data_root={str(root)!r}, _delete_=True, '
        "type='WeakLabelDataset', test_mode=True, "
        f'metainfo=dict(classes={CLASSES}), '
        "data_prefix=dict(img_path='photos', seg_map_path='masks'), "
        'pipeline=_base_.test_pipeline))\n'
        f'test_evaluator = {evaluator}\n')
    return str(path)


@pytest.mark.parametrize(
    'options, cfg_options', [
        ([], ['model.labeler.refiner.num_iter=2']),
        (['--tta'], []),
        (['--refine', 'par'], []),
        (['--tta', '--refine', 'par'], SLIDE),
    ],
    ids=['plain', 'tta', 'par', 'all'])
def test_same_masks(checkpoint, root, tmp_path, options, cfg_options):
    cfg = config(root, tmp_path / 'tested')
    options = [
        *options, *(['--cfg-options', *cfg_options] if cfg_options else [])
    ]
    evaluate([cfg, checkpoint, '--work-dir', str(tmp_path / 'work'), *options])
    tags = [], ['--tags', str(root / 'tags.txt')]
    for with_tags in (False, True):
        predict([
            cfg, checkpoint,
            str(root / 'photos'), '--device', 'cpu', '--out',
            str(tmp_path / f'predicted{with_tags}'), '--batch-size', '1',
            *tags[with_tags], '--source', *SOURCES, *options
        ])
    for source in SOURCES.values():
        seen = set()
        for i in range(3):
            name = f'{source.name}/{i}.png'
            folder = tmp_path / f'predicted{source.needs_tags}'
            tested, predicted = (
                np.array(Image.open(path / name))
                for path in (tmp_path / 'tested', folder))
            assert np.array_equal(tested, predicted), name
            seen |= set(np.unique(predicted))
        assert len(seen - {255}) > 1, source


def test_source_of_out(checkpoint, root, tmp_path):
    """--source names the masks that --out writes; the default is seg."""
    cfg = config(root, tmp_path / 'tested')
    text = (root / 'demo.py').read_text()
    (root / 'demo.py').write_text(
        text.rpartition('test_evaluator')[0] +
        "test_evaluator = [dict(type='ImageLabelMetric'), "
        "dict(type='WeakIoUMetric')]\n")
    for source in ('seg', 'cam_label'):
        out = tmp_path / source
        evaluate([
            cfg, checkpoint, '--work-dir',
            str(tmp_path / 'work'), '--out',
            str(out), '--source', source
        ])
        masks = [np.array(Image.open(out / f'{i}.png')) for i in range(3)]
        assert any((mask == 255).any() for mask in masks) == (source != 'seg')
    with pytest.raises(SystemExit, match="unknown 'mask'.*seg, cam,"):
        evaluate([cfg, checkpoint, '--out', str(out), '--source', 'mask'])


def test_no_test_dataloader(checkpoint, root, tmp_path):
    """Somebody without masks has no data to test on, and still predicts."""
    path = tmp_path / 'own.py'
    path.write_text(f"_base_ = ['{DEMO}']\n" +
                    ''.join(f'{part}_{key} = None\n'
                            for part in ('val', 'test')
                            for key in ('dataloader', 'evaluator', 'cfg')))
    predict([
        str(path), checkpoint,
        str(root / 'photos'), '--device', 'cpu', '--out',
        str(tmp_path / 'out')
    ])
    assert len(list((tmp_path / 'out/seg').iterdir())) == 3
