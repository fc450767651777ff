# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Kills a short run of the demo at random moments, and compares what the
resumed ones end with.

A run that nobody kills comes first. Each of the others is killed (SIGKILL,
the loader's processes too) at a moment drawn with its seed, or while it writes
a checkpoint, and resumed. Weights, optimizer and schedule of the last
checkpoints have to be equal, to the last bit. From the root of the repository:

    python tools/demo/make_demo_data.py data/demo
    python -m tests.benchmarks.kills FOLDER --kills 30 --while-writing 5
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

import torch

from mmseg_afa.engine.launch import latest_checkpoint

ROOT = Path(__file__).parents[2]
ITERATIONS = 40
OPTIONS = [
    'train_dataloader.batch_size=4', 'train_dataloader.num_workers=2',
    'train_dataloader.persistent_workers=True', 'auto_scale_lr=None',
    f'train_cfg.max_iters={ITERATIONS}', 'train_cfg.val_interval=20',
    'val_dataloader.dataset.indices=8', 'model.train_cfg.cam_iters=8',
    'model.train_cfg.switch_iter=20', 'param_scheduler.0.end=9',
    'param_scheduler.1.begin=8', f'param_scheduler.1.end={ITERATIONS + 1}',
    'default_hooks.checkpoint.interval=4', 'custom_hooks.0.interval=16'
]


def start(work_dir: Path, processes: int, *options: str) -> subprocess.Popen:
    """Start a training in a group of processes of its own."""
    config = 'configs/afa/afa_mit-b0_demo.py'
    command = [sys.executable, 'tools/train.py', config]
    if processes > 1:
        command = ['tools/dist_train.sh', config, str(processes)]
    command += [
        *options, '--work-dir',
        str(work_dir), '--cfg-options', *OPTIONS
    ]
    environment = dict(
        os.environ,
        PYTHON=sys.executable,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES='')
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True)


def finish(run: subprocess.Popen) -> None:
    """Wait for a training that must succeed."""
    if run.wait() != 0:
        raise RuntimeError(f'{run.args} ended with {run.returncode}')


def kill(run: subprocess.Popen, work_dir: Path,
         after: Optional[float]) -> None:
    """Kill a training after some seconds, or when it writes a checkpoint."""
    begun = time.monotonic()
    while run.poll() is None:
        if after is None and any(work_dir.glob('.iter_*.tmp.pth')):
            break
        if after is not None and time.monotonic() - begun >= after:
            break
        time.sleep(0.0005)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def equal(first, second) -> bool:
    """Whether two nests of containers hold the same, to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            equal(value, second[key]) for key, value in first.items())
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def last_state(work_dir: Path, iterations: int = ITERATIONS) -> dict:
    """Weights, optimizer and schedule of the last checkpoint."""
    state = torch.load(work_dir / f'iter_{iterations}.pth', weights_only=True)
    return {
        key: state[key]
        for key in ('state_dict', 'optimizer', 'param_schedulers')
    }


def main() -> None:
    """Compare as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('folder', type=Path, help='for the runs')
    parser.add_argument('--kills', type=int, default=30)
    parser.add_argument(
        '--while-writing',
        type=int,
        default=5,
        help='how many of them hit a checkpoint while it is written')
    parser.add_argument('--processes', type=int, default=1)
    args = parser.parse_args()

    begun = time.monotonic()
    finish(start(args.folder / 'whole', args.processes))
    seconds = time.monotonic() - begun
    expected = last_state(args.folder / 'whole')
    print(f'not killed: {seconds:.1f} s')
    same = 0
    for seed in range(args.kills):
        work_dir = args.folder / f'killed_{seed}'
        rng = random.Random(seed)
        after, saved = rng.uniform(0, seconds), 0
        if seed < args.while_writing:
            # a checkpoint of its own for each of them
            after, saved = None, rng.randrange(1, ITERATIONS // 4)
        run = start(work_dir, args.processes)
        while saved and run.poll() is None and len(
                list(work_dir.glob('iter_*.pth'))) < min(saved, 3):
            time.sleep(0.001)
        kill(run, work_dir, after)
        half = any(work_dir.glob('.iter_*.tmp.pth'))
        newest = latest_checkpoint(str(work_dir))
        finish(start(work_dir, args.processes, '--resume'))
        found = equal(last_state(work_dir), expected)
        same += found
        print(
            f'seed {seed}: killed '
            f'{"while writing" if after is None else f"after {after:.1f} s"}'
            f'{", half a checkpoint" if half else ""}, resumed from '
            f'{Path(newest).name if newest else "the start"}: '
            f'{"equal" if found else "NOT EQUAL"}',
            flush=True)
        shutil.rmtree(work_dir)
    print(f'{same} of {args.kills} equal')
    sys.exit(same != args.kills)


if __name__ == '__main__':
    main()
