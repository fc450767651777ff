# Copyright (c) mmseg_afa contributors. All rights reserved.
"""lr_schedule*.npz and trajectory_*.npz, through the real Runner."""
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import DATASETS, PARAM_SCHEDULERS
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

from mmseg_afa.models import PresentClasses
from tools.model_converters.afa2mmseg import convert
from . import reference as ref


def base_lr_group(model, optim_wrapper):
    """Find the parameter group of a weight with the base learning rate."""
    weight = model.backbone.layers[0][0].projection.weight
    for group in optim_wrapper.param_groups:
        if any(p is weight for p in group['params']):
            return group


@pytest.mark.parametrize('name', ref.names('lr_schedule'))
def test_lr_schedule(name):
    data = ref.load(name)
    cfg = ref.config(name)
    wrapper = build_optim_wrapper(torch.nn.Linear(1, 1), cfg.optim_wrapper)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(optimizer=wrapper, **scheduler))
        for scheduler in cfg.param_scheduler
    ]
    rates = []
    for _ in range(int(data['iters'].max()) + 1):
        rates.append(wrapper.param_groups[0]['lr'])
        for scheduler in schedulers:
            scheduler.step()
    ref.assert_close(
        torch.tensor(rates, dtype=torch.float64)[data['iters']], data['lr'])


@DATASETS.register_module()
class ReferenceBatches(Dataset):
    """Return the images of a trajectory one after the other, in BGR."""

    metainfo = dict(classes=('background', ))

    def __init__(self, name):
        data = ref.load(name)
        self.images = data['images'].flatten(0, 1).flip(1)
        self.labels = data['image_labels'].flatten(0, 1)
        self.boxes = data['img_boxes'].flatten(0, 1).tolist()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        sample = SegDataSample(metainfo=dict(img_box=tuple(self.boxes[i])))
        sample.set_field(self.labels[i], 'image_label')
        return dict(inputs=self.images[i], data_samples=sample)


def published_norms(tensors, name):
    """Compute the norms of the model's tensors by their published names."""
    shapes = ref.published_shapes(ref.meta(name)['num_classes'])
    out = {}
    for published, shape in shapes.items():
        if '.attn.q.' in published or '.attn.kv.' in published:
            query = '.attn.q.' in published
            pair = {
                published.replace('.kv.', '.q.').replace('.q.', f'.{x}.'):
                torch.zeros(1)
                for x in ('q', 'kv')
            }
            own, = convert(pair)
            tensor = tensors.get(own)
            size = shape[0] if query else shape[0] // 2
            tensor = tensor[:size] if query else tensor[size:]
        else:
            own, = convert({published: torch.zeros(1)})
            if own not in tensors:
                continue  # a buffer
            tensor = tensors[own]
        out[published] = tensor.detach().double().norm()
    return out


