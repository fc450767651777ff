# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmseg.registry import MODELS

from mmseg_afa.models import PAR, DenseCRF, refine_all
from mmseg_afa.models.refiners.crf_workers import SCRIPT, Workers


@pytest.fixture(scope='module')
def crf():
    """In this process. The library is optional: it has to be compiled."""
    pytest.importorskip('pydensecrf')
    return DenseCRF(num_workers=0)


@pytest.fixture(scope='module')
def two_workers(crf):
    return DenseCRF(num_workers=2)


def disk(size: int, classes: int = 3):
    """An image of a disk, a mask that knows it roughly, and the disk.

    Returns:
        tuple[Tensor, Tensor, Tensor]: (3, size, size) in [0, 1], (classes,
        size, size) probabilities, and (size, size) int64.
    """
    generator = torch.Generator().manual_seed(size)
    y, x = torch.meshgrid(*[torch.arange(size) - size / 2] * 2, indexing='ij')
    label = (y.hypot(x) < size / 3).long()
    image = torch.tensor([[.2, .8], [.5, .1], [.3, .4]])[:, label]
    image += 0.01 * torch.randn(image.shape, generator=generator)
    wrong = torch.rand(label.shape, generator=generator) < 0.3
    seen = torch.where(wrong, 1 - label, label)
    masks = torch.full((classes, size, size), 0.1)
    masks.scatter_(0, seen[None], 0.6)
    return image.clamp(0, 1), masks / masks.sum(0), label


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pydensecrf.densecrf', None)
    monkeypatch.delitem(
        sys.modules, 'mmseg_afa.models.refiners.crf_worker', raising=False)
    with pytest.raises(
            ImportError, match=r'pydensecrf2 .*`pip install "\.\[crf\]"`'):
        MODELS.build(dict(type='DenseCRF'))


def test_sharpens(crf):
    """A mask of which 30 % of the pixels are wrong."""
    image, masks, label = disk(96)
    refined = crf(image[None], masks[None])[0]
    assert 0.28 < (masks.argmax(0) != label).float().mean() < 0.32
    assert (refined.argmax(0) != label).float().mean() < 0.001
    torch.testing.assert_close(refined.sum(0), torch.ones(96, 96))


def test_equals_the_library(crf):
    """With the kernels of the published protocol, built up by hand."""
    from pydensecrf import utils
    from pydensecrf.densecrf import DenseCRF as Library
    image, masks, _ = disk(48)
    levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    library = Library(48 * 48, 3)
    library.setUnaryEnergy(utils.unary_from_softmax(masks.numpy()))
    # x before y: the approximation depends on the order
    position = utils.create_pairwise_gaussian((3, 3), (48, 48))
    library.addPairwiseEnergy(position[[1, 0]].copy(), 3)
    colour = utils.create_pairwise_bilateral((64, 64), (5, 5, 5), levels, 2)
    library.addPairwiseEnergy(colour[[1, 0, 2, 3, 4]].copy(), 4)
    expected = np.reshape(library.inference(10), (3, 48, 48))
    np.testing.assert_allclose(
        crf(image[None], masks[None])[0], expected, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    masks=arrays(
        np.float32, (3, 5, 7),
        elements=st.floats(0, 1, width=32)
        | st.just(np.nan)))
def test_any_scores(crf, masks):
    """Absent classes, pixels without a score and NaN are no trouble."""
    refined = crf(torch.full((1, 3, 5, 7), 0.5), torch.tensor(masks)[None])
    torch.testing.assert_close(refined.sum(1), torch.ones(1, 5, 7))
    assert (refined >= 0).all()


def test_workers(crf, two_workers):
    """Images of several sizes come back in order, the same to the bit."""
    images, masks, _ = zip(*map(disk, (20, 60, 30, 50, 40)))
    expected = refine_all(crf, images, masks)
    for found, one in zip(refine_all(two_workers, images, masks), expected):
        assert torch.equal(found, one)
    alone = crf(images[0][None], masks[0][None])[0]
    assert torch.equal(alone, expected[0])
    twins = [torch.stack([x, x]) for x in (images[0], masks[0])]
    assert torch.equal(two_workers(*twins), alone.expand(2, -1, -1, -1))


def test_workers_are_small(two_workers):
    """They do not import torch, which takes more than 200 MB."""
    two_workers(torch.rand(2, 3, 9, 9), torch.rand(2, 3, 9, 9))
    for worker in two_workers._workers.workers:
        if worker.process is not None:
            status = Path(f'/proc/{worker.process.pid}/status').read_text()
            peak = int(status.partition('VmHWM:')[2].split()[0]) / 1024
            assert peak < 80


def test_killed_worker(two_workers, crf):
    """As the system does it to what takes too much memory."""
    images, masks = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    two_workers(images, masks)
    for worker in two_workers._workers.workers:
        if worker.process is not None:
            worker.process.kill()
    with pytest.raises(
            RuntimeError,
            match='64 x 64 pixels and 3 classes, with exit status -9 .*'
            'fewer `num_workers`'):
        two_workers(images, masks)
    # and in the middle of its work
    worker = two_workers._workers.workers[0]
    worker.close()
    failed = []

    def call():
        try:
            worker(
                np.zeros((3, 64, 64), np.uint8), masks[0].numpy(), 10**6,
                *two_workers.settings[1:])
        except RuntimeError as error:
            failed.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    worker.process.kill()
    thread.join(10)
    assert 'exit status -9' in failed[0]
    # others take their place
    found = two_workers(images, masks)
    assert torch.equal(found, crf(images, masks))


def test_as_many_in_flight_as_workers():
    """So memory does not grow with the batch."""
    workers, running, most = Workers(2), set(), []

    def function(worker, item):
        running.add(item)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(item)
        return -item

    assert workers.map(function, range(20)) == [-i for i in range(20)]
    assert max(most) == 2
    workers.close()


@pytest.mark.parametrize('status', [0, signal.SIGKILL])
def test_workers_end_with_the_program(crf, status):
    """When it ends, and when it is killed."""
    program = (
        'import os, runpy, numpy as np\n'
        f'worker = runpy.run_path({str(SCRIPT.with_name("crf_workers.py"))!r})'
        '["Worker"]()\n'
        'worker(np.zeros((3, 9, 9), np.uint8), np.ones((2, 9, 9), "f4"), 1, '
        'dict(sxy=3, compat=3), dict(sxy=64, srgb=5, compat=4))\n'
        'print(worker.process.pid, flush=True)\n'
        f'if {int(status)}: os.kill(os.getpid(), {int(status)})\n')
    run = subprocess.run([sys.executable, '-c', program],
                         stdout=subprocess.PIPE,
                         text=True,
                         timeout=60)
    assert run.returncode == -status
    for _ in range(100):
        try:
            os.kill(int(run.stdout), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError('the worker is still there')


def test_refine_all_with_par():
    """A refiner that takes batches of one size gets image by image."""
    par = PAR(num_iter=1, dilations=(1, 2))
    images, masks, _ = zip(*map(disk, (20, 30)))
    found = refine_all(par, images, masks)
    assert [tuple(x.shape) for x in found] == [(3, 20, 20), (3, 30, 30)]
    assert torch.equal(found[1], par(images[1][None], masks[1][None])[0])
