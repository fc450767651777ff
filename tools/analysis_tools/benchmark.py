# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Time a config: training steps by phase, inference, and the data loader.

    python tools/analysis_tools/benchmark.py configs/afa/afa_mit-b1_voc.py
    python tools/analysis_tools/benchmark.py CONFIG --amp bfloat16
    python tools/analysis_tools/benchmark.py CONFIG --measure loader

Training and inference use random images and weights. Only the loader reads
the data set.
"""
import argparse
import os
import re
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

PHASES = ('classify', 'cam', 'refined')
WARM_UP = 2  # calls before those that are timed
NUM_IMAGES = 500  # that the loader reads


def random_batch(batch: int, crop: tuple, num_classes: int) -> dict:
    """Make a batch like the data loader's: two tags for each image.

    The image fills three quarters of the crop (height, width).
    """
    import torch
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(batch):
        tags = torch.randperm(num_classes)[:2]
        box = (0, crop[0] * 3 // 4, 0, crop[1])
        sample = SegDataSample(metainfo=dict(img_box=box, num_tags=len(tags)))
        sample.image_label = torch.zeros(num_classes).index_fill(0, tags, 1)
        samples.append(sample)
    images = torch.randint(256, (batch, 3, *crop), dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)


def reset_peak() -> None:
    """Restart the measurement of the peak memory."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif os.access('/proc/self/clear_refs', os.W_OK):
        Path('/proc/self/clear_refs').write_text('5')  # see man 5 proc


def peak_gb() -> float:
    """Return the peak memory in 10^9 bytes.

    On a GPU of the tensors; on a CPU of the process, and 0 without Linux.
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    status = Path('/proc/self/status')
    # Not getrusage: a process inherits that peak from its parent.
    peak = status.exists() and re.search(r'VmHWM:\s+(\d+)', status.read_text())
    return int(peak[1]) * 1024 / 1e9 if peak else 0.


def measure_steps(name: str, step, count: int, batch: int) -> float:
    """Print time and memory of a function; return its median seconds."""
    import torch

    reset_peak()
    times = []
    for _ in range(WARM_UP + count):
        start = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times[WARM_UP:])
    print(f'{name}: {seconds:.4g} s a step, {batch / seconds:.4g} images a '
          f'second, {peak_gb():.3g} GB')
    return seconds


def count_kernels(step) -> int:
    """Count the kernels that a function launches; views launch none.

    The CPU launches them one after another, so a fast GPU may wait for it.
    PAR's Triton kernels, 11 in a label, are not counted.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        kernels = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            name = func.name().partition('::')[2]
            self.kernels += not (func.is_view or name.startswith(
                ('empty', 'new_empty', '_unsafe_view')))
            return func(*args, **(kwargs or {}))

    with Counter() as counter:
        step()
    return counter.kernels


def measure_training(runner, phases: list, steps: int, crop: tuple) -> None:
    """Time phases of the schedule; print its hours if all are measured."""
    from mmengine.logging import MessageHub

    model, cfg = runner.model.train(), runner.cfg
    size, max_iters = cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters
    schedule = [model.phase(i) for i in range(max_iters)]
    optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    optim_wrapper.initialize_count_status(model, 0, max_iters)
    batch = random_batch(size, crop, model.decode_head.num_classes - 1)
    total = 0.
    for phase in phases:
        if phase in schedule:
            MessageHub.get_current_instance().update_info(
                'iter', schedule.index(phase))

            def step():
                model.train_step(batch, optim_wrapper)

            seconds = measure_steps(phase, step, steps, size)
            print(f'{phase}: {count_kernels(step):,} kernels a step')
            total += seconds * schedule.count(phase)
    if set(schedule).issubset(phases):
        print(f'schedule of {max_iters:,} iterations: {total / 3600:.3g} '
              'hours')


def measure_inference(runner, steps: int, crop: tuple) -> None:
    """Time the segmentation of a batch at one scale, without CAMs."""
    import torch

    model, cfg = runner.model.eval(), runner.cfg
    size = cfg.train_dataloader.batch_size
    images = torch.randn(
        size, 3, *crop, device=next(model.parameters()).device)
    metas = [dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), crop)]
    optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)

    def segment():
        with torch.no_grad(), optim_wrapper.optim_context(model):
            model.inference(images, metas * size).argmax(1)

    measure_steps('inference', segment, steps, size)


def measure_loader(cfg) -> None:
    """Time the loading of training images."""
    from mmengine.runner import Runner

    workers, batch = cfg.get('num_workers', 0), cfg.batch_size
    loader = dict(
        cfg, persistent_workers=False, sampler=dict(type='ResumableSampler'))
    batches = iter(Runner.build_dataloader(loader, seed=0))
    for _ in range(2 * workers + 1):
        next(batches)  # the workers prepared these before the clock starts
    count = max(NUM_IMAGES // batch, 1)
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    seconds = (time.perf_counter() - start) / count
    print(f'loader, {workers} workers: {batch / seconds:.4g} images a second')


def measure(args: argparse.Namespace, work_dir: str) -> None:
    """Measure what the command line names."""
    import torch

    from mmseg_afa.engine import launch

    cfg = launch.read_config(args.config, args.cfg_options)
    if args.amp:
        launch.enable_amp(cfg, args.amp)
    cfg.model.pretrained = cfg.model.backbone.init_cfg = None
    loader = cfg.train_dataloader
    loader.batch_size = args.batch or loader.batch_size
    datasets = loader.dataset.get('datasets', [loader.dataset])
    crops = [t for d in datasets for t in d.pipeline if 'crop_size' in t]
    for transform in crops if args.crop else ():
        transform.crop_size = (args.crop, args.crop)
    crop = tuple(crops[0].crop_size)
    # Let a Runner set up threads, cuDNN and seed, as training does.
    cfg.launcher, cfg.work_dir, cfg.log_level = 'none', work_dir, 'ERROR'
    cfg.randomness = dict(seed=0)
    runner = launch.build_runner(cfg)

    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    device = f'CPU with {torch.get_num_threads()} threads'
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    print(f'{Path(args.config).name}: batch {loader.batch_size}, crop '
          f'{crop[0]} x {crop[1]}, {wrapper}, {device}, '
          f'torch {torch.__version__}')
    phases = [phase for phase in PHASES if phase in args.measure]
    if phases and hasattr(runner.model, 'phase'):
        measure_training(runner, phases, args.steps, crop)
    if 'inference' in args.measure:
        measure_inference(runner, args.steps, crop)
    if 'loader' in args.measure:
        measure_loader(loader)


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('--measure',
        nargs='+',
        choices=[*PHASES, 'inference', 'loader'],
        default=[*PHASES, 'inference'],
        help='training phases and more (default: all but the loader)')
    add('--steps', type=int, default=20, help='timed steps (default: 20)')
    add('--crop', type=int, help="side in pixels (default: the config's)")
    add('--batch', type=int, help="images a step (default: the config's)")
    add('--amp',
        choices=['bfloat16', 'float16'],
        help='mixed precision; a CPU has bfloat16 only')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Measure, and print the figures."""
    args = parse_args(argv)
    from mmseg_afa.utils import check_least, exit_on_user_error
    with exit_on_user_error():
        check_least(vars(args), steps=1, crop=32, batch=1)
        with TemporaryDirectory() as work_dir:
            measure(args, work_dir)


if __name__ == '__main__':
    main()
