# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run every config on CUDA tensors without data: no GPU is needed.

torch's FakeTensorMode computes shapes, types and devices only. An operation
on tensors of two devices raises, as on a GPU.
"""
import re
import subprocess
import sys
import traceback
from collections import Counter
from itertools import product
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmseg.registry import TRANSFORMS
from packaging.version import Version
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import mmseg_afa
from mmseg_afa.models import AFA, SOURCES
from mmseg_afa.models.refiners import par
from tests.test_configs import configs

pytestmark = pytest.mark.skipif(
    torch.version.cuda is None, reason='needs a CUDA build of torch')

MODE = FakeTensorMode(allow_non_fake_inputs=False)
PACKAGES = tuple(str(Path(p.__file__).parent) for p in (mmseg_afa, mmseg))

# Functions that make the host wait for the GPU. In the loss: to fill a cache
# once. In losses under masks: mmseg's metrics, and the size of the grid of the
# energy loss. In a prediction: at most so often, for the largest number of
# classes of an image and for the box of the photo.
LOSS_WAITS = {'par.position_weights'}
MASK_LOSS_WAITS = {
    'accuracy.accuracy', 'cross_entropy_loss.cross_entropy',
    'dense_energy_loss.bilateral_filter', 'dense_energy_loss._corners'
}
PREDICT_WAITS = Counter({
    'present_classes.from_image_label': 5,
    'afa.label_scores': 1
})

aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXING = {aten.index.Tensor, aten.index_put_.default}


class HostWaits(TorchDispatchMode):
    """Record the functions that make the host wait for the GPU.

    Where the host reads a value, of which there is none, it reads a 1.
    """

    def __init__(self):
        super().__init__()
        self.places = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is aten._local_scalar_dense.default and args[0].is_cuda:
            self.places.append(running_function())
            return 1
        if func in INDEXING and any(map(is_mask, args[1])):
            self.places.append(running_function())
            args = (args[0], sum(map(as_indices, args[1]), []), *args[2:])
        out = func(*args, **kwargs)
        if func in COPIES and not kwargs.get('non_blocking'):
            ends = {x.is_cuda for x in (*args, out) if torch.is_tensor(x)}
            if len(ends) == 2:
                self.places.append(running_function())
        return out


def is_mask(index):
    """Test if an index is a mask: the host has to count its elements."""
    return index is not None and index.dtype == torch.bool


def as_indices(index):
    """Replace a mask by the indices of one element."""
    if is_mask(index):
        return [index.new_zeros(1, dtype=torch.long)] * index.dim()
    return [index]


def running_function():
    """Return MODULE.FUNCTION of the innermost function of the packages."""
    for frame, _ in traceback.walk_stack(None):
        code = frame.f_code
        if code.co_filename.startswith(PACKAGES):
            return f'{Path(code.co_filename).stem}.{code.co_name}'


def on_gpu(value):
    """Return a CUDA tensor without data, of a tensor's shape and type."""
    with MODE:
        return torch.empty(value.shape, dtype=value.dtype, device='cuda')


def training_sample(num_classes, with_mask=True):
    """Pack an image as the data loader does, and put it on the GPU."""
    label = np.zeros(num_classes - 1, np.float32)
    label[:2] = 1
    results = dict(
        img=np.zeros((64, 64, 3), np.uint8),
        img_shape=(64, 64),
        ori_shape=(70, 80),
        img_box=(0, 60, 0, 64),
        image_label=label)
    if with_mask:
        results.update(gt_seg_map=np.zeros((64, 64), np.uint8), trusted=True)
    pack = TRANSFORMS.build(dict(type='PackWeakSegInputs'))
    sample = pack(results)['data_samples']
    if with_mask:
        sample.gt_sem_seg.data = on_gpu(sample.gt_sem_seg.data)
    sample.set_field(on_gpu(sample.image_label), 'image_label')
    return sample


def build(path):
    """Build a config's model, with little of what only repeats itself."""
    cfg = configs.load(path)
    if cfg.model.get('labeler', {}).get('refiner'):
        cfg.model.labeler.refiner.update(num_iter=1, dilations=(1, ))
    if cfg.model.type == 'AFA':
        cfg.model.train_cfg.cam_scales = (1., 0.5)
    with configs.MetaWeights():
        return configs.build_shallow(cfg)