class TrajectoryRecorder(Hook):
    """Record labels, losses, rates and gradients of each step."""

    priority = 'LOWEST'

    def __init__(self):
        self.steps = []
        self.grads = []

    def before_train(self, runner):
        model, wrapper = runner.model, runner.optim_wrapper
        pseudo_labels, step = model.pseudo_labels, wrapper.step

        def recorded_labels(*args, **kwargs):
            self.labels = pseudo_labels(*args, **kwargs)
            return self.labels

        def recorded_step(**kwargs):
            self.grads.append({
                k: p.grad.clone()
                for k, p in model.named_parameters()
            })
            step(**kwargs)

        model.pseudo_labels = recorded_labels
        wrapper.step = recorded_step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Record labels and losses of steps that train the classifier only."""
        model = runner.model
        self.step = dict(lr=base_lr_group(model, runner.optim_wrapper)['lr'])
        if model.phase(runner.iter) != 'classify':
            return
        batch = model.data_preprocessor(data_batch, True)
        labels = torch.stack([s.image_label for s in batch['data_samples']])
        boxes = torch.tensor([s.img_box for s in batch['data_samples']])
        image = model.images(batch['inputs'])
        pseudo = model.pseudo_labels(batch['inputs'], image,
                                     PresentClasses.from_image_label(labels),
                                     boxes, 'cam')
        with torch.no_grad():
            losses = model.loss_by_label(batch['inputs'], image, labels, boxes,
                                         pseudo)
        self.step.update(self.named(losses))

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        self.step.update(self.named(outputs))
        self.step['label'] = self.labels.seg
        size = [-(-n // 16) for n in self.labels.seg.shape[-2:]]
        pairs = runner.model.labeler.affinity_label(self.labels.affinity, size)
        self.step['afflabel_hist'] = torch.stack([(pairs == v).sum()
                                                  for v in (0, 1, 255)])
        self.steps.append(self.step)

    @staticmethod
    def named(losses):
        """Divide the losses by their weights in the configs."""
        weights = dict(
            cls=('decode.loss_cls', 1.),
            seg=('decode.loss_seg', 0.1),
            aff=('affinity.loss_aff', 0.1))
        return {
            f'{name}_loss': losses[key].detach() / weight
            for name, (key, weight) in weights.items() if key in losses
        }


@pytest.mark.parametrize('name', ref.names('trajectory_'))
def test_trajectory(name, tmp_path):
    data, about = ref.load(name), ref.meta(name)
    iters, coco = int(data['iters']), bool(data['coco'])
    cfg = ref.config(
        name, 'configs/afa/afa_mit-b1_coco.py'
        if coco else 'configs/afa/afa_mit-b0_voc.py')
    cfg.model.backbone.update(arch='b0', drop_path_rate=0.)
    cfg.model.decode_head.update(
        in_channels=[32, 64, 160, 256], dropout_ratio=0.)
    cfg.model.train_cfg.update(
        cam_iters=int(data['cam_iters']), switch_iter=int(data['switch_iter']))
    warmup = about['warmup_iters']
    cfg.optim_wrapper.optimizer.lr = about['base_lr']
    cfg.param_scheduler[0].end = warmup + 1
    cfg.param_scheduler[1].update(
        start_factor=1 - warmup / iters, begin=warmup, end=iters + 1)
    cfg.train_cfg.update(max_iters=iters, val_interval=iters + 1)
    cfg.auto_scale_lr = None  # the rates are those of the batch
    cfg.train_dataloader = dict(
        batch_size=data['images'].shape[1],
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='ReferenceBatches', name=name))
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg',
                'test_dataloader', 'test_evaluator'):
        cfg[key] = None
    cfg.default_hooks.checkpoint.update(interval=-1, save_best=None)
    cfg.work_dir = str(tmp_path)
    cfg.load_from = str(tmp_path / 'published.pth')
    torch.save(convert(ref.published_checkpoint(name)), cfg.load_from)
    cfg.experiment_name = f'{name}_{tmp_path.name}'

    runner = Runner.from_cfg(cfg)
    recorder = TrajectoryRecorder()
    runner.register_hook(recorder)
    runner.train()

    assert len(recorder.steps) == iters
    for key in ('lr', 'cls_loss', 'seg_loss', 'aff_loss'):
        ref.assert_close(
            torch.stack([torch.as_tensor(s[key]) for s in recorder.steps]),
            data[key])
    for n, step in enumerate(recorder.steps):
        ref.assert_same_labels(step['label'], data[f'label{n}'])
        assert torch.equal(step['afflabel_hist'],
                           data[f'afflabel_hist{n}']), f'step {n}'
    params = published_norms(dict(runner.model.named_parameters()), name)
    compare_norms(params, data, 'param_norm')
    compare_norms(published_norms(recorder.grads[0], name), data, 'grad0')
    # Labels may differ in two of 10,000 pixels, which changed these norms by
    # up to 3e-4 with other weights.
    compare_norms(
        published_norms(recorder.grads[-1], name),
        data,
        f'grad{iters - 1}',
        rtol=1e-3)


def compare_norms(norms, data, prefix, rtol=ref.RTOL):
    """Compare all norms of a group, relative to the largest of them."""
    expected = {
        k[len(prefix) + 1:]: v
        for k, v in data.items() if k.startswith(f'{prefix}/')
    }
    assert set(expected) == set(norms)
    ref.assert_close(
        torch.stack([norms[k] for k in expected]),
        torch.stack([v.double() for v in expected.values()]), rtol)
