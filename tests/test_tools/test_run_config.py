# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Choose the settings of a run, and build the configs that are written."""
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmseg_afa.engine import plan
from mmseg_afa.utils import UserError
from tests.test_configs.configs import build_shallow
from tools import run_config


def chosen(photos=10582, long_side=500, without=0., on_gpu=True, **given):
    settings = run_config.choose(given, photos, long_side, without, on_gpu)
    return {name: setting.value for name, setting in settings.items()}


def config(tmp_path, values, weights=None, labeler={}, **folders):
    folders = dict(dict(trusted=None, val_masks=None), **folders)
    path = tmp_path / 'config.py'
    path.write_text(
        run_config.config_text(
            dict(values, workers=0),
            'photos',
            'run',
            weights=weights,
            labeler=labeler,
            **folders))
    return Config.fromfile(path)


def test_voc_on_a_gpu_is_the_papers_run(tmp_path):
    """480 and not 512 pixels: photos of 500 are not enlarged."""
    values = chosen()
    assert values == dict(
        model='mit-b1',
        crop=480,
        batch=4,
        iters=20000,
        bkg_scores=(0.55, 0.35),
        empty_share=None)
    own = config(tmp_path, values)
    paper = Config.fromstring("_base_ = ['mmseg_afa::afa/afa_mit-b1_voc.py']",
                              '.py')
    for key in ('train_cfg', 'labeler', 'decode_head'):
        assert dict(
            own.model[key], num_classes=0) == dict(
                paper.model[key], num_classes=0)
    assert own.param_scheduler == paper.param_scheduler
    assert own.optim_wrapper == paper.optim_wrapper
    assert own.train_cfg.max_iters == paper.train_cfg.max_iters


def test_small_photos_on_a_cpu():
    values = chosen(180, 128, 0.74, on_gpu=False, iters=600)
    assert values == dict(
        model='mit-b0',
        crop=128,
        batch=8,
        iters=600,
        bkg_scores=(0.65, 0.45),
        empty_share=0.25)


def test_settings_of_the_command_line_win():
    given = dict(model='dinov2-s', crop=100, iters=7, bkg_scores=(0.6, 0.4))
    found = run_config.choose(given, 50, 3000, 0., True)
    assert {name: found[name].value for name in given} == given
    assert found['crop'].reason == 'as you set it'
    assert chosen(model='dinov2-s')['crop'] == 476  # 34 patches of 14 pixels
    assert chosen(long_side=20)['crop'] == 96  # the smallest


@pytest.mark.parametrize('model, weights', [
    *((model, None) for model in run_config.BASES), ('mit-b0', 'none'),
    ('mit-b3', 'w.pth'), ('deit-s', 'none'), ('dinov2-s', 'w.pth')
])
def test_config_of_each_model(tmp_path, model, weights):
    cfg = config(tmp_path, chosen(model=model, iters=300), weights)
    assert list(plan.check_plan(cfg)) == []
    backbone = cfg.model.backbone
    if weights is None:
        assert '://' in backbone.init_cfg.checkpoint
    else:
        assert (backbone.init_cfg
                or {}).get('checkpoint') == (None
                                             if weights == 'none' else weights)
    keys = cfg.optim_wrapper.paramwise_cfg.custom_keys
    assert ('norm' in keys or 'ln1' in keys) == (weights != 'none')
    assert cfg.model.train_cfg.cam_iters == 135
    assert cfg.model.train_cfg.switch_iter == 195
    backbone.init_cfg = None
    cfg.model.decode_head.num_classes = 3
    init_default_scope('mmseg')
    if model.startswith('mit'):
        build_shallow(cfg)


def test_masks_to_validate_with(tmp_path):
    cfg = config(tmp_path, chosen(), val_masks='masks', trusted='better')
    assert cfg.val_dataloader.dataset.data_prefix == dict(
        img_path='photos', seg_map_path='masks')
    assert cfg.default_hooks.checkpoint.save_best == 'mIoU'
    assert [one.type for one in cfg.val_evaluator
            ] == ['WeakIoUMetric', 'ImageLabelMetric']
    train = cfg.train_dataloader.dataset
    assert train.trusted_masks == 'better'
    assert train.data_prefix == dict(img_path='photos')
    assert 'LoadMask' in [
        one.type for one in cfg.val_dataloader.dataset.pipeline
    ]


def test_without_background(tmp_path):
    labeler = dict(background=False, empty_above=0.9)
    cfg = config(tmp_path, chosen(), labeler=labeler)
    assert {key: cfg.model.labeler[key] for key in labeler} == labeler


def test_time_becomes_iterations():
    """The phases share the time: 45 % classify, 20 % CAM labels, 35 %."""
    iters = run_config.fit_iters(10, (0.1, 0.5, 1.))
    assert run_config.duration(iters, (0.1, 0.5, 1.)) == pytest.approx(
        600, rel=0.02)
    assert run_config.fit_iters(10, (1., 1., 1.)) in range(590, 601)
    with pytest.raises(UserError, match='--minutes: found 1, too short'):
        run_config.fit_iters(1, (1., 1., 1.))


def test_each_class_is_kept_apart():
    """One photo in ten of each class, and at least one of five."""
    labels = {f'a{i}': ['a'] for i in range(100)}
    labels.update({f'ab{i}': ['a', 'b'] for i in range(40)})
    labels.update({f'c{i}': ['c'] for i in range(5)})
    labels.update({f'd{i}': ['d'] for i in range(4)})
    labels.update({f'e{i}': [] for i in range(60)})
    val = run_config.keep_apart(labels, 'abcd', hash)
    count = {one: sum(one in labels[name] for name in val) for one in 'abcd'}
    assert count.pop('b') in range(4, 8)  # a's may show b, too
    assert count == dict(a=14, c=1, d=0)
    assert sum(not labels[name] for name in val) == 6
    assert val == run_config.keep_apart(labels, 'abcd', hash)
