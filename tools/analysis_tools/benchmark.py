# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Time a config: training steps by phase, inference, and the data loader.

    python tools/analysis_tools/benchmark.py configs/afa/afa_mit-b1_voc.py
    python tools/analysis_tools/benchmark.py CONFIG --amp bfloat16
    python tools/analysis_tools/benchmark.py CONFIG --measure loader

Training and inference use random images and weights. Only the loader reads
the data set.
"""
import argparse
import json
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

    Args:
        batch (int): Number of images.
        crop (tuple[int, int]): Height and width. The image fills three
            quarters of the crop.
        num_classes (int): Number of foreground classes.
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


def peak_gb():
    """Return the peak memory in 10^9 bytes.

    On a GPU of the tensors; on a CPU of the process, or None without Linux.
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    status = Path('/proc/self/status')
    # Not getrusage: a process inherits that peak from its parent.
    peak = status.exists() and re.search(r'VmHWM:\s+(\d+)', status.read_text())
    return int(peak[1]) * 1024 / 1e9 if peak else None


def measure_steps(step, count: int, batch: int) -> dict:
    """Time a function that handles a batch: median seconds, peak memory."""
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
    return dict(
        seconds=seconds, images_per_second=batch / seconds, gb=peak_gb())


def measure_model(runner, wanted: list, steps: int, crop: tuple) -> dict:
    """Time the wanted phases of the schedule, and inference.

    Inference is the segmentation of a batch at one scale, without CAMs.
    """
    import torch
    from mmengine.logging import MessageHub

    model, cfg = runner.model, runner.cfg
    size = cfg.train_dataloader.batch_size
    optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    schedule, rows = [], {}
    if hasattr(model, 'phase'):
        schedule = [model.phase(i) for i in range(cfg.train_cfg.max_iters)]
    optim_wrapper.initialize_count_status(model, 0, len(schedule))
    batch = random_batch(size, crop, model.decode_head.num_classes - 1)
    model.train()
    for phase in PHASES:
        if phase in wanted and phase in schedule:
            MessageHub.get_current_instance().update_info(
                'iter', schedule.index(phase))
            rows[phase] = measure_steps(
                lambda: model.train_step(batch, optim_wrapper), steps, size)
            rows[phase]['iterations'] = schedule.count(phase)
    if 'inference' in wanted:
        model.eval()
        device = next(model.parameters()).device
        images = torch.randn(size, 3, *crop, device=device)
        metas = [dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), crop)]

        def segment():
            with torch.no_grad(), optim_wrapper.optim_context(model):
                model.inference(images, metas * size).argmax(1)

        rows['inference'] = measure_steps(segment, steps, size)
    return rows


def measure_loader(cfg, workers: int) -> dict:
    """Time the loading of training images by a number of processes."""
    from mmengine.runner import Runner

    loader = dict(
        cfg,
        num_workers=workers,
        persistent_workers=False,
        sampler=dict(type='ResumableSampler'))
    batches = iter(Runner.build_dataloader(loader, seed=0))
    for _ in range(2 * workers + 1):
        next(batches)  # the workers prepared these before the clock starts
    count = max(NUM_IMAGES // cfg.batch_size, 1)
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    seconds = (time.perf_counter() - start) / count
    return dict(seconds=seconds, images_per_second=cfg.batch_size / seconds)


def measure(args: argparse.Namespace, work_dir: str) -> dict:
    """Measure what the command line names.

    Returns:
        dict: 'settings'; 'rows', a dict of figures for each phase and more;
        and 'schedule_hours' if all phases were measured.
    """
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

    rows = measure_model(runner, args.measure, args.steps, crop)
    if 'loader' in args.measure:
        for workers in args.workers or [loader.get('num_workers', 0)]:
            rows[f'loader, {workers} workers'] = measure_loader(
                loader, workers)
    settings = dict(
        config=Path(args.config).name,
        batch=loader.batch_size,
        crop=f'{crop[0]} x {crop[1]}',
        optim_wrapper=cfg.optim_wrapper.get('type', 'OptimWrapper'),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else
        f'CPU, {torch.get_num_threads()} threads',
        torch=torch.__version__)
    report = dict(settings=settings, rows=rows)
    steps = [row for row in rows.values() if 'iterations' in row]
    if steps and sum(s['iterations']
                     for s in steps) == cfg.train_cfg.max_iters:
        seconds = sum(s['iterations'] * s['seconds'] for s in steps)
        report['schedule_hours'] = seconds / 3600
    return report


def show(report: dict) -> str:
    """Format a report: a line for the settings and for each row."""
    lines = [', '.join(f'{k} {v}' for k, v in report['settings'].items())]
    for name, row in report['rows'].items():
        line = (f'{name}: {row["seconds"]:.4g} s a step, '
                f'{row["images_per_second"]:.4g} images a second')
        if row.get('gb'):
            line += f', {row["gb"]:.3g} GB'
        if 'iterations' in row:
            line += f', {row["iterations"]:,} iterations'
        lines.append(line)
    if 'schedule_hours' in report:
        lines.append(f'schedule: {report["schedule_hours"]:.3g} hours')
    return '\n'.join(lines)


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
    add('--workers',
        nargs='+',
        type=int,
        help="numbers of loader processes (default: the config's)")
    add('--amp',
        choices=['bfloat16', 'float16'],
        help='mixed precision; a CPU has bfloat16 only')
    add('--json', metavar='FILE', help='file to write')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Measure, print the report and write its file."""
    args = parse_args(argv)
    from mmseg_afa.utils import UserError, replacing
    try:
        with TemporaryDirectory() as work_dir:
            report = measure(args, work_dir)
    except UserError as error:
        raise SystemExit(str(error)) from error
    print(show(report))
    if args.json:
        with replacing(args.json) as unfinished:
            unfinished.write_text(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
