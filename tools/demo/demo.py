# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run AFA from data to scores in minutes, on two CPU cores.

Draw the demo data set, train on its tags, evaluate on its masks, draw a
picture and print a table. The table compares with stored scores: of the same
network without affinity and PAR, and of a plain SegFormer that was trained on
the demo's pseudo labels.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / 'data/demo'
CONFIG = ROOT / 'configs/afa/afa_mit-b0_demo.py'
WORK_DIR = ROOT / 'work_dirs' / CONFIG.stem
STORED = ROOT / 'docs/demo_scores.json'

SCORES = {  # rows of the table, by the keys of the evaluation
    'mIoU': 'segmentation mIoU',
    'cam_given_tags/mIoU': 'CAM mIoU, given the tags',
    'affinity_cam_given_tags/mIoU': 'affinity CAM mIoU, given the tags',
    'image_label/F1': 'classification F1',
    'image_label/mAP': 'classification mAP'
}
SECOND_STAGE = 'second stage, on its pseudo labels: segmentation mIoU'


def run(*command: object) -> None:
    """Run a tool, and exit with its status if it fails."""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    status = subprocess.run([sys.executable, *map(str, command)],
                            env=dict(os.environ, PYTHONPATH=path)).returncode
    if status:
        raise SystemExit(status)


def evaluate(checkpoint: Path) -> dict:
    """Return the scores of a checkpoint in percent, by their keys."""
    from mmseg_afa.engine import launch

    cfg = launch.read_config(str(CONFIG))
    cfg.load_from, cfg.work_dir = str(checkpoint), str(checkpoint.parent)
    cfg.launcher = 'none'
    scores = launch.build_runner(cfg).test()
    return {k: round(float(scores[k]), 2) for k in SCORES if k in scores}


def table(scores: dict, baseline: dict, second_stage: dict) -> str:
    """Compare the scores with the stored ones, as Markdown."""
    rows = [(name, scores.get(key), baseline.get(key))
            for key, name in SCORES.items()]
    rows.insert(1, (SECOND_STAGE, second_stage.get('mIoU'), None))
    lines = [
        '| held-out demo images, % | AFA | no affinity, no PAR |',
        '| --- | --- | --- |'
    ]
    for name, *values in rows:
        cells = ['–' if value is None else f'{value:.1f}' for value in values]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def main(argv=None) -> None:
    """Train and evaluate AFA, draw the picture and print the table."""
    argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(argv)
    from mmengine.device import get_device

    start = time.time()
    os.chdir(ROOT)  # the paths in the configs start here
    run('tools/demo/make_demo_data.py', DATA)
    amp = ['--amp'] if get_device() == 'cpu' else []
    run('tools/train.py', CONFIG, '--work-dir', WORK_DIR, *amp)
    checkpoint = Path((WORK_DIR / 'last_checkpoint').read_text())
    scores = evaluate(checkpoint)
    picture = WORK_DIR / 'demo.jpg'
    run('tools/analysis_tools/prediction_sheet.py', CONFIG, checkpoint,
        '--num', 6, '--out', picture)
    stored = json.loads(STORED.read_text())
    columns = [stored[x]['scores'] for x in ('baseline', 'second_stage')]
    print(f'\n{table(scores, *columns)}\n\n'
          'The last column and the row of the second stage are stored in '
          f'{STORED.relative_to(ROOT)}.\n'
          f'Picture: {os.path.relpath(picture)}\n'
          f'{time.time() - start:.0f} seconds in all.')


if __name__ == '__main__':
    main()
