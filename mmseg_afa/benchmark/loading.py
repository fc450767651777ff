# Copyright (c) mmseg_afa contributors. All rights reserved.
"""How fast images are loaded and augmented."""
import time
from contextlib import contextmanager
from itertools import islice
from typing import Callable, Dict, Iterator, List

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner

from .part_timer import PartTimer


@contextmanager
def one_thread() -> Iterator[None]:
    """Let OpenCV and torch use one thread, as a loader's worker does."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def benchmark_pipeline(dataset: BaseDataset,
                       num: int,
                       run: Callable = lambda loop: loop()) -> Dict:
    """Time the transforms of a data set, in this process, on one core.

    Args:
        dataset (BaseDataset): The data set; its first images are taken.
        num (int): Number of images.
        run (Callable): Calls the loop that is timed; a profiler's runcall.

    Returns:
        dict: 'images_per_second', and 'parts', the mean seconds of each
        transform for an image.
    """
    timer = PartTimer(torch.device('cpu'))
    steps: List[tuple] = [(type(t).__name__, t)
                          for t in dataset.pipeline.transforms]

    def loop():
        for i in range(num):
            with timer.step():
                results = dataset.get_data_info(i % len(dataset))
                for name, transform in steps:
                    with timer.part(name):
                        results = transform(results)

    np.random.seed(0)
    dataset[0]  # what is imported and allocated only once
    with one_thread():
        start = time.perf_counter()
        run(loop)
        seconds = time.perf_counter() - start
    found = timer.results()
    parts = {
        name: sum(step.get(name, 0.) for step in found) / num
        for name in dict.fromkeys(name for step in found for name in step)
        if name != 'step'
    }
    return dict(images_per_second=num / seconds, parts=parts)


def benchmark_loader(loader_cfg: dict, num: int, workers: int) -> float:
    """Images a second of a data loader with some workers.

    Args:
        loader_cfg (dict): Config of the data loader, with its data set.
        num (int): Number of images, after the first batches of each worker.
        workers (int): Number of processes, 0 for this one.

    Returns:
        float: Images a second.
    """
    cfg = dict(loader_cfg, num_workers=workers, persistent_workers=workers > 0)
    loader = Runner.build_dataloader(cfg, seed=0)
    with one_thread():  # which the workers inherit, as in training
        batches = iter(loader)
        first = 2 * workers + 1  # these were begun before the clock
        for batch in islice(batches, first):
            size = len(batch['inputs'])
        count = max(num // size, 1)
        start = time.perf_counter()
        for _ in islice(batches, count):
            pass
        return count * size / (time.perf_counter() - start)