def run(model, weights, mode, amp=False, masks=(True, True)):
    """Run `loss` or `predict` with weights on the GPU.

    Returns:
        tuple: The functions that make the host wait, and the output.
    """
    inputs = on_gpu(torch.empty(2, 3, 64, 64))
    samples = [training_sample(model.num_classes, one) for one in masks]
    with torch.no_grad(), MODE, HostWaits() as waits:
        with torch.autocast('cuda', enabled=amp):
            assert torch.is_autocast_enabled('cuda') == amp
            out = torch.func.functional_call(model, weights,
                                             (inputs, samples, mode))
    return waits.places, out


@pytest.fixture(autouse=True)
def no_driver(monkeypatch):
    """Use autocast without a GPU, and PAR without its kernels."""
    monkeypatch.setattr(torch.cuda.amp.common, 'amp_definitely_not_available',
                        lambda: False)
    monkeypatch.setattr(par, 'fused_par', None)


@pytest.fixture(scope='module', autouse=True)
def empty_caches():
    """Leave no tensor without data in the caches of the package."""
    yield
    for name, module in list(sys.modules.items()):
        if name.startswith('mmseg_afa.'):
            for value in vars(module).values():
                getattr(value, 'cache_clear', lambda: None)()


@pytest.mark.parametrize('path', configs.CONFIGS, ids=lambda path: path.stem)
def test_config(path):
    model = build(path).train()
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    weights = {name: on_gpu(value) for name, value in weights.items()}
    iterations, allowed, most = [0], MASK_LOSS_WAITS, Counter()
    kinds = [(True, True)]
    if isinstance(model, AFA):
        cfg = model.train_cfg
        iterations += [cfg['cam_iters'] + 1, cfg['switch_iter'] + 1]
        allowed, most = LOSS_WAITS, PREDICT_WAITS
        kinds = [(False, False), (True, False)]  # trusted masks
        model.test_cfg['sources'] = list(SOURCES)
    hub = MessageHub.get_instance(f'gpu_ready_{path.stem}')
    for iteration in iterations:
        hub.update_info('iter', iteration)
        for amp, masks in product((False, True), kinds):
            places, losses = run(model, weights, 'loss', amp, masks)
            assert set(places) <= allowed
            assert all(value.is_cuda for value in losses.values())

    places, (sample, _) = run(model.eval(), weights, 'predict')
    assert not Counter(places) - most
    assert sample.pred_sem_seg.data.is_cuda
    assert sample.pred_sem_seg.shape == (70, 80)


@pytest.mark.parametrize('capability', [80, 90])
def test_kernels_compile_without_spills(capability, tmp_path, monkeypatch):
    """Compile PAR's kernels for A100 and H100; no register is spilled."""
    import triton
    from triton.backends.compiler import GPUTarget

    from mmseg_afa.models.refiners import par_triton as kernels
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    # before 3.3 constants go by their names
    named = Version(triton.__version__) < Version('3.3')
    ptxas = Path(triton.__file__).parent / 'backends/nvidia/bin/ptxas'
    pointers = dict(
        image='*fp32',
        masks='*fp32',
        weights='*fp32',
        out='*fp32',
        position='*fp32',
        sizes='*i64',
        offsets='*i32',
        w1='fp32',
        w2='fp32')
    for kernel, channels in ((kernels._weights_kernel,
                              None), (kernels._propagate_kernel, 1),
                             (kernels._propagate_kernel,
                              kernels.MAX_CHANNELS)):
        constants = dict(BLOCK=kernels.BLOCK, CHANNELS=channels)
        source = triton.compiler.ASTSource(
            kernel, {
                name:
                'constexpr' if name in constants else pointers.get(
                    name, 'i32')
                for name in kernel.arg_names
            }, {
                name if named else (i, ): constants[name]
                for i, name in enumerate(kernel.arg_names) if name in constants
            })
        code = triton.compile(
            source, target=GPUTarget('cuda', capability, 32)).asm['ptx']
        target, = re.findall(r'^\.target (\w+)', code, re.M)
        path = tmp_path / 'kernel.ptx'
        path.write_text(code)
        report = subprocess.run(
            [ptxas, '-v', f'--gpu-name={target}', path, '-o', f'{path}.cubin'],
            capture_output=True,
            text=True,
            check=True).stderr
        spilled = re.findall(r'(\d+) bytes spill (?:stores|loads)', report)
        assert spilled == ['0', '0']
