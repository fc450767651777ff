# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.apis import AFAInferencer
from mmseg_afa.engine.classes import (ConfigError, dataset_classes,
                                      settle_classes)
from mmseg_afa.utils import CheckpointError
from tests.conftest import ANIMALS, CLASSES, DEMO
from tests.test_reference.reference import ROOT
from tests.test_tools.run_tool import run_here
from tools import test, train

SIX = ('background', *ANIMALS)
VOC = ROOT / 'configs/afa/afa_mit-b1_voc.py'


def demo(data_root):
    """Read the demo's config for other data."""
    cfg = Config.fromfile(DEMO)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(data_root)
    return cfg


@pytest.fixture
def cfg(data_root):
    return demo(data_root)


def refused(cfg) -> str:
    with pytest.raises(ConfigError) as error:
        settle_classes(cfg)
    return str(error.value)


def test_number_of_classes(cfg):
    """Take the number of each head from the label file."""
    head = dict(type='FCNHead')
    cfg.model = dict(
        type='CascadeEncoderDecoder',
        decode_head=[head, dict(head, num_classes=None)],
        auxiliary_head=head)
    cfg.model = dict(type='SegTTAModel', module=cfg.model)
    assert settle_classes(cfg) == SIX
    heads = [*cfg.model.module.decode_head, cfg.model.module.auxiliary_head]
    assert [head.num_classes for head in heads] == [6, 6, 6]


def test_another_number_in_the_config(cfg):
    cfg.model.decode_head.num_classes = 21
    assert refused(cfg) == (
        'model.decode_head.num_classes is 21, but train_dataloader.dataset '
        'has 6 classes (background, cat, cow, ...), background included. '
        'Remove num_classes, or correct the classes.')


@pytest.mark.parametrize('key', ['decode_head', 'auxiliary_head'])
def test_too_many_classes(cfg, key):
    """Class 260 would be written as 4."""
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset = dict(type='Unheard')
    cfg.model.auxiliary_head = dict(type='FCNHead', num_classes=6)
    cfg.model[key].num_classes = 256
    assert refused(cfg).startswith(
        f'model.{key}.num_classes: 256 classes, but masks hold at most 255')
    cfg.model[key].num_classes = None
    with pytest.raises(ConfigError, match='260 classes, but'):
        settle_classes(cfg, trained=tuple(map(str, range(260))))


def test_wrapped_data_sets(cfg):
    inner = cfg.train_dataloader.dataset
    inner = dict(type='RepeatDataset', times=2, dataset=inner)
    cfg.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[inner, inner])
    assert settle_classes(cfg) == SIX
    cfg.model.decode_head.num_classes = 21
    assert 'but train_dataloader.dataset.datasets.0.dataset' in refused(cfg)


def test_no_classes(cfg):
    """Another kind of data set, or no label file, says nothing."""
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.label_file = 'none.txt'
    cfg.train_dataloader.dataset = dict(type='Unheard')
    assert settle_classes(cfg) is None
    cfg.model.decode_head.num_classes = None
    message = refused(cfg)
    assert 'num_classes is not set' in message
    assert message.endswith('none.txt.')  # the usual reason
    assert settle_classes(cfg, trained=SIX) is None
    assert cfg.model.decode_head.num_classes == 6


def test_two_data_sets(cfg):
    cfg.val_dataloader.dataset = Config.fromfile(VOC).val_dataloader.dataset
    assert ('val_dataloader.dataset: other classes than train_dataloader.'
            'dataset: 21 classes') in refused(cfg)


def test_another_order_in_validation(cfg):
    cfg.val_dataloader.dataset.metainfo = dict(
        classes=(*SIX[:4], 'fish', 'bird'))
    assert refused(cfg) == (
        'val_dataloader.dataset: other classes than train_dataloader.dataset: '
        "class 4 is 'fish' in place of 'bird'. Make both the same.")


def test_classes_of_voc():
    """The metainfo may select some of VOC's classes."""
    dataset = Config.fromfile(VOC).train_dataloader.dataset
    assert len(dataset_classes(dataset)) == 21
    dataset.metainfo = dict(classes=('background', 'cat', 'dog'))
    assert dataset_classes(dataset) == ('background', 'cat', 'dog')


@pytest.mark.parametrize('use', ['resume', 'load_from', 'test'])
def test_training(tmp_path, data_root, use):
    """Refuse the checkpoint before the data are loaded."""
    path = tmp_path / 'iter_1.pth'
    meta = dict(dataset_meta=dict(classes=(*SIX[:4], 'fish', 'bird')))
    torch.save(dict(meta=meta, state_dict={}), path)
    options = [f'train_dataloader.dataset.data_root={data_root}']
    more = ['--resume', path]
    if use == 'load_from':
        options, more = [*options, f'load_from={path}'], []
    main = train.main
    if use == 'test':
        main, more = test.main, [path]
    with pytest.raises(SystemExit) as stop:
        run_here(main, tmp_path, options, DEMO, *more)
    message = str(stop.value)
    assert f'{path}: trained for other classes' in message
    assert "class 4 is 'fish' in place of 'bird'" in message
    assert "model.init_cfg=dict(type='Pretrained'" in message


def test_prediction(tmp_path, checkpoint):
    """Take the number of classes from the checkpoint, without a label file."""
    cfg = demo(tmp_path)
    cfg.model.decode_head.num_classes = None
    infer = AFAInferencer(cfg, checkpoint, device='cpu')
    assert infer.model.decode_head.num_classes == len(CLASSES)
    cfg.train_dataloader.dataset.metainfo = dict(classes=SIX)
    with pytest.raises(CheckpointError, match="class 1 is 'a' in place of"):
        AFAInferencer(cfg, checkpoint, device='cpu')
