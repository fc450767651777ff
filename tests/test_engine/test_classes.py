# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.apis import AFAInferencer
from mmseg_afa.engine import classes as room
from mmseg_afa.engine.classes import ConfigError, settle_classes
from mmseg_afa.utils import CheckpointError
from tests.conftest import ANIMALS, CLASSES, DEMO
from tests.test_reference.reference import ROOT
from tests.test_tools.run_tool import run_here
from tools import train

SIX = ('background', *ANIMALS)
VOC = ROOT / 'configs/afa/afa_mit-b1_voc.py'


@pytest.fixture
def cfg(data_root):
    """Return the demo's config with data."""
    cfg = Config.fromfile(DEMO)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(data_root)
    return cfg


def refused(cfg) -> str:
    with pytest.raises(ConfigError) as error:
        settle_classes(cfg)
    return str(error.value)


@pytest.mark.parametrize('number', [None, 'absent', 6])
def test_number_of_classes(cfg, number):
    """Take the number from the label file, unless the config says it."""
    cfg.model.decode_head.num_classes = number
    if number == 'absent':
        del cfg.model.decode_head.num_classes
    assert settle_classes(cfg) == SIX
    assert cfg.model.decode_head.num_classes == 6


def test_several_heads(cfg):
    head = dict(type='FCNHead')
    cfg.model = dict(
        type='CascadeEncoderDecoder',
        decode_head=[head, dict(head, num_classes=None)],
        auxiliary_head=head)
    cfg.model = dict(type='SegTTAModel', module=cfg.model)
    settle_classes(cfg)
    assert [head.num_classes for _, head in room.model_heads(cfg)] == [6, 6, 6]


def test_another_number_in_the_config(cfg):
    cfg.model.decode_head.num_classes = 21
    assert refused(cfg) == (
        'model.decode_head.num_classes is 21, but train_dataloader.dataset '
        'has 6 classes (background, cat, cow, ...), background included. '
        'Remove num_classes, or correct the classes.')


@pytest.mark.parametrize('wrap', [
    lambda one: dict(type='RepeatDataset', times=2, dataset=one),
    lambda one: dict(type='ConcatDataset', datasets=[one, one]),
])
def test_wrapped_data_sets(cfg, wrap):
    cfg.train_dataloader.dataset = wrap(cfg.train_dataloader.dataset)
    assert settle_classes(cfg) == SIX
    cfg.model.decode_head.num_classes = 21
    assert 'but train_dataloader.dataset.dataset' in refused(cfg)


def test_no_classes(cfg):
    """Another kind of data set, or no label file, says nothing."""
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.label_file = 'none.txt'
    cfg.train_dataloader.dataset = dict(type='Unheard')
    assert settle_classes(cfg) is None
    cfg.model.decode_head.num_classes = None
    assert 'num_classes is not set' in refused(cfg)
    assert settle_classes(cfg, trained=SIX) is None
    assert cfg.model.decode_head.num_classes == 6


@pytest.mark.parametrize('classes, expected', [
    (('cat', 'cow', 'dog', 'fish', 'bird'), "class 4 is 'bird' in place of "
     "'fish'"),
    (('cat', 'cow', 'dog', 'bird', 'horse'), "class 5 is 'fish' in place of "
     "'horse'"),
    (('cat', 'cow'), '6 classes (background, cat, cow, ...) in place of 3 '
     'classes (background, cat, cow)'),
])
def test_label_file_and_metainfo(cfg, classes, expected):
    cfg.train_dataloader.dataset.metainfo = dict(
        classes=('background', *classes))
    assert ('train_dataloader.dataset: label_file lists other classes than '
            f'the data set: {expected}.') in refused(cfg)


def test_two_data_sets(cfg):
    cfg.val_dataloader.dataset = Config.fromfile(VOC).val_dataloader.dataset
    assert ('val_dataloader.dataset: other classes than train_dataloader.'
            'dataset: 21 classes') in refused(cfg)


@pytest.mark.parametrize('selected', [None, ('background', 'cat', 'dog')])
def test_a_label_file_of_voc(tmp_path, selected):
    """The metainfo may select some of VOC's classes."""
    cfg = Config.fromfile(VOC)
    dataset = cfg.train_dataloader.dataset
    classes = room.dataset_classes('', dataset)
    (tmp_path / 'image_labels.txt').write_text('# ' + ','.join(classes[1:]))
    dataset.data_root = str(tmp_path)
    if selected:
        dataset.metainfo = dict(classes=selected)
    assert room.dataset_classes('', dataset) == (selected or classes)


@pytest.mark.parametrize('meta, trained', [
    ({}, None),
    (None, None),
    (dict(dataset_meta=dict(classes=list(SIX))), SIX),
    (dict(CLASSES=SIX), SIX),
])
def test_classes_of_a_checkpoint(meta, trained):
    checkpoint = dict(meta=meta)
    assert room.checkpoint_classes(checkpoint) == trained
    for classes in None, SIX, list(SIX):
        room.check_checkpoint_classes(classes, checkpoint, 'a.pth')
    if trained:
        with pytest.raises(
                CheckpointError, match="a.pth.*class 5 is 'fish' in place"):
            room.check_checkpoint_classes((*SIX[:5], 'x'), checkpoint, 'a.pth')


@pytest.mark.parametrize('use', ['resume', 'load_from'])
def test_training(tmp_path, data_root, use):
    """Refuse the checkpoint before the data are loaded."""
    path = tmp_path / 'iter_1.pth'
    meta = dict(dataset_meta=dict(classes=(*SIX[:4], 'fish', 'bird')))
    torch.save(dict(meta=meta, state_dict={}), path)
    options = [f'train_dataloader.dataset.data_root={data_root}']
    more = ['--resume', path]
    if use == 'load_from':
        options, more = [*options, f'load_from={path}'], []
    with pytest.raises(SystemExit) as stop:
        run_here(train.main, tmp_path, options, DEMO, *more)
    message = str(stop.value)
    assert f'{path}: trained for other classes' in message
    assert "class 4 is 'fish' in place of 'bird'" in message
    assert "model.init_cfg=dict(type='Pretrained'" in message


@pytest.fixture
def without_data(tmp_path):
    """Return the demo's config on a machine without the label file."""
    cfg = Config.fromfile(DEMO)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(tmp_path)
    return cfg


def test_prediction(without_data, checkpoint):
    """Take the number of classes from the checkpoint."""
    without_data.model.decode_head.num_classes = None
    infer = AFAInferencer(without_data, checkpoint, device='cpu')
    assert infer.model.decode_head.num_classes == len(CLASSES)


def test_prediction_with_other_classes(without_data, checkpoint):
    without_data.train_dataloader.dataset.metainfo = dict(classes=SIX)
    with pytest.raises(CheckpointError, match="class 1 is 'a' in place of"):
        AFAInferencer(without_data, checkpoint, device='cpu')
