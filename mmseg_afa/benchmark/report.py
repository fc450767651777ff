# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Benchmark results as Markdown tables."""
from math import log
from typing import Dict, List, Sequence

from tabulate import tabulate

from .training import iterations_of

# Iterations, images of each, and when the phases end (AFA, section 4.1)
SCHEDULES = {
    'VOC 2012': (20_000, 4, dict(cam_iters=2000, switch_iter=6000)),
    'COCO 2014': (80_000, 8, dict(cam_iters=5000, switch_iter=15000)),
}


def markdown(headers: Sequence[str], rows: Sequence[Sequence]) -> str:
    """A Markdown table."""
    return tabulate(
        rows, headers, tablefmt='github', floatfmt='.3g', missingval='-')


def clock(seconds: float) -> str:
    """Hours and minutes."""
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02d} min'


def phase_table(phases: List[dict], peak: float) -> str:
    """Speed and memory of the phases' steps."""
    return markdown(('phase', 'batch', 's a step', 'images/s', 'TFLOP a step',
                     'TFLOP/s', '% of peak', 'GB'),
                    [(p['phase'], p['batch'], p['seconds'],
                      p['images_per_second'], p['tflop'], p['tflops'],
                      100e12 * p['tflops'] / peak, p['peak_memory'] / 1e9)
                     for p in phases])


def part_table(phases: List[dict]) -> str:
    """Where the time of each phase's step goes, in milliseconds."""
    names = dict.fromkeys(
        name for p in reversed(phases) for name in p['parts']
        if name != 'step')
    return markdown(('ms a step', *(p['phase'] for p in phases)),
                    [(name, *(1000 * p['parts'].get(name, 0.) for p in phases))
                     for name in names] + [('step', *(1000 * p['parts']['step']
                                                      for p in phases))])


def projected_seconds(phases: List[dict]) -> Dict[str, float]:
    """How long the published schedules take at the mean speed of the phases.

    Args:
        phases (list[dict]): A benchmark of each phase.

    Returns:
        dict[str, float]: Seconds of each schedule. That of another data set
        than the config's is taken to cost as much an image.
    """
    return {
        name:
        sum(p['mean_seconds'] / p['batch'] * images *
            iterations_of(schedule, max_iters)[p['phase']] for p in phases)
        for name, (max_iters, images, schedule) in SCHEDULES.items()
    }


def growth(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent k of values ~ sizes^k, by least squares of logarithms."""
    x, y = [log(n) for n in sizes], [log(n) for n in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum(
        (a - mean_x)**2 for a in x)


def growth_table(name: str, cells: List[dict]) -> str:
    """Step time and memory against the crop or the batch.

    Args:
        name (str): 'crop' or 'batch'.
        cells (list[dict]): A benchmark each, with that key; without 'seconds'
            if it ran out of memory.
    """
    done = [cell for cell in cells if 'seconds' in cell]
    rows = [(cell[name], cell.get('seconds'),
             cell['peak_memory'] / 1e9 if 'seconds' in cell else None)
            for cell in cells]
    if len(done) > 1:
        sizes = [cell[name] for cell in done]
        rows.append(
            ('exponent', growth(sizes, [cell['seconds'] for cell in done]),
             growth(sizes, [cell['peak_memory'] for cell in done])))
    return markdown((name, 's a step', 'GB'), rows)


def report_tables(report: dict) -> str:
    """A whole report as Markdown."""
    lines = [
        ', '.join(f'{k} {v}' for k, v in report['environment'].items()) +
        f". Config {report['config']}, crop {report['crop']}, "
        f"{report['precision']}, data: {report['data']}. Measured peak "
        f"{report['peak'] / 1e12:.3g} TFLOP/s."
    ]
    if report.get('training'):
        lines += [
            phase_table(report['training'], report['peak']),
            part_table(report['training'])
        ]
    for name, seconds in report.get('projected', {}).items():
        lines.append(f'The published schedule of {name} at this speed: '
                     f'{clock(seconds)}.')
    for name, cells in report.get('growth', {}).items():
        lines.append(growth_table(name, cells))
    if report.get('inference'):
        found = report['inference']
        lines.append(
            f"Inference, one scale, {found['batch']} x {found['size']} x "
            f"{found['size']}: {found['images_per_second']:.3g} images/s.")
    if report.get('par'):
        par = report['par']
        lines.append(
            f"PAR, {par['batch']} x {par['channels']} maps of {par['size']} x "
            f"{par['size']}: {1000 * par['seconds']:.3g} ms, the published "
            f"code's way {1000 * par['published_way_seconds']:.3g} ms "
            f"(x {par['published_way_seconds'] / par['seconds']:.3g}), "
            f"{par['seconds'] / par['floor_seconds']:.3g} times its "
            f"bytes-moved floor of {1000 * par['floor_seconds']:.3g} ms.")
    return '\n\n'.join(lines)


def compare_table(before: dict, after: dict) -> str:
    """Two reports against each other.

    Args:
        before (dict): A report.
        after (dict): Another one.

    Returns:
        str: A Markdown table with a ratio in each line, above 1 where the
        second is better.
    """
    rows = []
    earlier = {p['phase']: p for p in before.get('training', [])}
    for phase in after.get('training', []):
        old = earlier.get(phase['phase'])
        if old is None:
            continue
        for key, unit in (('seconds', 's a step'), ('peak_memory', 'bytes')):
            rows.append((f"{phase['phase']}, {unit}", old[key], phase[key],
                         old[key] / phase[key]))
        for part, seconds in phase['parts'].items():
            was = old['parts'].get(part)
            if was and seconds:
                rows.append((f"{phase['phase']}, {part}, s", was, seconds,
                             was / seconds))
    for key in ('inference', 'par'):
        if before.get(key) and after.get(key):
            was, now = before[key]['seconds'], after[key]['seconds']
            rows.append((f'{key}, s', was, now, was / now))
    return markdown(('', 'before', 'after', 'ratio'), rows)
