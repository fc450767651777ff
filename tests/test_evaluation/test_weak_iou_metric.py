# Copyright (c) mmseg_afa contributors. All rights reserved.
from unittest import mock

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from mmseg_afa.evaluation import WeakIoUMetric
from mmseg_afa.evaluation.metrics import weak_iou_metric as module
from mmseg_afa.evaluation.metrics.background_sweep import BKG_SCORES
from mmseg_afa.utils import UserError

CLASSES = ('background', 'cat', 'dog', 'cow')


def build(**kwargs):
    metric = WeakIoUMetric(**kwargs)
    metric.dataset_meta = dict(classes=CLASSES)
    return metric


def samples(seed, count=5, size=(6, 7)):
    """As `AFA.predict` gives them, with ignored pixels."""
    torch.manual_seed(seed)
    out = []
    for _ in range(count):
        label = torch.randint(0, 4, (1, *size))
        label[torch.rand(label.shape) < .2] = 255
        pseudo = torch.randint(0, 4, (1, *size))
        pseudo[torch.rand(pseudo.shape) < .3] = 255
        maps = dict(
            gt_sem_seg=label,
            pred_sem_seg=torch.randint(0, 4, (1, *size)),
            cam_given_tags=torch.randint(0, 4, (1, *size)),
            refined_label_given_tags=pseudo,
            # coarse, so that some are just at a background score
            cam=torch.randint(0, 41, (3, *size)) / 40)
        sample = {name: dict(data=data) for name, data in maps.items()}
        sample['image_label'] = (torch.rand(3) < .7).float()
        sample['pred_image_scores'] = torch.rand(3)
        out.append(sample)
    return out


def reference(batch, field, mask_ignored=False):
    """Score a field by mmseg's metric."""
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    for sample in batch:
        label = sample['gt_sem_seg']['data'].clone()
        pred = sample[field]['data']
        if mask_ignored:
            label[pred == 255] = 255
        metric.process(
            {},
            [dict(pred_sem_seg=dict(data=pred), gt_sem_seg=dict(data=label))])
    return metric.evaluate(len(batch))


@pytest.mark.parametrize('seed', range(3))
def test_same_as_mmseg(seed):
    batch = samples(seed)
    metric = build()
    metric.process({}, batch[:2])
    metric.process({}, batch[2:])
    scores = metric.evaluate(len(batch))
    for key, value in reference(batch, 'pred_sem_seg').items():
        assert scores[key] == pytest.approx(value, abs=0.011)
    for field, ignored in (('cam_given_tags', False),
                           ('refined_label_given_tags', True)):
        expected = reference(batch, field, ignored)['mIoU']
        assert scores[f'{field}/mIoU'] == pytest.approx(expected, abs=0.011)
        iou = [
            x for x in metric.report[field]['IoU'].values() if x is not None
        ]
        assert np.mean(iou) == pytest.approx(expected, abs=0.02)


def test_ignored_share_of_a_pseudo_label():
    metric = build()
    label = torch.tensor([[[0, 1, 1, 255]]])
    pseudo = torch.tensor([[[0, 255, 1, 1]]])
    metric.process({}, [
        dict(
            gt_sem_seg=dict(data=label),
            refined_label_given_tags=dict(data=pseudo))
    ])
    scores = metric.evaluate(1)
    assert scores['refined_label_given_tags/ignored'] == 33.33
    assert scores['refined_label_given_tags/mIoU'] == 100


def test_classes_that_no_mask_shows():
    """Name them; refuse masks of background and ignored pixels alone."""
    metric = build()
    label = torch.tensor([[[0, 0, 2, 255]]])
    sample = dict(gt_sem_seg=dict(data=label), pred_sem_seg=dict(data=label))
    metric.process({}, [sample])
    assert metric.evaluate(1)['mIoU'] == 100
    assert metric.absent == ['cat', 'cow']
    label[label == 2] = 255
    metric.process({}, [sample])
    with pytest.raises(UserError, match='No mask shows a class'):
        metric.evaluate(1)
    with pytest.raises(UserError, match='a.jpg: has no mask'):
        metric.process({}, [dict(img_path='a.jpg')])


def test_sweep_is_what_each_score_alone_gives():
    batch = samples(0)
    metric = build()
    metric.process({}, batch)
    metric.evaluate(len(batch))
    assert len(BKG_SCORES) == 20
    for name, tags in (('given', [s['image_label'] for s in batch]),
                       ('predicted', [(s['pred_image_scores'] > .5).float()
                                      for s in batch])):
        curve = metric.sweeps[f'cam_{name}_tags']
        for score in BKG_SCORES:
            for sample, label in zip(batch, tags):
                cam = sample['cam']['data'] * label[:, None, None]
                value, strongest = cam.max(0)
                own = torch.where(value > score, strongest + 1, 0)
                sample['own'] = dict(data=own)
            expected = reference(batch, 'own')['mIoU']
            assert curve[score] == pytest.approx(expected, abs=0.011)


@pytest.mark.parametrize('count, processes', [(6, 2), (7, 3), (1, 2)])
def test_every_image_counts_once(count, processes):
    """Also where the sampler repeats the first images to fill up."""
    batch = samples(1, count)
    alone = build()
    alone.process({}, batch)
    expected = alone.evaluate(count)
    rounds = -(-count // processes)
    totals, metrics = [], []
    for rank in range(processes):
        metric = build()
        for i in range(rounds):
            metric.process({}, [batch[(rank + i * processes) % count]])
        metrics.append(metric)
    for rank, metric in enumerate(metrics):
        with mock.patch.object(module, 'get_rank', lambda: rank), \
                mock.patch.object(module, 'get_world_size',
                                  lambda: processes), \
                mock.patch.object(
                    module, 'all_gather_object',
                    lambda own: totals.append(own) or totals):
            scores = metric.evaluate(count)
    assert scores == expected


def test_memory_does_not_grow():
    metric = build()
    sizes = []
    for seed in range(3):
        metric.process({}, samples(seed))
        kept = {**metric._totals, **metric._last}
        sizes.append(sum(x.numel() for x in kept.values()))
    assert len(set(sizes)) == 1 and not metric.results


def test_writes_masks_and_formats(tmp_path):
    batch = samples(0, 2)
    for i, sample in enumerate(batch):
        sample['img_path'] = f'photos/{i}.jpg'
    metric = build(output_dir=str(tmp_path))
    metric.process({}, batch)
    assert metric.evaluate(2)['mIoU'] == pytest.approx(
        reference(batch, 'pred_sem_seg')['mIoU'], abs=0.011)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['0.png', '1.png']
    batch[1]['img_path'] = 'others/0.jpg'
    with pytest.raises(UserError, match='photos/0.jpg and others/0.jpg'):
        metric.process({}, batch)
    metric = build(
        output_dir=str(tmp_path), output_field='refined_label_given_tags')
    del batch[0]['refined_label_given_tags']
    with pytest.raises(UserError, match='--out: .* no mask of refined_label'):
        metric.process({}, batch)
