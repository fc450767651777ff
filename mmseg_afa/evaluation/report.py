# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Write scores and how they were measured: report.json and report.md."""
import json
import re
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from ..models.segmentors.maps import FIELDS
from ..utils import replacing
from ..visualization import figure_to_picture, save_picture

TAGS_NOTE = ('Rows with given tags know which classes each image shows, as '
             'in training. These rows measure pseudo labels. Compare '
             'segmentations by the rows with no or predicted tags only.')
SWEEP_NOTE = ('Choosing a background score by this curve uses the validation '
              'masks. Such a result does not rest on image labels alone.')


def checkpoint_rule(path: str) -> str:
    """Read from mmengine's file name how a checkpoint was chosen."""
    name = Path(path).name
    best = re.match(r'best_(.+)_(?:iter|epoch)_\d+', name)
    if best:
        return f'best validation {best[1]}, chosen with masks'
    fixed = re.match(r'(iter|epoch)_(\d+)', name)
    if fixed:
        return f'fixed: {fixed[1]} {fixed[2]}'
    return 'unknown'


def rows(report: Dict[str, dict]) -> List[dict]:
    """List the table's rows from `WeakIoUMetric.report`."""
    return [
        dict(score=field.source.title, tags=field.tags, **report[name])
        for name, field in FIELDS.items() if name in report
    ]


def to_markdown(report: dict) -> str:
    """Format a report as a Markdown page.

    Args:
        report (dict): 'about': facts about the evaluation, by name; 'rows':
            see :func:`rows`; 'image_labels': scores in %, by name; 'sweeps':
            mIoU in % by background score, for each CAM.
    """
    lines = ['# Scores', '', '| | |', '| --- | --- |']
    lines += [f'| {key} | {value} |' for key, value in report['about'].items()]
    lines += [
        '', '| mIoU, % | tags | mIoU | ignored |', '| --- | --- | --- '
        '| --- |'
    ]
    for row in report['rows']:
        ignored = row['ignored'] if row['score'].endswith('label') else ''
        lines.append(f'| {row["score"]} | {row["tags"]} | '
                     f'{_number(row["mIoU"])} | {ignored} |')
    lines += ['', TAGS_NOTE]
    if report['image_labels']:
        lines += ['', '| image labels, % | |', '| --- | --- |']
        lines += [
            f'| {k} | {v:.2f} |' for k, v in report['image_labels'].items()
        ]
    lines += [
        '', '| IoU, % | ' + ' | '.join(f'{row["score"]} ({row["tags"]})'
                                       for row in report['rows']) + ' |'
    ]
    lines += ['| --- ' * (len(report['rows']) + 1) + '|']
    for name in report['rows'][0]['IoU']:
        cells = [_number(row['IoU'][name]) for row in report['rows']]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    for name, curve in report['sweeps'].items():
        title = FIELDS[name].title
        lines += [
            '', f'| background score | mIoU of {title} |', '| --- | --- |'
        ]
        lines += [f'| {t:.2f} | {_number(v)} |' for t, v in curve.items()]
    if report['sweeps']:
        lines += ['', SWEEP_NOTE]
    return '\n'.join(lines) + '\n'


def _number(value: Optional[float]) -> str:
    return '–' if value is None else f'{value:.2f}'


def draw_sweeps(sweeps: Dict[str, Dict[float, float]],
                bkg_score: Optional[float] = None) -> np.ndarray:
    """Plot mIoU over background score, RGB uint8 (H, W, 3).

    Args:
        sweeps (dict): As in a report.
        bkg_score (float, optional): The model's background score, marked by
            a line.
    """
    from matplotlib.figure import Figure
    figure = Figure((6, 4), dpi=120, layout='tight')
    axes = figure.subplots()
    for name, curve in sweeps.items():
        axes.plot(
            list(curve),
            list(curve.values()),
            marker='.',
            label=FIELDS[name].title)
    if bkg_score is not None:
        axes.axvline(bkg_score, color='grey', ls=':', label='as evaluated')
    axes.set_xlabel('background score')
    axes.set_ylabel('mIoU, %')
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    axes.set_title(
        'Choosing by this curve uses the validation masks', fontsize='medium')
    return figure_to_picture(figure)


def write_report(folder: Path,
                 report: dict,
                 bkg_score: Optional[float] = None) -> None:
    """Write report.json and report.md; draw sweeps, if there are any."""
    texts = {
        'report.json': json.dumps(report, indent=2, ensure_ascii=False) + '\n',
        'report.md': to_markdown(report)
    }
    for name, text in texts.items():
        with replacing(folder / name) as unfinished:
            unfinished.write_text(text, encoding='utf-8')
    if report['sweeps']:
        save_picture(folder / 'background_sweep.png',
                     draw_sweeps(report['sweeps'], bkg_score))
