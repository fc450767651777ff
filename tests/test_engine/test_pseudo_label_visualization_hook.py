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
from mmseg.registry import HOOKS, MODELS
from mmseg.structures import SegDataSample

from mmseg_afa.engine import launch
from mmseg_afa.engine.hooks import PseudoLabelVisualizationHook
from mmseg_afa.engine.hooks import pseudo_label_visualization_hook as room
from mmseg_afa.visualization import WeakSegLocalVisualizer
from tests.test_reference.reference import ROOT

DEMO = ROOT / 'configs/afa/afa_mit-b0_demo.py'
ITERS, CAM_ITERS, SWITCH_ITER = 6, 1, 3


class Watch(Hook):
    """Keeps what a hook must not change, from before it and from after."""

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
          backends=('LocalVisBackend', ),
          watches=()):
    """Six iterations through all three phases; the Runner."""
    cfg = Config.fromfile(DEMO)
    cfg.model.train_cfg.update(cam_iters=CAM_ITERS, switch_iter=SWITCH_ITER)
    cfg.train_cfg.max_iters = ITERS
    cfg.train_dataloader.dataset.data_root = str(data_root)
    cfg.train_dataloader.batch_size = 3
    cfg.optim_wrapper.accumulative_counts = 3  # gradients that outlast a step
    cfg.default_hooks.checkpoint.save_best = None
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{part}'] = cfg[f'test_{part}'] = None
    cfg.visualizer.vis_backends = [dict(type=name) for name in backends]
    cfg.custom_hooks = list(hooks)
    cfg.work_dir, cfg.experiment_name = str(work_dir), work_dir.name
    cfg.launcher, cfg.log_level = 'none', 'ERROR'
    runner = launch.build_runner(cfg)
    for watch, priority in watches:
        runner.register_hook(watch, priority)
    runner.train()
    return runner


def hook(**kwargs):
    """In each phase it draws once."""
    return dict(type='PseudoLabelVisualizationHook', interval=2, **kwargs)


def weights(runner):
    return torch.cat([p.flatten() for p in runner.model.state_dict().values()])


def pictures(work_dir):
    """List the iterations of the pictures of a run."""
    return {
        int(path.stem.rpartition('_')[2])
        for path in work_dir.glob('*/vis_data/vis_image/pseudo_labels_*.png')
    }


def test_training_is_not_disturbed(data_root, tmp_path):
    """Bit for bit the same weights, and nothing else is changed between a
    hook before and a hook after it."""
    plain = train(data_root, tmp_path / 'plain')
    before, after = [], []
    drawn = train(
        data_root,
        tmp_path / 'drawn', [hook()],
        watches=[(Watch(before), 'HIGH'), (Watch(after), 'NORMAL')])
    assert torch.equal(weights(plain), weights(drawn))
    assert len(before) == ITERS and before == after
    assert [len(seen[5]) > 0 for seen in before] == 2 * [True, True, False]
    assert not pictures(tmp_path / 'plain')
    assert pictures(tmp_path / 'drawn') == {2, 4, 6}


def test_each_phase(data_root, tmp_path, monkeypatch):
    """The columns of the phase that the iteration was in, as the network saw
    the images."""
    seen = []
    draw_sheet = WeakSegLocalVisualizer.draw_sheet
    monkeypatch.setattr(
        WeakSegLocalVisualizer, 'draw_sheet', lambda self, rows, captions:
        (seen.append((rows, captions)), draw_sheet(self, rows, captions))[1])
    train(data_root, tmp_path, [hook(num_images=2)])
    for iteration, (rows, captions) in zip((1, 3, 5), seen):
        columns = ['image', 'CAM', 'affinity CAM', 'segmentation']
        words = 'classification only'
        if iteration > CAM_ITERS:
            label = 'refined' if iteration > SWITCH_ITER else 'CAM'
            columns.insert(3, f'{label} label')
            words = f'under its {label} label'
        assert len(rows) == len(captions) == 2
        for row, caption in zip(rows, captions):
            assert list(row) == columns
            assert caption.endswith(f'({words})')
            assert row['image'].shape == (96, 96, 3)


def demo_model():
    init_default_scope('mmseg')
    cfg = Config.fromfile(DEMO)
    torch.manual_seed(0)
    return revert_sync_batchnorm(MODELS.build(cfg.model)).eval()


@pytest.mark.parametrize('phase', ['cam', 'refined'])
def test_label_is_the_one_of_training(phase):
    """In evaluation mode training makes this very label; the crop's frame is
    ignored."""
    model = demo_model()
    inputs = torch.randn(1, 3, 64, 64)
    sample = SegDataSample(metainfo=dict(img_box=(8, 64, 0, 64)))
    sample.set_field(torch.eye(5)[2], 'image_label', dtype=None)
    shown, = room.stages_of(model, inputs, [sample], phase)
    labels = model.pseudo_labels(
        inputs, model.images(inputs),
        room.PresentClasses.from_image_label(sample.image_label[None]),
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


@pytest.fixture(scope='module')
def trained(data_root, tmp_path_factory):
    """Train, and load one more batch."""
    runner = train(data_root, tmp_path_factory.mktemp('run'))
    return runner, next(iter(runner.train_dataloader))


def test_image_is_that_of_the_network(trained, monkeypatch):
    """RGB, and black outside of the image."""
    runner, batch = trained
    rows = []
    monkeypatch.setattr(runner.visualizer, 'draw_sheet',
                        lambda sheet, _: rows.extend(sheet))
    PseudoLabelVisualizationHook(num_images=2).draw(runner, batch)
    for row, image in zip(rows, batch['inputs']):
        expected = image.flip(0).permute(1, 2, 0).numpy()
        # `denormalize` says why some are one too low
        assert np.abs(row['image'].astype(int) - expected).max() <= 1


def test_tensorboard(data_root, tmp_path):
    pytest.importorskip('tensorboard')
    train(data_root, tmp_path, [hook()], ['TensorboardVisBackend'])
    from tensorboard.backend.event_processing.event_accumulator import \
        EventAccumulator
    folder, = tmp_path.glob('*/vis_data')
    events = EventAccumulator(str(folder), dict(images=0)).Reload()
    steps = [image.step for image in events.Images('pseudo_labels')]
    assert steps == [2, 4, 6]


def test_main_process_only(monkeypatch):
    """The others do not even look at the batch."""
    monkeypatch.setattr(room, 'is_main_process', lambda: False)
    PseudoLabelVisualizationHook(interval=1).after_train_iter(
        SimpleNamespace(iter=0), 0)


def test_amp(trained, monkeypatch):
    """What autocast to bfloat16 computes can be drawn."""
    runner, batch = trained
    monkeypatch.setattr(runner.optim_wrapper, 'optim_context',
                        lambda _: torch.autocast('cpu', dtype=torch.bfloat16))
    sheet = PseudoLabelVisualizationHook().draw(runner, batch)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3


def test_mistakes():
    from mmseg.visualization import SegLocalVisualizer
    model = demo_model()
    mine = HOOKS.build(hook())
    runner = SimpleNamespace(
        model=model.backbone, visualizer=WeakSegLocalVisualizer())
    with pytest.raises(TypeError, match='AttnMix.* makes no pseudo labels'):
        mine.before_train(runner)
    runner = SimpleNamespace(model=model, visualizer=SegLocalVisualizer())
    with pytest.raises(TypeError, match="set visualizer.type='WeakSeg"):
        mine.before_train(runner)
