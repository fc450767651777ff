# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Choose the settings of a run from photos and machine; write its config.

tags_to_masks.py uses these functions. docs/your_data.md explains the rules.
"""
from pathlib import Path
from typing import (Callable, Dict, Iterable, List, Mapping, NamedTuple,
                    Optional, Sequence)

MITS = [f'mit-b{i}' for i in range(6)]
BASES = {
    **dict.fromkeys(MITS, 'afa/afa_mit-b1_own-data.py'),
    'deit-s': 'mix/afa_deit-small_own-data.py',
    'dinov2-s': 'mix/afa_dinov2-small_own-data.py',
}
PATCH = {'dinov2-s': 14}  # pixels; 16 for the others
FEW_ITERS = 10000  # shorter runs have other rates than the paper's 20,000
FEWEST_ITERS = 100
FEWEST_IMAGES = 5  # of a class, for one of them to be kept apart
VAL_SHARE = 0.1
EMPTY_SHARE = 0.25  # of the images that are drawn may have no tag

CONFIG = '''\
# Written by tools/tags_to_masks.py; tools/train.py, test.py and predict.py run
# it as any other config. docs/your_data.md explains the settings.
_base_ = ['mmseg_afa::{base}']
photos = {photos!r}
run = {run!r}
crop = {crop}  # pixels; photos are resized to this long side
iters = {iters}
{model}
load = [
    dict(type='LoadWeakImage'),
    dict(type='Resize', scale=(crop, crop), keep_ratio=True)
]
dataset = dict(
    data_root='',
    label_file=f'{{run}}/image_labels.txt',
    data_prefix=dict(img_path=photos{val_masks}))
train_dataloader = dict(
    batch_size={batch},
    num_workers={workers},
    sampler=dict(empty_share={empty_share}),  # photos without tags, at most
    dataset=dict(
        **dict(dataset, data_prefix=dict(img_path=photos)),
        ann_file=f'{{run}}/train.txt',
        trusted_masks={trusted!r},  # PNG masks of some of the photos
        pipeline=[
            *load,
            dict(type='RandomScale', ratio_range=(0.5, 2.0)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='WeakRandomCrop', crop_size=(crop, crop)),
            dict(type='PackWeakSegInputs')
        ]))
val_dataloader = dict(
    num_workers={workers},
    dataset=dict(
        **dataset, ann_file=f'{{run}}/val.txt', pipeline=[*load{val_steps}]))
test_dataloader = val_dataloader
val_evaluator = [{metrics}]
test_evaluator = val_evaluator
optim_wrapper = dict(
    optimizer=dict(lr={lr:.2g}){unfrozen})
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end={warm_up} + 1)
param_scheduler[1].update(
    start_factor=1 - {warm_up} / iters, begin={warm_up}, end=iters + 1)
train_cfg = dict(max_iters=iters, val_interval={interval})
auto_scale_lr = dict(base_batch_size={batch})  # the batch of this schedule
default_hooks = dict(
    checkpoint=dict(interval={interval}, save_best={save_best!r}))
'''
MIT = '''\
model = dict(
    backbone=dict({backbone}),
    decode_head=dict(
        in_channels={channels},
        loss_decode=dict(loss_weight={loss_weight})),
{labeler}'''
VIT = '''\
model = dict(
    backbone=dict(img_size=crop{weights}),
    decode_head=dict(loss_decode=dict(loss_weight={loss_weight})),
{labeler}'''
LABELER = '''\
    labeler=dict(
        bkg_high={high},  # labels: scores above are foreground,
        bkg_low={low},  # below background, and between ignored
        radius={radius}{extra}),  # of pairs, in {stride}-pixel cells
    train_cfg=dict(
        cam_iters={cam},  # classification until here,
        switch_iter={switch}))  # CAM labels until here, then refined labels'''
UNFROZEN = ''',
    # nothing is pretrained: train the norms, too
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,
            decode_head=dict(lr_mult=2.),
            affinity_head=dict(lr_mult=10.)))'''


class Setting(NamedTuple):
    """Hold a setting of a run and the reason for it."""
    value: object
    reason: str


def choose(given: Mapping, photos: int, long_side: int, without_tags: float,
           on_gpu: bool) -> Dict[str, Setting]:
    """Choose the settings that the command line leaves open.

    Args:
        given (Mapping): Settings of the command line; None is open.
        photos (int): Number of photos to train on.
        long_side (int): Their median long side, in pixels.
        without_tags (float): Share of these photos without tags.
        on_gpu (bool): Whether the machine has a GPU.
    """
    found = {}

    def settle(name, value, reason):
        own = given.get(name)
        found[name] = Setting(value, reason) if own is None else Setting(
            own, 'as you set it')
        return found[name].value

    model = settle('model', 'mit-b1' if on_gpu else 'mit-b0',
                   "the paper's" if on_gpu else 'the fastest, for a CPU')
    most = 512 if on_gpu else 256
    unit = 2 * PATCH.get(model, 16)
    crop = max(min(most, long_side) // unit, 3) * unit
    crop = settle(
        'crop', crop, f'the photos have {long_side} pixels' if crop < most else
        f'at most {most} on a {"GPU" if on_gpu else "CPU"}')
    batch = settle('batch', 4 if crop > 128 else 8,
                   "the paper's" if crop > 128 else 'small crops')
    settle('iters', int(min(max(30 * photos / batch, 2000), 20000)),
           f'30 passes over {photos} photos, at least 2000, at most 20000')
    small = crop < 256
    settle('bkg_scores', (0.65, 0.45) if small else (0.55, 0.35),
           'CAMs of small crops are wide' if small else "the paper's")
    if without_tags > EMPTY_SHARE:
        settle('empty_share', EMPTY_SHARE,
               f'{without_tags:.0%} of the photos have no tag: balanced')
    else:
        settle('empty_share', None, f'{without_tags:.0%} have no tag')
    return found


def phases(iters: int) -> Sequence[int]:
    """Return the last iterations of classification and of CAM labels.

    At 20,000 iterations they are the paper's. A short run classifies for
    almost half of it, as the demo does.
    """
    classify = min(2000, int(0.45 * iters))
    return classify, classify + int(0.2 * iters)


def duration(iters: int, seconds: Sequence[float]) -> float:
    """Compute the time of a training from that of a step in each phase."""
    first, second = phases(iters)
    counts = first, second - first, iters - second
    return sum(count * time for count, time in zip(counts, seconds))


def fit_iters(minutes: float, seconds: Sequence[float]) -> int:
    """Find the iterations that fit into minutes, in steps of 1 %.

    Args:
        minutes (float): The time of the training.
        seconds (Sequence[float]): Time of a step in each of three phases.

    Raises:
        UserError: If the time is too short.
    """
    from mmseg_afa.utils import UserError
    if duration(FEWEST_ITERS, seconds) > 60 * minutes:
        raise UserError(
            f'--minutes: found {minutes:g}, too short for {FEWEST_ITERS} '
            f'iterations, which need {duration(FEWEST_ITERS, seconds):.0f} '
            'seconds. Give more time, or a smaller --crop.')
    iters = FEWEST_ITERS
    while True:
        more = iters + iters // 100
        if duration(more, seconds) > 60 * minutes:
            return iters
        iters = more


def config_text(settings: Mapping[str, object], photos: Path, run: Path,
                trusted: Optional[Path], val_masks: Optional[Path],
                weights: Optional[str], labeler: Mapping[str, object]) -> str:
    """Write the config of a run.

    Args:
        settings (Mapping): Values by the names of :func:`choose`.
        photos, run (Path): The folders of the photos and of the run.
        trusted, val_masks (Path, optional): Folders of masks.
        weights (str, optional): A file of pretrained weights, or 'none' for
            random ones. Defaults to the public weights of the model.
        labeler (Mapping): More settings of the labeler.
    """
    name, crop, iters = (settings[key] for key in ('model', 'crop', 'iters'))
    scratch, short = weights == 'none', iters < FEW_ITERS
    stride = PATCH.get(name, 16)
    cells = -(-crop * 3 // 2 // stride)  # of the largest CAM's grid
    classify, switch = phases(iters)
    high, low = settings['bkg_scores']
    labels = LABELER.format(
        high=high,
        low=low,
        radius=8 if cells < 12 else round(cells / 6),
        extra=''.join(f', {key}={value}' for key, value in labeler.items()),
        stride=stride,
        cam=classify,
        switch=switch)
    common = dict(loss_weight=0.5 if short else 0.1, labeler=labels)
    init = f'init_cfg=dict(checkpoint={weights!r})'
    if scratch:
        init = 'init_cfg=None, drop_path_rate=0.'
    if name in MITS:
        arch = name[-2:]
        init = init if weights else ('init_cfg=dict(checkpoint='
                                     f'_base_.mit_weights.{arch})')
        model = MIT.format(
            backbone=f'arch={arch!r}, {init}',
            channels=[32, 64, 160, 256]
            if arch == 'b0' else [64, 128, 320, 512],
            **common)
    else:
        model = VIT.format(weights=f', {init}' if weights else '', **common)
    rate = 1e-3 if scratch else 3e-4 if short else 6e-5
    steps = 'LoadMask ImageLabelFromMask PackWeakSegInputs'.split()
    metrics = ["dict(type='ImageLabelMetric')"]
    if val_masks:
        metrics.insert(0, "dict(type='WeakIoUMetric', iou_metrics=['mIoU'])")
    return CONFIG.format(
        base=BASES[name],
        photos=str(photos),
        run=str(run),
        crop=crop,
        iters=iters,
        model=model,
        val_masks=f', seg_map_path={str(val_masks)!r}' if val_masks else '',
        batch=settings['batch'],
        workers=settings['workers'],
        empty_share=settings['empty_share'],
        trusted=trusted and str(trusted),
        val_steps=''.join(f", dict(type='{step}')"
                          for step in steps[0 if val_masks else 2:]),
        metrics=', '.join(metrics),
        lr=rate * (settings['batch'] / 4)**0.5,
        unfrozen=UNFROZEN if scratch else '',
        warm_up=min(1500, iters // 10),
        interval=-(-iters // 5),
        save_best='mIoU' if val_masks else None)


def keep_apart(labels: Mapping[str, Iterable[str]],
               classes: Sequence[str],
               order: Callable[[str], object],
               share: float = VAL_SHARE) -> List[str]:
    """Choose images for validation, the same share of each class.

    Args:
        labels (Mapping): The tags of each image.
        classes (Sequence[str]): The classes, of which the rarest go first.
        order (Callable): Returns the rank of an image; the lowest are chosen.
        share (float): Share of the images.

    Returns:
        list[str]: The chosen images, sorted.
    """
    ranked, chosen = sorted(labels, key=order), set()
    groups = [[name for name in ranked if one in labels[name]]
              for one in classes]
    groups.append([name for name in ranked if not labels[name]])
    for group in sorted(groups, key=len):
        wanted = round(share * len(group))
        if len(group) >= FEWEST_IMAGES:
            wanted = max(wanted, 1)
        missing = wanted - len(chosen.intersection(group))
        rest = [name for name in group if name not in chosen]
        chosen.update(rest[:max(missing, 0)])
    return sorted(chosen)
