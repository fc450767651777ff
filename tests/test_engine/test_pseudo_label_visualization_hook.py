# Copyright (c) mmseg_afa contributors. All rights reserved.
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from mmseg_afa.engine import launch
from mmseg_afa.engine.hooks import PseudoLabelVisualizationHook
from mmseg_afa.engine.hooks import pseudo_label_visualization_hook as room
from mmseg_afa.visualization import WeakSegLocalVisualizer
from tests.test_reference.reference import ROOT

DEMO = ROOT / 'configs/afa/afa_mit-b0_demo.py'


class Watch(Hook):
    """Record what a hook must not change."""

    def __init__(self, seen):
        self.seen = seen

    def after_train_iter(self, runner, *args, **kwargs):
        model = runner.model
        parameters = list(model.parameters())
        self.seen.append((
            random.getstate()[1],
            np.random.get_state()[1].tolist(),
            torch.get_rng_state().tolist(),
            [m.training for m in model.modules()],
            [buffer.tolist() for buffer in model.buffers()],
            [
                float(p.grad.double().sum()) for p in parameters
                if p.grad is not None
            ],
            runner.message_hub.get_info('iter'),
        ))


def train(data_root,
          work_dir,
          hooks=(),
          watches=(),
          backend='LocalVisBackend'):
    """Train for six iterations, through all three phases."""
    cfg = Config.fromfile(DEMO)
    cfg.model.train_cfg.update(cam_iters=1, switch_iter=3)
    cfg.train_cfg.max_iters = 6
    cfg.train_dataloader.dataset.data_root = str(data_root)
    cfg.train_dataloader.batch_size = 3
    cfg.optim_wrapper.accumulative_counts = 3  # gradients that outlast a step
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{part}'] = cfg[f'test_{part}'] = None
    cfg.custom_hooks = list(hooks)
    cfg.visualizer.vis_backends = [dict(type=backend)]
    cfg.work_dir, cfg.experiment_name = str(work_dir), work_dir.name
    cfg.launcher, cfg.log_level = 'none', 'ERROR'
    runner = launch.build_runner(cfg)
    for watch, priority in watches:
        runner.register_hook(watch, priority)
    runner.train()
    return runner


def hook(**kwargs):
    """Draw once in each phase."""
    return dict(type='PseudoLabelVisualizationHook', interval=2, **kwargs)


def weights(runner):
    return torch.cat([p.flatten() for p in runner.model.state_dict().values()])


def test_training_is_not_disturbed(data_root, tmp_path):
    """End with the same weights, bit for bit, and change nothing else."""
    plain = train(data_root, tmp_path / 'plain')
    before, after = [], []
    drawn = train(
        data_root,
        tmp_path / 'drawn', [hook()],
        watches=[(Watch(before), 'HIGH'), (Watch(after), 'NORMAL')])
    assert torch.equal(weights(plain), weights(drawn))
    assert len(before) == 6 and before == after
    assert [len(seen[5]) > 0 for seen in before] == 2 * [True, True, False]
    folder, = tmp_path.glob('drawn/*/vis_data/vis_image')
    assert {path.name
            for path in folder.iterdir()
            } == {f'pseudo_labels_{i}.png'
                  for i in (2, 4, 6)}


def test_pictures(data_root, tmp_path, monkeypatch):
    """Draw the columns of the phase, and the image that the network saw."""
    batches, sheets = [], []
    plain_draw = PseudoLabelVisualizationHook.draw
    draw_sheet = WeakSegLocalVisualizer.draw_sheet

    def draw(self, runner, batch):
        batches.append(batch)
        return plain_draw(self, runner, batch)

    def sheet(self, rows, captions):
        sheets.append(rows)
        return draw_sheet(self, rows, captions)

    monkeypatch.setattr(PseudoLabelVisualizationHook, 'draw', draw)
    monkeypatch.setattr(WeakSegLocalVisualizer, 'draw_sheet', sheet)
    train(data_root, tmp_path, [hook(num_images=2)])
    for label, rows, batch in zip(([], ['CAM label'], ['refined label']),
                                  sheets, batches):
        assert len(rows) == 2
        for row, image in zip(rows, batch['inputs']):
            assert list(row) == [
                'image', 'CAM', 'affinity CAM', *label, 'segmentation'
            ]
            expected = image.flip(0).permute(1, 2, 0).numpy()
            # `denormalize` says why some are one too low
            assert np.abs(row['image'].astype(int) - expected).max() <= 1


def demo_model():
    init_default_scope('mmseg')
    cfg = Config.fromfile(DEMO)
    torch.manual_seed(0)
    return revert_sync_batchnorm(MODELS.build(cfg.model)).eval()


@pytest.mark.parametrize('phase', ['cam', 'refined'])
def test_label_is_the_one_of_training(phase):
    """Draw the label of training in evaluation mode, with an ignored frame."""
    model = demo_model()
    inputs = torch.randn(1, 3, 64, 64)
    sample = SegDataSample(metainfo=dict(img_box=(8, 64, 0, 64)))
    sample.set_field(torch.eye(5)[2], 'image_label', dtype=None)
    shown, = room.stages_of(model, inputs, [sample], phase)
    labels = model.pseudo_labels(
        inputs, model.images(inputs),
        model.labeler.present_classes(sample.image_label[None]),
        torch.tensor([[8, 64, 0, 64]]), phase)
    label = shown.get(f'{phase}_label').data
    assert torch.equal(label, labels.seg)
    assert (label[:, :8] == 255).all()
    assert shown.cam.shape == (64, 64) and shown.cam.data.shape[0] == 5
    assert shown.cam.data[2].max() > 0.99
    assert not shown.cam.data[[0, 1, 3, 4]].any()
    affinity_cam = shown.affinity_cam.data
    assert affinity_cam.shape == (6, 64, 64)
    assert not affinity_cam[[1, 2, 4, 5]].any()
    assert set(sample.keys()) == {'image_label'}


def test_mistakes():
    model = demo_model()
    for model, visualizer in [(model.backbone, WeakSegLocalVisualizer()),
                              (model, SegLocalVisualizer())]:
        runner = SimpleNamespace(model=model, visualizer=visualizer)
        with pytest.raises(TypeError, match="AFA and visualizer.type='WeakS"):
            PseudoLabelVisualizationHook().before_train(runner)


def test_tensorboard(data_root, tmp_path):
    pytest.importorskip('tensorboard')
    train(data_root, tmp_path, [hook()], backend='TensorboardVisBackend')
    from tensorboard.backend.event_processing.event_accumulator import \
        EventAccumulator
    folder, = tmp_path.glob('*/vis_data')
    events = EventAccumulator(str(folder), dict(images=0)).Reload()
    steps = [image.step for image in events.Images('pseudo_labels')]
    assert steps == [2, 4, 6]
