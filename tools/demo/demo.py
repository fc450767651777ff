# Copyright (c) mmseg_afa contributors. All rights reserved.
"""AFA from data to scores in minutes, on two CPU cores.

Draws the demo data set, trains on its tags, evaluates on its masks, draws a
picture and prints a table. With --baseline it trains the same network without
affinity and PAR instead, and stores its scores for the table.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / 'data' / 'demo'
CONFIG = ROOT / 'configs' / 'afa' / 'afa_mit-b0_demo.py'
BASELINE_CONFIG = ROOT / 'configs' / 'afa' / 'afa_mit-b0_demo-no-affinity.py'
BASELINE = ROOT / 'docs' / 'demo_baseline.json'
BASELINE_COMMAND = 'python tools/demo/demo.py --baseline'
NUM_PICTURES = 6

SCORES = (  # of the table: name, key of the evaluation
    ('segmentation mIoU', 'mIoU'),
    ('CAM mIoU, given the tags', 'cam_given_tags/mIoU'),
    ('affinity CAM mIoU, given the tags', 'affinity_cam_given_tags/mIoU'),
    ('classification F1', 'image_label/F1'),
    ('classification mAP', 'image_label/mAP'),
)


def run(*command: object) -> None:
    """Run one of the tools; stop with its exit status if it fails."""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    status = subprocess.run([sys.executable, *map(str, command)],
                            env=dict(os.environ, PYTHONPATH=path)).returncode
    if status:
        raise SystemExit(status)


def evaluate(config: Path, checkpoint: Path) -> dict:
    """Scores of a checkpoint in percent, by the keys of the evaluation."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    cfg = Config.fromfile(config)
    cfg.load_from = str(checkpoint)
    cfg.work_dir = str(checkpoint.parent)
    scores = Runner.from_cfg(cfg).test()
    return {
        key: round(float(scores[key]), 2)
        for _, key in SCORES if key in scores
    }


def table(scores: dict, baseline: dict) -> str:
    """The scores beside those of the baseline, as Markdown."""
    lines = [
        '| held-out demo images, % | AFA | no affinity, no PAR |',
        '| --- | --- | --- |'
    ]
    for name, key in SCORES:
        cells = [
            f'{column[key]:.1f}' if key in column else '–'
            for column in (scores, baseline)
        ]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--baseline',
        action='store_true',
        help='train without affinity and PAR, and store the scores')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    start = time.time()
    config = BASELINE_CONFIG if args.baseline else CONFIG
    work_dir = ROOT / 'work_dirs' / config.stem
    os.chdir(ROOT)  # the configs' paths start here
    run('tools/demo/make_demo_data.py', DATA)
    run('tools/train.py', config, '--work-dir', work_dir)
    checkpoint = Path((work_dir / 'last_checkpoint').read_text())
    scores = evaluate(config, checkpoint)
    if args.baseline:
        stored = dict(command=BASELINE_COMMAND, scores=scores)
        BASELINE.write_text(json.dumps(stored, indent=2) + '\n')
        print(f'\n{json.dumps(scores, indent=2)}\n-> {BASELINE}')
        return
    picture = work_dir / 'demo.jpg'
    run('tools/analysis_tools/prediction_sheet.py', config, checkpoint,
        '--num', NUM_PICTURES, '--out', picture, '--work-dir', work_dir)
    stored = json.loads(BASELINE.read_text())
    print(f'\n{table(scores, stored["scores"])}\n\n'
          f'The last column was stored by `{stored["command"]}`.\n'
          f'Picture: {picture.relative_to(ROOT)}\n'
          f'{time.time() - start:.0f} seconds in all.')


if __name__ == '__main__':
    main()
