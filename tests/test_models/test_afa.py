# Copyright (c) mmseg_afa contributors. All rights reserved.
from unittest import mock

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_afa.models import SOURCES, PresentClasses
from mmseg_afa.models.segmentors import afa as module
from mmseg_afa.models.segmentors.logits import TTA
from mmseg_afa.models.segmentors.maps import FIELDS, predict_step
from mmseg_afa.models.utils import replace_by_masks
from mmseg_afa.utils import UserError
from tests.test_reference import reference as ref
from tests.test_reference.reference import ROOT

EVERY_CLASS = PresentClasses.from_image_label(torch.ones(2, 5))
WHOLE = torch.tensor([[0, 48, 0, 64]] * 2)


def build(**model):
    """Build the demo's model, with its PAR."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(ROOT / 'configs/afa/afa_mit-b0_demo.py')
    cfg.merge_from_dict(dict(model=model))
    cfg.model.decode_head.norm_cfg.type = 'BN'
    if cfg.model.labeler.refiner:
        cfg.model.labeler.refiner.num_iter = 2
    torch.manual_seed(0)
    net = MODELS.build(cfg.model)
    net.init_weights()
    return net


def batch(size=(48, 64), boxes=None, labels=((1, 0, 1, 0, 0), (0, ) * 5)):
    """Normalised crops and their samples."""
    torch.manual_seed(1)
    data = []
    for i, label in enumerate(labels):
        sample = SegDataSample(
            metainfo=dict(
                img_shape=size,
                ori_shape=size,
                img_box=boxes[i] if boxes else (0, size[0], 0, size[1])))
        sample.set_field(torch.tensor(label).float(), 'image_label')
        data.append(sample)
    return torch.randn(len(labels), 3, *size), data


def loss_at(net, iteration, *args, **kwargs):
    """Compute the losses of a step at an iteration."""
    with mock.patch.object(module, 'current_iteration', lambda: iteration):
        return net.loss(*batch(*args, **kwargs))


def labels_of(net, phase, classes=EVERY_CLASS):
    inputs, _ = batch()
    return net.pseudo_labels(inputs, net.images(inputs), classes, WHOLE, phase)


def test_phases():
    net = build(train_cfg=dict(cam_iters=2, switch_iter=6))
    assert [net.phase(i) for i in range(9)
            ] == ['classify'] * 3 + ['cam'] * 4 + ['refined'] * 2
    net.affinity_head = None
    assert net.phase(8) == 'cam'


@pytest.mark.parametrize('iteration', [0, 500, 900])
def test_every_parameter_gets_a_gradient(iteration):
    """Distributed training needs it, in every phase."""
    net = build()
    loss, log_vars = net.parse_losses(loss_at(net, iteration))
    loss.backward()
    missing = [n for n, p in net.named_parameters() if p.grad is None]
    assert missing == []
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    assert all(torch.isfinite(torch.as_tensor(v)) for v in log_vars.values())


def test_classification_phase_makes_no_labels():
    net = build()
    net.pseudo_labels = net.affinity_head.forward = None
    losses = loss_at(net, 0)
    assert set(losses) == {'decode.loss_cls'}


def with_masks(data, *masks):
    """Give samples trusted masks, or None."""
    for sample, mask in zip(data, masks):
        if mask is not None:
            sample.gt_sem_seg = PixelData(data=mask[None])
            sample.set_metainfo(dict(trusted=True))
    return data


def test_other_masks_do_not_train():
    """Masks from which a pipeline makes tags are not training labels."""
    samples = batch()[1]
    label = torch.zeros(len(samples), 48, 64)
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.ones(1, 48, 64))
    assert replace_by_masks(label, samples, 255) is label


HALVES = torch.zeros(48, 64).long()
HALVES[:, 32:] = 3
HALVES[:8] = 255
ALL_IGNORED = torch.full((48, 64), 255)


@pytest.mark.parametrize('iteration, affinity_from, ignore_index',
                         [(500, 'cam', 255), (900, 'cam', 77),
                          (900, 'seg', 255)])
def test_masks_replace_labels(iteration, affinity_from, ignore_index):
    """Train the image without a mask as before."""
    net = build(
        train_cfg=dict(affinity_label_from=affinity_from),
        decode_head=dict(ignore_index=ignore_index))
    inputs, data = batch()
    seen, made = [], []
    loss_by_label, pseudo_labels = net.loss_by_label, net.pseudo_labels

    def spy(*args):
        seen.append(args[-1])
        return loss_by_label(*args)

    def keep(*args):
        made.append(pseudo_labels(*args))
        return made[0]

    net.loss_by_label, net.pseudo_labels = spy, keep
    with mock.patch.object(module, 'current_iteration', lambda: iteration):
        losses = net.loss(inputs, with_masks(data, None, HALVES))
    assert losses['decode.loss_seg'] > 0 and losses['affinity.loss_aff'] > 0
    mask = HALVES.masked_fill(HALVES == 255, ignore_index)
    for name in ('seg', 'affinity'):
        first, second = getattr(seen[0], name)
        assert torch.equal(second, mask)
        assert torch.equal(first, getattr(made[0], name)[0])
    ignored = (seen[0].seg == ignore_index).float().mean()
    assert losses['label.ignored'] == ignored
    net.parse_losses(losses)[0].backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_masks_train_the_first_phase():
    """The segmentation alone; each mask has the same weight in any batch."""
    net = build().eval()
    inputs, data = batch()
    losses = []
    for masks in ((None, HALVES), (HALVES, HALVES)):
        with mock.patch.object(module, 'current_iteration', lambda: 0):
            losses.append(net.loss(inputs.clone(), with_masks(data, *masks)))
        assert set(losses[-1]) == {'decode.loss_cls', 'decode.loss_seg'}
    label = torch.full((2, *HALVES.shape), 255)
    label[1] = HALVES
    alone = net.decode_head.loss_by_label(
        net.decode_head(net.extract_feat(inputs)), label)['loss_seg']
    assert losses[0]['decode.loss_seg'].item() == pytest.approx(alone.item() /
                                                                2)
    net.parse_losses(losses[0])[0].backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('iteration', [0, 900])
def test_masks_of_ignored_pixels(iteration):
    net = build(loss_reg=dict(type='DenseEnergyLoss'))
    inputs, data = batch()
    with_masks(data, ALL_IGNORED, ALL_IGNORED)
    with mock.patch.object(module, 'current_iteration', lambda: iteration):
        losses = net.loss(inputs, data)
    assert losses['decode.loss_seg'] == 0
    assert losses.get('label.ignored', 1) == 1
    # the regularised loss begins with the CAM labels
    assert ('decode.loss_reg' in losses) == (iteration == 900)
    net.parse_losses(losses)[0].backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_another_process_has_masks():
    """Run the same layers, as SyncBN and the losses communicate in them."""
    net = build()
    with mock.patch.object(module, 'total_of_processes', lambda number: 1):
        losses = loss_at(net, 0)
    assert losses['decode.loss_seg'] == 0
    net.parse_losses(losses)[0].backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_attention_of_another_grid():
    net = build(
        backbone=dict(attn_blocks=[(2, 0)]), affinity_head=dict(in_channels=5))
    with pytest.raises(ValueError, match='attn_blocks has 6 cells, the CAM'):
        loss_at(net, 900)


@pytest.mark.parametrize('eval_mode', [False, True])
def test_mode_of_cam_passes(eval_mode):
    net = build(train_cfg=dict(cam_eval_mode=eval_mode)).train()
    modes = []
    net.backbone.register_forward_pre_hook(
        lambda module, _: modes.append(module.training))
    labels_of(net, 'cam')
    assert modes == [not eval_mode] * 6
    assert net.training and net.backbone.training


def test_another_ignore_index():
    """Labels, losses and logged shares all take the decode head's."""
    boxes = [(0, 48, 0, 64), (8, 40, 0, 32)]
    usual = loss_at(build(), 900, boxes=boxes)
    net = build(decode_head=dict(ignore_index=77))
    losses = loss_at(net, 900, boxes=boxes)
    assert losses['label.ignored'] > 0.3
    assert losses == usual


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('flat', [False, True])
def test_mixed_precision_stays_finite(dtype, flat):
    inputs, data = batch()
    if flat:  # a black image
        inputs = inputs * 0 - 2.
    net = build()
    with mock.patch.object(module, 'current_iteration', lambda: 900):
        with torch.autocast('cpu', dtype):
            losses = net.loss(inputs, data)
    assert all(v.dtype == torch.float32 for v in losses.values())
    net.parse_losses(losses)[0].backward()
    assert all(torch.isfinite(v) for v in losses.values())
    assert [n for n, p in net.named_parameters() if p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_flip_in_batch():
    """Half the CAM passes, and the same labels."""
    labels, passes = [], []
    for in_batch in (False, True):
        net = build(
            backbone=dict(drop_path_rate=0.),
            train_cfg=dict(cam_flip_in_batch=in_batch))
        net.backbone.register_forward_pre_hook(
            lambda _, args: passes.append(len(args[0])))
        labels.append(labels_of(net, 'refined'))
    assert passes == [2] * 6 + [4] * 3
    ref.assert_same_labels(labels[1].seg, labels[0].seg)


@pytest.mark.parametrize('scales', [(0.5, ), (1.5, 0.5)])
def test_scales(scales):
    """The affinity is that of the largest scale."""
    net = build(train_cfg=dict(cam_scales=scales)).eval()
    inputs, _ = batch()
    cam, affinity, grid = net.train_cam(inputs, EVERY_CLASS, True)
    assert cam.shape == (2, 5, 48, 64)
    assert (cam >= 0).all() and (cam < 1).all()
    assert grid == tuple(-(-int(max(scales) * n) // 16) for n in (48, 64))
    assert affinity.shape == (2, grid[0] * grid[1], grid[0] * grid[1])


@pytest.mark.parametrize('affinity_from, same', [('cam', False),
                                                 ('seg', True)])
def test_source_of_refined_label(affinity_from, same):
    net = build(train_cfg=dict(affinity_label_from=affinity_from))
    labels = labels_of(net, 'refined')
    assert (labels.affinity is labels.seg) == same


@pytest.mark.parametrize('size', [(16, 16), (33, 100)])
def test_crops_off_the_grid(size):
    losses = loss_at(build(), 900, size)
    assert all(torch.isfinite(v).all() for v in losses.values())


def test_nothing_confident():
    """A batch in which every pixel is ignored trains the classifier."""
    net = build()
    nothing = torch.full((2, 48, 64), 255)
    net.pseudo_labels = lambda *args: module.PseudoLabels(nothing, nothing)
    losses = loss_at(net, 900)
    assert losses['decode.loss_seg'] == 0
    assert losses['affinity.loss_aff'] == 0
    assert losses['label.ignored'] == 1
    net.parse_losses(losses)[0].backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize('background', [True, False])
def test_no_class_in_any_image(background):
    net = build(labeler=dict(background=background))
    losses = loss_at(net, 900, labels=((0, ) * 5, ) * 2)
    assert all(torch.isfinite(v).all() for v in losses.values())
    assert losses['label.foreground'] == 0
    assert losses['label.ignored'] == (not background)


def test_regularised_loss():
    net = build(loss_reg=dict(type='DenseEnergyLoss'))
    losses = loss_at(net, 900, boxes=[(0, 48, 0, 64), (8, 40, 0, 32)])
    assert losses['decode.loss_reg'] < 0
    net.parse_losses(losses)[0].backward()


def test_predict():
    net = build().eval()
    size = (37, 50)
    inputs, data = batch(size, labels=((1, 0, 1, 0, 0), ))
    out, = net.predict(inputs, data)
    assert out.pred_sem_seg.data.shape == (1, *size)
    assert out.pred_image_scores.shape == (5, )
    assert out.cam.data.shape == (5, *size)
    assert out.cam_given_tags.data.shape == (1, *size)
    assert set(out.cam_given_tags.data.unique().tolist()) <= {0, 1, 3}
    assert set(out.affinity_cam_given_tags.data.unique().tolist()) <= {0, 1, 3}
    shown = (out.pred_image_scores > 0.5).nonzero().flatten() + 1
    assert set(
        out.cam_predicted_tags.data.unique().tolist()) <= {0, *shown.tolist()}
    assert 'cam_label_given_tags' not in out

    # the segmentation does not depend on what else is asked for
    net.test_cfg.update(sources=['seg'])
    plain, = net.predict(inputs, batch(size, labels=((0, ) * 5, ))[1])
    assert 'cam' not in plain
    ref.assert_close(out.seg_logits.data, plain.seg_logits.data, rtol=1e-5)


def test_predict_without_labels():
    """The predicted classes stand in for an unknown image label."""
    net = build().eval()
    inputs, data = batch()
    del data[0].image_label
    out, other = net.predict(inputs, data)
    shown = set((out.pred_image_scores > 0.5).nonzero().flatten().tolist())
    assert set(out.cam_predicted_tags.data.unique().tolist()) <= {
        0, *(c + 1 for c in shown)
    }
    assert 'cam_given_tags' not in out
    alone, = net.predict(inputs[1:], batch()[1][1:])
    ref.assert_same_labels(other.cam_given_tags.data,
                           alone.cam_given_tags.data)
    assert net.predict(inputs)[0].pred_sem_seg.data.shape == (1, 48, 64)


@pytest.mark.parametrize('refiner', [dict(type='PAR', num_iter=2), None])
def test_predicted_pseudo_labels_are_those_of_training(refiner):
    net = build(
        labeler=dict(refiner=refiner, bkg_high=0.6, bkg_low=0.3)).eval()
    net.test_cfg.update(sources=list(SOURCES))
    inputs, data = batch()
    classes = PresentClasses.from_image_label(
        torch.stack([s.image_label for s in data]))
    labels = labels_of(net, 'refined', classes)
    for i, sample in enumerate(net.predict(inputs, data)):
        ref.assert_same_labels(sample.cam_label_given_tags.data[0],
                               labels.affinity[i])
        ref.assert_same_labels(sample.refined_label_given_tags.data[0],
                               labels.seg[i])


def test_batch_of_several_sizes():
    """Each image is predicted as if it were alone."""
    net = build().eval()
    torch.manual_seed(2)
    sizes = [(48, 64), (37, 50), (48, 64)]
    data = dict(
        inputs=[
            torch.randint(0, 256, (3, *s), dtype=torch.uint8) for s in sizes
        ],
        data_samples=[
            SegDataSample(metainfo=dict(ori_shape=s, img_shape=s))
            for s in sizes
        ])
    with torch.no_grad():
        together = net.test_step(data)
        for i, (sample, size) in enumerate(zip(together, sizes)):
            alone, = net.test_step({k: v[i:i + 1] for k, v in data.items()})
            assert sample.pred_sem_seg.shape == size
            ref.assert_close(
                sample.seg_logits.data, alone.seg_logits.data, rtol=1e-5)


@pytest.mark.parametrize('refiner', [dict(type='PAR', num_iter=2), None])
def test_without_background(refiner):
    """Class 0 wins in no source, although the network is sure of it."""
    net = build(labeler=dict(background=False, empty_above=0.9)).eval()
    net.decode_head.conv_seg.bias.data[0] = 50
    net.test_cfg.update(sources=list(SOURCES))
    sizes = [(48, 64), (37, 50)]
    white = [torch.zeros(size, dtype=torch.bool) for size in sizes]
    data = dict(inputs=[], data_samples=batch()[1])
    for sample, size, empty in zip(data['data_samples'], sizes, white):
        empty[:20, 10:30] = True
        photo = torch.randint(0, 200, (3, *size), dtype=torch.uint8)
        photo[:, empty] = 250
        data['inputs'].append(photo)
        large = [2 * n for n in size]
        sample.set_metainfo(dict(ori_shape=large, img_shape=size))
    refiner = refiner and MODELS.build(refiner)
    for sample, empty, tags in zip(
            predict_step(net, data, refiner=refiner, tta=TTA((1, 0.5))), white,
        [{1, 3}, set()]):
        logits = sample.seg_logits.data
        assert torch.isfinite(logits).all() and (logits.argmax(0) > 0).all()
        empty = empty.repeat_interleave(2, 0).repeat_interleave(2, 1)
        for name, field in FIELDS.items():
            mask = sample.get(name).data[0]
            assert (mask[empty] == 255).all()
            assert (mask > 0).all()
            if field.tags == 'given':
                assert set(mask.unique().tolist()) <= {255, *tags}
            elif field.tags == 'none':
                assert ((mask == 255) == empty).all()


@pytest.mark.parametrize('train_cfg, message', [
    (dict(affinity_label_from='mask'), "'cam' or 'seg', got 'mask'"),
    (dict(cam_iters=10, switch_iter=5), r'switch_iter \(5\)'),
    (dict(cam_iter=10), r"unknown \['cam_iter'\]"),
])
def test_bad_train_cfg(train_cfg, message):
    with pytest.raises(ValueError, match=message):
        build(train_cfg=train_cfg)


@pytest.mark.parametrize('sources', ['cam', ['seg', 'cam-label']])
def test_bad_sources(sources):
    with pytest.raises(UserError, match=r'expected a list of seg, cam, aff'):
        build(test_cfg=dict(sources=sources))


def test_tta():
    """`tools/test.py --tta`: predictions at the original size."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(ROOT / 'configs/afa/afa_mit-b0_demo.py')
    cfg.model.decode_head.norm_cfg.type = 'BN'
    tta = MODELS.build(dict(cfg.tta_model, module=cfg.model)).eval()
    _, data = batch()
    data[0].set_metainfo(dict(ori_shape=(24, 32)))
    data[0].gt_sem_seg = PixelData(data=torch.zeros(1, 24, 32))
    loaded = dict(
        inputs=[torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8)],
        data_samples=data[:1])
    with torch.no_grad():
        out, = tta.test_step(loaded)
    assert out.pred_sem_seg.data.shape == (1, 24, 32)
    assert 'gt_sem_seg' in out
