# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Training steps of a config, timed by part."""
import time
from contextlib import contextmanager
from statistics import median
from typing import Dict, Iterator, List

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mmseg_afa.models.segmentors.afa import (AFFINITY_LABELS, CAM_LABELS,
                                             CLASSIFY)
from .device import peak_memory, synchronize
from .flops import flop_counter
from .part_timer import PartTimer

PHASES = (CLASSIFY, CAM_LABELS, AFFINITY_LABELS)


def synthetic_batches(batch: int, crop: int,
                      num_classes: int) -> Iterator[dict]:
    """Batches of random crops, two tags each, for where no data set is.

    Args:
        batch (int): Number of images.
        crop (int): Height and width in pixels.
        num_classes (int): Background included.

    Yields:
        dict: What a data loader gives.
    """
    generator = torch.Generator().manual_seed(0)
    while True:
        inputs, data_samples = [], []
        for _ in range(batch):
            image = torch.rand(1, 3, 16, 16, generator=generator) * 255
            image = torch.nn.functional.interpolate(
                image, (crop, crop), mode='bilinear')
            inputs.append(image[0].byte())
            label = torch.zeros(num_classes - 1)
            label[torch.randperm(num_classes - 1, generator=generator)[:2]] = 1
            # three quarters of the crop show image
            box = (0, crop * 3 // 4, 0, crop)
            sample = SegDataSample(metainfo=dict(img_box=box, num_tags=2))
            sample.image_label = label
            data_samples.append(sample)
        yield dict(inputs=inputs, data_samples=data_samples)


def first_iteration(train_cfg: dict, phase: str) -> int:
    """An iteration of the schedule that is in a phase."""
    return {
        CLASSIFY: 0,
        CAM_LABELS: train_cfg['cam_iters'] + 1,
        AFFINITY_LABELS: train_cfg['switch_iter'] + 1
    }[phase]


def iterations_of(train_cfg: dict, max_iters: int) -> Dict[str, int]:
    """How many iterations of the schedule each phase has."""
    ends = [train_cfg['cam_iters'] + 1, train_cfg['switch_iter'] + 1]
    ends = [0, *(min(end, max_iters) for end in ends), max_iters]
    return {
        phase: end - start
        for phase, start, end in zip(PHASES, ends, ends[1:])
    }


@contextmanager
def in_iteration(iteration: int) -> Iterator[None]:
    """Have the segmentor believe in an iteration of the schedule."""
    hub = MessageHub.get_current_instance()
    before = hub.get_info('iter', 0)
    hub.update_info('iter', iteration)
    try:
        yield
    finally:
        hub.update_info('iter', before)


def wrap_parts(timer: PartTimer, model, optim_wrapper) -> None:
    """Tell a timer what the parts of AFA's training step are."""
    labeler = model.labeler
    timer.wrap(model.data_preprocessor, 'forward', 'normalise')
    timer.wrap(model, 'features', 'forward')
    timer.wrap(model.decode_head, 'forward', 'forward')
    timer.wrap(model, 'pseudo_labels', 'labels, rest')
    timer.wrap(model, 'cam_and_affinity', 'CAM passes')
    timer.wrap(labeler, 'walk', 'random walk')
    if labeler.refiner is not None:
        timer.wrap(labeler.refiner, 'forward', 'PAR')
    timer.wrap(model, 'loss', 'losses')
    timer.wrap(optim_wrapper, 'backward', 'backward')
    timer.wrap(optim_wrapper, 'step', 'optimizer')
    timer.wrap(optim_wrapper, 'zero_grad', 'optimizer')


def build(cfg: Config, work_dir: str) -> Runner:
    """A Runner for a config, without its data and pretrained weights: how
    long a step takes depends on neither."""
    cfg = Config(cfg.to_dict())
    cfg.model.backbone.init_cfg = None
    cfg.work_dir = work_dir
    for key in ('train_dataloader', 'train_cfg', 'param_scheduler',
                'val_dataloader', 'val_cfg', 'val_evaluator',
                'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = None
    cfg.optim_wrapper, optim_wrapper = None, cfg.optim_wrapper
    cfg.default_hooks = dict(
        logger=None, checkpoint=None, param_scheduler=None)
    cfg.custom_hooks = []
    cfg.log_level = 'ERROR'
    runner = Runner.from_cfg(cfg)
    runner.model.init_weights()
    runner.optim_wrapper = runner.build_optim_wrapper(optim_wrapper)
    runner.optim_wrapper.initialize_count_status(runner.model, 0, 1)
    return runner


def medians(steps: List[Dict[str, float]]) -> Dict[str, float]:
    """The median of each part over the steps, the longest part first."""
    names = {name for step in steps for name in step}
    parts = {n: median(step.get(n, 0.) for step in steps) for n in names}
    return dict(sorted(parts.items(), key=lambda item: -item[1]))


def benchmark_training(runner: Runner, batches: Iterator[dict], phase: str,
                       steps: int, warmup: int) -> Dict:
    """Time training steps of one phase of the schedule.

    Args:
        runner (Runner): From :func:`build`.
        batches (Iterator[dict]): What a data loader gives.
        phase (str): 'classify', 'cam' or 'affinity'.
        steps (int): Number of steps timed.
        warmup (int): Number of steps before, at least 1.

    Returns:
        dict: 'seconds' of a step, the median; 'mean_seconds', which count
        every hiccup, waiting for data included; the medians of its 'parts';
        'images_per_second'; 'tflop' of a step, and 'tflops' a second; and
        'peak_memory' in bytes.
    """
    model, optim_wrapper = runner.model, runner.optim_wrapper
    device = next(model.parameters()).device
    model.train()
    with in_iteration(first_iteration(model.train_cfg, phase)):
        counter = flop_counter()
        for i in range(warmup):
            data = next(batches)
            if i == warmup - 1:
                with counter:
                    model.train_step(data, optim_wrapper)
            else:
                model.train_step(data, optim_wrapper)
        timer = PartTimer(device)
        wrap_parts(timer, model, optim_wrapper)
        synchronize(device)
        start = time.perf_counter()
        for _ in range(steps):
            with timer.step():
                with timer.part('data'):
                    data = next(batches)
                model.train_step(data, optim_wrapper)
        synchronize(device)
        mean_seconds = (time.perf_counter() - start) / steps
        timer.unwrap()
    size = len(data['inputs'])
    tflop = counter.get_total_flops() / 1e12
    parts = medians(timer.results())
    return dict(
        phase=phase,
        batch=size,
        steps=steps,
        seconds=parts['step'],
        mean_seconds=mean_seconds,
        parts=parts,
        images_per_second=size / parts['step'],
        tflop=tflop,
        tflops=tflop / parts['step'],
        peak_memory=peak_memory(device))
