# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Write scores and how they were measured: report.json and report.md."""
import json
import re
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np
from mmengine import fileio

from ..models.segmentors.maps import FIELDS
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
        with_tags = best[1].startswith('image_label')
        truth = 'image labels' if with_tags else 'masks'
        return f'best validation {best[1]}, chosen with {truth}'
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
    scored = report['rows']
    scores = [('mIoU, %', 'tags', 'mIoU', 'ignored')]
    for row in scored:
        ignored = row['ignored'] if row['score'].endswith('label') else ''
        scores.append((row['score'], row['tags'], row['mIoU'], ignored))
    classes = [('IoU, %', *(f'{r["score"]} ({r["tags"]})' for r in scored))]
    for name in scored[0]['IoU']:
        classes.append((name, *(row['IoU'][name] for row in scored)))
    about = [('', ''), *report['about'].items()]
    parts = ['# Scores', table(about), table(scores), TAGS_NOTE]
    if report['image_labels']:
        labels = report['image_labels'].items()
        parts.append(table([('image labels, %', ''), *labels]))
    parts.append(table(classes))
    for name, curve in report['sweeps'].items():
        header = 'background score', f'mIoU of {FIELDS[name].title}'
        parts.append(table([header, *curve.items()]))
    if report['sweeps']:
        parts.append(SWEEP_NOTE)
    return '\n\n'.join(parts) + '\n'


def table(rows: Sequence[Sequence]) -> str:
    """Format a Markdown table with a header."""
    lines = ['| ' + ' | '.join(map(cell, row)) + ' |' for row in rows]
    lines.insert(1, '| --- ' * len(rows[0]) + '|')
    return '\n'.join(lines)


def cell(value: object) -> str:
    """Format a cell of a table; None becomes a dash."""
    if value is None:
        return '–'
    return f'{value:.2f}' if isinstance(value, float) else str(value)


def draw_sweeps(sweeps: Dict[str, Dict[float, float]],
                bkg_score: Optional[float] = None) -> np.ndarray:
    """Plot mIoU over background score, RGB uint8 (H, W, 3)."""
    from matplotlib.figure import Figure
    figure = Figure((6, 4), dpi=120, layout='tight')
    axes = figure.subplots()
    for name, curve in sweeps.items():
        title = FIELDS[name].title
        axes.plot(list(curve), list(curve.values()), '.-', label=title)
    if bkg_score is not None:
        axes.axvline(bkg_score, color='grey', ls=':', label='as evaluated')
    axes.set(
        xlabel='background score',
        ylabel='mIoU, %',
        title='Choosing by this curve uses the validation masks')
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure_to_picture(figure)


def write_report(folder: Path,
                 report: dict,
                 bkg_score: Optional[float] = None) -> None:
    """Write report.json and report.md, see :func:`to_markdown`.

    Sweeps are drawn, and the model's background score is marked.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False) + '\n'
    fileio.put_text(text, folder / 'report.json')
    fileio.put_text(to_markdown(report), folder / 'report.md')
    if report['sweeps']:
        save_picture(folder / 'background_sweep.png',
                     draw_sweeps(report['sweeps'], bkg_score))
