# Copyright (c) mmseg_afa contributors. All rights reserved.
import shutil
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_afa.engine import preflight
from mmseg_afa.engine.preflight import ConfigError
from mmseg_afa.models.segmentors.schedule import phase_of
from tests.test_reference.reference import ROOT
from tests.test_tools.run_tool import run_here
from tools import train

CONFIGS = sorted((ROOT / 'configs').glob('[a-z]*/*.py'))
DEMO = ROOT / 'configs/afa/afa_mit-b0_demo.py'


@pytest.fixture
def cfg(data_root):
    """The demo's config, whose data is there."""
    cfg = Config.fromfile(DEMO)
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(data_root)
    cfg.model.train_cfg.update(cam_iters=300, switch_iter=500)
    cfg.train_cfg.max_iters = 900
    cfg.param_scheduler[1].end = 901
    return cfg


def problems(cfg):
    with pytest.raises(ConfigError) as error:
        preflight.check_config(cfg)
    return str(error.value).split('\n')


def doubts(cfg):
    return [text for check in preflight.WARNINGS for text in check(cfg)]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_configs_that_ship(path, tmp_path, monkeypatch):
    """Nothing is wrong but that files are not there, and nothing with stand-
    ins of them."""
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(path)
    afa = preflight.is_afa(cfg)
    assert afa == (cfg.model.type == 'AFA')
    if not afa:
        preflight.check_config(cfg)
        return
    found = problems(cfg)
    assert all('no such' in problem for problem in found)
    label_file = tmp_path / cfg.train_dataloader.dataset.data_root
    label_file.mkdir(parents=True)
    # VOC and COCO name their classes themselves
    classes = [
        f'class{i}' for i in range(1, cfg.model.decode_head.num_classes)
    ]
    (label_file / 'image_labels.txt').write_text(f'# {",".join(classes)}\n')
    (tmp_path / 'pretrain').mkdir()
    weights = (cfg.model.backbone.init_cfg or {}).get('checkpoint', 'x')
    if '://' not in weights:
        (tmp_path / weights).parent.mkdir(exist_ok=True)
        (tmp_path / weights).touch()
    preflight.check_config(cfg)
    # see docs/troubleshooting.md: the demo's grid is as small as its crops
    assert ['labeler.radius' in text for text in doubts(cfg)] == [True] * (
        path == DEMO)


def test_number_of_classes(cfg):
    cfg.model.decode_head.num_classes = 21
    problem, = problems(cfg)
    assert problem == (
        'train_dataloader.dataset and val_dataloader.dataset: 6 classes with '
        'background (background, cat, cow, ...), but '
        'model.decode_head.num_classes is 21. Set it to 6, or correct the '
        'data set.')


@pytest.mark.parametrize('wrap', [
    lambda one: dict(type='RepeatDataset', times=2, dataset=one),
    lambda one: dict(type='ConcatDataset', datasets=[one, one]),
    lambda one: dict(type='Unheard', of=one),
])
def test_wrapped_data_sets(cfg, wrap):
    cfg.train_dataloader.dataset = wrap(cfg.train_dataloader.dataset)
    preflight.check_config(cfg)
    doubts(cfg)
    cfg.model.decode_head.num_classes = 21
    known = 'Unheard' not in cfg.train_dataloader.dataset.type
    assert ('train_dataloader' in problems(cfg)[0]) == known


def test_all_problems_at_once(cfg):
    cfg.merge_from_dict({
        'train_dataloader.dataset.label_file': 'none.txt',
        'model.labeler.bkg_low': 0.8,
        'train_cfg.max_iters': 301,
        'load_from': 'last.pth',
        'optim_wrapper.accumulative_counts': 4
    })
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='none.pth')
    classes, scores, phases, weights, load_from, counts = problems(cfg)
    assert 'train_dataloader.dataset.label_file' in classes
    assert 'none.txt: no such' in classes
    assert scores.startswith('model.labeler') and 'bkg_low=0.8' in scores
    assert 'max_iters is 301' in phases and 'cam_iters=300' in phases
    assert 'model.backbone.init_cfg=None' in weights
    assert load_from.startswith('load_from: last.pth')
    assert 'model.train_cfg.accumulative_counts=4' in counts


def test_wrong_train_cfg(cfg):
    cfg.model.train_cfg.switch_iter = 1
    problem, = problems(cfg)
    assert problem.startswith('model.train_cfg.switch_iter (1)')


def test_addresses_are_not_looked_up(cfg):
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')
    cfg.load_from = 'https://example.com/x.pth'
    preflight.check_config(cfg)


@pytest.mark.parametrize('max_iters, expected', [
    (301, 'never be trained'),
    (302, 'Refined labels are never made'),
    (501, 'Refined labels are never made'),
    (502, None),
])
def test_phases(cfg, max_iters, expected):
    """Iterations up to cam_iters=300 classify, up to switch_iter=500 have CAM
    labels."""
    cfg.train_cfg.max_iters = max_iters
    found = [text for text in doubts(cfg) if 'radius' not in text]
    if expected == 'never be trained':
        assert expected in problems(cfg)[0]
        return
    preflight.check_config(cfg)
    assert any('fades out at iteration 901' in text for text in found)
    assert sum('Affinity' in text for text in found) == bool(expected)
    cfg.model.affinity_head = None
    assert not any('ffinity' in text for text in doubts(cfg))


