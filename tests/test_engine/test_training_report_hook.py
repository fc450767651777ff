# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.engine import launch
from mmseg_afa.engine.hooks import TrainingReportHook
from tests.conftest import ANIMALS, DEMO


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Draw noise with tags: every photo shows a cat, and none a bird."""
    root = tmp_path_factory.mktemp('report')
    rng = np.random.default_rng(0)
    (root / 'JPEGImages').mkdir()
    lines = ['# ' + ','.join(ANIMALS)]
    for i in range(6):
        image = rng.integers(256, size=(64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'JPEGImages/{i}.png'), image)
        lines.append(f'{i}: cat' + ', dog' * (i < 3))
    (root / 'image_labels.txt').write_text('\n'.join(lines))
    return root


def train(root, work_dir, **options):
    """Take six steps through all phases; validate with tags alone."""
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict({
        'model.train_cfg': dict(cam_iters=1, switch_iter=3),
        'train_cfg': dict(max_iters=6, val_interval=3),
        'default_hooks.checkpoint.save_best': None,
        'custom_hooks': [],
        'work_dir': str(work_dir),
        'launcher': 'none',
        **options
    })
    data = dict(
        type='WeakLabelDataset',
        data_root=str(root),
        label_file='image_labels.txt',
        data_prefix=dict(img_path='JPEGImages'))
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset = dict(
        data, pipeline=cfg.train_dataloader.dataset.pipeline)
    cfg.val_dataloader.dataset = dict(
        data,
        test_mode=True,
        pipeline=[dict(type='LoadWeakImage'),
                  dict(type='PackWeakSegInputs')])
    cfg.val_evaluator = [dict(type='ImageLabelMetric')]
    runner = launch.build_runner(cfg)
    runner.train()
    log, = work_dir.glob('*/*.log')
    return log.read_text()


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(TrainingReportHook, 'interval', 1)


def test_report_of_a_training(root, tmp_path, every_step):
    """Name the class on every photo in the file and in the last lines."""
    log = train(root, tmp_path)
    report = json.loads((tmp_path / 'training_report.json').read_text())
    assert (report['iteration'], report['photos'],
            report['untagged']) == (6, 6, 0)
    classes = {one['name']: one for one in report['classes']}
    assert list(classes) == list(ANIMALS)
    assert [one['photos'] for one in classes.values()] == [6, 0, 3, 0, 0]
    assert [one['chance'] for one in classes.values()] == [100, 0, 50, 0, 0]
    assert classes['cat']['AP'] == 100 and classes['bird']['AP'] is None
    assert classes['bird']['label'] == 0
    shares = [one['label'] for one in classes.values()]
    assert report['foreground'] == pytest.approx(sum(shares), abs=0.01)
    assert 0 <= sum(one['predicted'] for one in classes.values()) <= 100.01
    assert classes['cat']['inverted'] is not None
    assert classes['dog']['inverted'] is None  # on three photos only
    assert report['warnings'][0].startswith(
        ('cat: on at least 95 %', f'{report["foreground"]:.1f} % of'))
    assert 'Iteration 3:' in log and 'Iteration 6:' in log
    end = log[log.index('The training may have failed:'):].splitlines()
    assert [line[2:] for line in end[1:-1]] == report['warnings']
    assert end[-1].endswith('"The log warns that the training fails".')


def test_classification_without_cam(root, tmp_path):
    """Judge no prediction of weights that are not trained, and no CAM."""
    train(
        root, tmp_path, **{
            'model.test_cfg.sources': ('seg', ),
            'model.train_cfg': dict(cam_iters=6, switch_iter=6)
        })
    report = json.loads((tmp_path / 'training_report.json').read_text())
    for one in report['classes']:
        assert one['predicted'] is one['inverted'] is one['label'] is None


def test_labels_are_those_since_the_last_report(root, tmp_path, every_step,
                                                monkeypatch):
    seen = []
    clear = TrainingReportHook.after_val_epoch

    def record(self, runner, metrics):
        seen.append(self.counts['label'].sum() + 0)
        seen.append(int(self.counts['crops'][0]))
        clear(self, runner, metrics)

    monkeypatch.setattr(TrainingReportHook, 'after_val_epoch', record)
    train(root, tmp_path)
    assert seen[1::2] == [2, 6]  # crops of one step, and of three
    assert all(0 < pixels <= crops * 96 * 96
               for pixels, crops in zip(seen[::2], seen[1::2]))


def test_other_models_have_no_report(tmp_path, every_step):
    """Do nothing for the other configs that inherit the hook."""
    hook = TrainingReportHook()

    class Runner:
        model = torch.nn.Linear(1, 1)
        train_dataloader = type('Loader', (), dict(dataset=[1]))
        val_loop, iter, logger = None, 0, None

    hook.before_train(Runner)
    hook.after_train_iter(Runner, 0, {}, {})
    hook.after_val_iter(Runner, 0, {}, [None])
    hook.after_val_epoch(Runner, {})
    hook.after_train(Runner)
