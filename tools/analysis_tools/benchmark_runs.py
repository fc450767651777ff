# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What benchmark.py measures: training steps, inference, PAR, the loader."""
import time
from typing import Dict, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from benchmark_meters import (PartTimer, count_tflop, peak_gb, reset_peak,
                              seconds_of)
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_afa.models import PAR
from mmseg_afa.models.refiners.par import position_weights

WARMUP = 2  # steps before those that are timed
NUM_IMAGES = 500  # that are loaded


def figures(seconds: float, images: int, tflop: float,
            device: torch.device) -> Dict[str, float]:
    """What is reported of a training step, and of a pass."""
    return dict(
        seconds=seconds,
        images_per_second=images / seconds,
        tflop=tflop,
        tflop_per_second=tflop / seconds,
        peak_gb=peak_gb(device))


def random_batch(batch: int, crop: Tuple[int, int], num_classes: int) -> dict:
    """What a data loader gives: images with two tags each, which fill three
    quarters of their crops. `num_classes` is without background."""
    samples = []
    for _ in range(batch):
        tags = torch.randperm(num_classes)[:2]
        box = (0, crop[0] * 3 // 4, 0, crop[1])
        sample = SegDataSample(metainfo=dict(img_box=box, num_tags=len(tags)))
        sample.image_label = torch.zeros(num_classes).index_fill(0, tags, 1)
        samples.append(sample)
    images = torch.randint(256, (batch, 3, *crop), dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


def measure_training(model: nn.Module, optim_wrapper: OptimWrapper,
                     batch: dict, schedule: Sequence[str],
                     phases: Sequence[str], steps: int) -> Dict[str, dict]:
    """Time an AFA's training steps in some phases of its schedule, which has
    the phase of each iteration."""
    model.train()
    device = next(model.parameters()).device
    timer = PartTimer(device)
    for owner, method, part in [
        (model.data_preprocessor, 'forward', 'normalisation'),
        (model, 'extract_feat', 'backbone'),
        (model, 'cam_and_affinity', 'CAM passes'),
        (model.labeler, 'walk', 'random walk'),
        (model.labeler.refiner, 'forward', 'PAR'),
        (model, 'affinity', 'affinity head'),
        (model.decode_head, 'forward', 'decode head'),
        (model.decode_head, 'loss_by_image_label', 'losses'),
        (model.decode_head, 'loss_by_label', 'losses'),
        (model.affinity_head, 'loss', 'losses'),
        (model.loss_reg, 'forward', 'losses'),
        (optim_wrapper, 'backward', 'backward'),
        (optim_wrapper, 'step', 'optimizer'),
        (optim_wrapper, 'zero_grad', 'optimizer'),
    ]:
        if owner is not None:
            timer.wrap(owner, method, part)

    def step() -> None:
        model.train_step(batch, optim_wrapper)

    optim_wrapper.initialize_count_status(model, 0, len(schedule))
    hub, found = MessageHub.get_current_instance(), {}
    for phase in phases:
        hub.update_info('iter', schedule.index(phase))
        reset_peak(device)
        tflop = count_tflop(step)
        for _ in range(WARMUP):
            step()
        for _ in range(steps):
            timer.step(step)
        part_ms = timer.results()
        seconds = sum(part_ms.values()) / 1000
        found[phase] = dict(
            figures(seconds, len(batch['inputs']), tflop, device),
            iterations=schedule.count(phase),
            part_ms=part_ms)
    return found


@torch.no_grad()
def measure_inference(model: nn.Module, optim_wrapper: OptimWrapper,
                      batch: int, crop: Tuple[int, int]) -> Dict[str, float]:
    """Time the segmentation of a batch at one scale, without CAMs."""
    model.eval()
    device = next(model.parameters()).device
    images = torch.randn(batch, 3, *crop, device=device)
    metas = [dict(img_shape=crop, ori_shape=crop, pad_shape=crop)] * batch

    def segment() -> Tensor:
        with optim_wrapper.optim_context(model):  # mixed precision, if asked
            return model.inference(images, metas).argmax(1)

    reset_peak(device)
    tflop = count_tflop(segment)
    return figures(seconds_of(segment), batch, tflop, device)


def published_par(par: PAR, image: Tensor, masks: Tensor) -> Tensor:
    """PAR as published: the neighbours of all maps as one tensor, by
    convolutions, and the weights repeated for every map."""
    kernel = torch.eye(9, device=image.device).view(9, 1, 3, 3)
    kernel = kernel[[0, 1, 2, 3, 5, 6, 7, 8]]

    def neighbours(x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, N, H, W)
        x = x[:, :, None].flatten(0, 1)
        return torch.cat([
            F.conv2d(F.pad(x, (d, ) * 4, 'replicate'), kernel, dilation=d)
            for d in par.dilations
        ], 1).unflatten(0, (len(image), -1))

    around = neighbours(image)
    std = around.std(2, keepdim=True)
    colour = (around - image[:, :, None]) / (std + 1e-8) / par.w1
    weights = (-colour**2).mean(1, keepdim=True).softmax(2)
    position = position_weights(par.dilations, par.w1, image.device)
    weights = weights + par.w2 * position[:, None, None]
    for _ in range(par.num_iter):
        repeated = weights.repeat(1, masks.shape[1], 1, 1, 1)
        masks = (neighbours(masks) * repeated).sum(2)
    return masks


@torch.no_grad()
def measure_par(par: PAR, crop: Tuple[int, int],
                device: torch.device) -> Dict[str, float]:
    """Time PAR on four maps of an image, at half the crop as in training."""
    size = [side // 2 for side in crop]
    image = torch.rand(1, 3, *size, device=device)
    masks = torch.rand(1, 4, *size, device=device)
    return dict(
        seconds=seconds_of(lambda: par(image, masks)),
        published_seconds=seconds_of(lambda: published_par(par, image, masks)))


def measure_loader(cfg: Config, workers: Sequence[int]) -> Dict[str, dict]:
    """Time the loading of training images: images a second with numbers of
    worker processes (0 for this one), and each transform in this process."""
    dataset = DATASETS.build(cfg.dataset)
    timer = PartTimer(torch.device('cpu'))
    for part in getattr(dataset, 'datasets', [dataset]):
        for transform in part.pipeline.transforms:
            timer.wrap(transform, 'transform', type(transform).__name__)
    np.random.seed(0)
    dataset[0]  # what is imported and allocated only once

    def load() -> None:
        for i in range(NUM_IMAGES):
            dataset[i % len(dataset)]

    timer.step(load)
    part_ms = {p: ms / NUM_IMAGES for p, ms in timer.results().items()}
    speeds = {}
    for num in workers:
        loader = dict(
            cfg,
            num_workers=num,
            persistent_workers=False,
            pin_memory=torch.cuda.is_available(),
            sampler=dict(type='ResumableSampler'))
        batches = iter(Runner.build_dataloader(loader, seed=0))
        for _ in range(2 * num + 1):
            next(batches)  # these were begun before the clock
        count = max(NUM_IMAGES // cfg.batch_size, 1)
        start = time.perf_counter()
        for _ in range(count):
            next(batches)
        seconds = time.perf_counter() - start
        speeds[f'{num} workers'] = count * cfg.batch_size / seconds
    return dict(images_per_second=speeds, part_ms=part_ms)