@given(st.integers(1, 10**5), st.integers(0, 10**5), st.integers(0, 10**5))
def test_each_phase_that_is_missing_is_told(max_iters, cam_iters, more):
    """By the schedule that AFA itself follows."""
    schedule = dict(cam_iters=cam_iters, switch_iter=cam_iters + more)
    cfg = Config(
        dict(
            model=dict(affinity_head=dict(type='AFAHead'), train_cfg=schedule),
            train_cfg=dict(max_iters=max_iters)))
    last = phase_of(max_iters - 1, schedule)
    assert any(preflight.no_segmentation(cfg)) == (last == 'classify')
    assert any(preflight.no_affinity(cfg)) == (last != 'refined')


@pytest.mark.parametrize('end, expected', [
    (899, 'trains nothing'),
    (900, None),
    (901, None),
    (1800, 'still high'),
])
def test_end_of_the_learning_rate(cfg, end, expected):
    cfg.param_scheduler[1].end = end
    found = [text for text in doubts(cfg) if 'param_scheduler' in text]
    assert len(found) == bool(expected)
    assert all(expected in text for text in found)


def test_warm_up_alone_has_no_end(cfg):
    del cfg.param_scheduler[1]
    assert not any('param_scheduler' in text for text in doubts(cfg))


@pytest.mark.parametrize('crop, radius, advised', [
    (512, 8, None),
    (384, 8, None),
    (256, 8, 4),
    (128, 8, 2),
    (128, 2, None),
    (96, 8, 2),
    (64, 8, 1),
])
def test_radius(cfg, crop, radius, advised):
    cfg.model.labeler.radius = radius
    cfg.train_dataloader.dataset.pipeline[3].crop_size = crop
    found = [text for text in doubts(cfg) if 'radius' in text]
    assert len(found) == bool(advised)
    for text in found:
        assert f'model.labeler.radius={advised}.' in text
        assert f'grid of {-(-crop * 3 // 32)} cells' in text


@pytest.mark.parametrize('patch_size, crop, cells', [
    (14, 448, 48),
    (14, 518, 56),
    (16, 512, 48),
    (None, 512, 48),
])
def test_radius_of_a_vit(patch_size, crop, cells):
    """Its grid is that of the patches."""
    cfg = Config.fromfile(ROOT / 'configs/mix/afa_dinov2-base_voc.py')
    cfg.train_dataloader.dataset.pipeline[3].crop_size = (crop, crop)
    cfg.model.backbone.patch_size = patch_size
    assert not list(preflight.wide_radius(cfg))
    cfg.model.labeler.radius = 24
    text, = preflight.wide_radius(cfg)
    assert f'grid of {cells} cells' in text


@given(st.integers(32, 2048), st.integers(1, 64))
def test_the_radius_that_is_advised_is_accepted(crop, radius):
    cfg = Config(
        dict(
            model=dict(
                affinity_head=dict(type='AFAHead'),
                backbone=dict(),
                labeler=dict(radius=radius)),
            train_dataloader=dict(
                dataset=dict(pipeline=[dict(crop_size=(crop, 2 * crop))]))))
    for text in preflight.wide_radius(cfg):
        cfg.model.labeler.radius = int(text.rstrip('.').rpartition('=')[2])
        assert cfg.model.labeler.radius < radius
        assert not list(preflight.wide_radius(cfg))


def test_the_tool_stops_before_the_runner(tmp_path):
    with pytest.raises(SystemExit) as stop:
        run_here(train.main, tmp_path / 'work',
                 ['train_dataloader.dataset.label_file=none.txt'], DEMO)
    assert 'none.txt: no such label file' in stop.value.code
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('free, expected', [
    (10**6, 'a checkpoint takes about 0.04 GB: delete'),
    (10**8, 'kept take about 0.19'),
    (10**10, None),
])
def test_disk(tmp_path, data_root, monkeypatch, free, expected):
    """Before data is loaded, and in the log."""
    monkeypatch.setattr(shutil, 'disk_usage',
                        lambda path: types.SimpleNamespace(free=free))
    options = [
        f'train_dataloader.dataset.data_root={data_root}',
        f'val_dataloader.dataset.data_root={data_root}',
        'train_dataloader.dataset.ann_file=none.txt'
    ]
    with pytest.raises((SystemExit, FileNotFoundError)) as stop:
        run_here(train.main, tmp_path, options, DEMO)
    log, = [path.read_text() for path in tmp_path.glob('*/*.log')]
    assert 'model.labeler.radius is 8' in log
    if stop.type is SystemExit:
        assert expected in stop.value.code
    else:
        assert 'none.txt' in str(stop.value)
        assert ('GB free' in log) == bool(expected)
        assert expected is None or expected in log
