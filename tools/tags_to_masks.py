# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train on tagged photos, and make masks of them, by one command.

    python tools/tags_to_masks.py photos/ --tags tags.csv --out runs/pets

writes OUT/config.py, which runs with tools/train.py as any other config,
OUT/training, OUT/masks and OUT/masks_with_tags (the masks of all photos, and
those restricted to the tags), and OUT/report.md. Run the same command again
to resume an interrupted run.
"""
import argparse
import hashlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

TOOLS = Path(__file__).resolve().parent
sys.path.insert(1, str(TOOLS / 'dataset_converters'))
COLUMNS = dict(  # of the report, by the keys of training_report.json
    name='class',
    photos='photos',
    AP='AP, %',
    chance='AP by chance, %',
    label='of label pixels, %',
    predicted='of predicted pixels, %')
STEPS = ('Tags', 'Photos', 'Split', 'Config', 'Training', 'Masks', 'Report')
COMMAND = 'command.json'  # what a run depends on
REVIEW = 100  # masks on the review page
# what the terminal shows of a tool's output: scores, warnings, progress bars
SHOWN = re.compile('|'.join(
    (r'Iter\(val\).*/', r'Iter\(train\).* \[\d*00/', r'^\w.*%\|', '^Traceback',
     r'WARNING - (?!Failed|Advance|resumed)', '^- ')))
STAMP = re.compile(r'^\S+ \S+ - mmengine - (INFO - )?')  # of a log
TIMED = re.compile(r'^(classify|cam|refined): ([\d.e+-]+) s a step', re.M)


def parse_args(argv=None):
    """Read the command line."""
    import image_labels
    from run_config import BASES
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('photos', type=Path, help='the folder of the photos')
    add('--tags', required=True, type=Path, help='the tags, a file or folder')
    add('--out', required=True, type=Path, help='the folder to write')
    add('--model',
        choices=BASES,
        help='the network (default: mit-b1, on a CPU mit-b0); deit-s and '
        'dinov2-s may be used commercially, and need mmpretrain')
    length = parser.add_mutually_exclusive_group().add_argument
    length('--iters', type=int, help='training iterations')
    length('--minutes', type=float, help='training time; measures some steps')
    add('--crop', type=int, help='long side of a photo, in pixels')
    add('--weights',
        metavar='FILE',
        help="pretrained weights of the network, or 'none' (default: the "
        'public ones, which are downloaded)')
    add('--val-masks',
        type=Path,
        metavar='DIR',
        help='true masks NAME.png of some photos, to validate with; by '
        'default 10 %% of the photos validate the tags')
    add('--trusted',
        type=Path,
        metavar='DIR',
        help='corrected masks NAME.png, to train on')
    add('--decisions',
        type=Path,
        metavar='FILE',
        help='decisions.csv of a review page')
    add('--bkg-scores',
        type=float,
        nargs=2,
        metavar=('HIGH', 'LOW'),
        help='background scores, chosen on OUT/training/background_scores.png;'
        ' a run that exists resumes from the end of classification')
    add('--no-background',
        action='store_true',
        help='each pixel belongs to a class, as in histology')
    add('--empty-above',
        type=float,
        metavar='GREY',
        help='ignore pixels that are brighter, from 0 to 1: white glass')
    image_labels.add_tag_options(parser, source='auto')
    return parser.parse_args(argv)


def run_tool(log, tool, *options):
    """Run a tool: all output goes to a log, and its main lines are shown."""
    command = [sys.executable, TOOLS / tool, *options]
    lines = []
    with open(
            log, 'a', encoding='utf-8') as file, subprocess.Popen(
                list(map(str, command)),
                encoding='utf-8',
                errors='replace',
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as process:
        # training saves a checkpoint then
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        for line in process.stdout:
            file.write(line)
            lines.append(line)
            if SHOWN.search(line):
                print('  ' + STAMP.sub('', line), end='', flush=True)
    if process.returncode:
        raise SystemExit(
            f'{"".join(lines[-10:])}\n{tool} failed with status '
            f'{process.returncode}. All of its output is in '
            f'{log}. Correct the cause, and run the command again to '
            'resume.')
    return ''.join(lines)


def announce(number, text):
    """Print a step and what it found."""
    print(f'[{number}/{len(STEPS)}] {STEPS[number - 1]}: {text}', flush=True)


def describe_command(args):
    """Describe what a run depends on, as JSON stores it."""
    settings = {
        key: str(value)
        for key, value in vars(args).items()
        if key not in ('bkg_scores', 'out') and value is not None
    }
    if args.tags.is_file():
        settings['tags'] = hashlib.sha256(args.tags.read_bytes()).hexdigest()
    return settings


def check_command(args):
    """Refuse to continue a run with other settings."""
    from mmseg_afa.utils import UserError
    there = json.loads((args.out / COMMAND).read_text(encoding='utf-8'))
    settings = describe_command(args)
    for key in sorted(there.keys() | settings.keys()):
        if there.get(key) != settings.get(key):
            raise UserError(
                f'{args.out}: holds a run with another --{key}: '
                f'{there.get(key)!r}. Choose another --out, or remove the '
                'folder.')


def read_tags(args):
    """Write the label file; return the classes and the tags of the photos."""
    import image_labels
    paths = dict(
        data_root=str(args.out),
        path=str(args.tags),
        photos=[str(args.photos)],
        lists=None,
        out='image_labels.txt')
    return image_labels.make_label_file(
        argparse.Namespace(**dict(vars(args), **paths)))


def read_photos(photos):
    """Decode all photos: height and width of each by name, or the error."""
    from mmseg_afa.apis import find_photos
    from mmseg_afa.datasets import LoadWeakImage
    from mmseg_afa.utils import UserError, parallel_map
    load = LoadWeakImage()

    def size(photo):
        try:
            return load(dict(img_path=photo.path))['img_shape']
        except (OSError, UserError) as error:
            return str(error)

    found, _ = find_photos([str(photos)])
    sizes = parallel_map(size, found, description='Photos')
    return {photo.name: one for photo, one in zip(found, sizes)}


def add_new_photos(args):
    """List the photos that were added to the folder for masks, too."""
    from mmseg_afa.apis import find_photos
    from mmseg_afa.datasets.image_files import format_names
    from mmseg_afa.datasets.label_file import read_image_list, write_image_list
    lists = [args.out / 'photos.txt', args.out / 'broken.txt']
    listed = [read_image_list(str(path)) for path in lists if path.exists()]
    found, _ = find_photos([str(args.photos)])
    new = [one.name for one in found if one.name not in set(sum(listed, []))]
    if new:
        print(f'  {len(new)} new photos get masks, and are not trained on: '
              f'{format_names(new)}. To train on them, use another --out.')
        write_image_list(lists[0], listed[0] + new)


def read_data(args):
    """Read tags, photos and corrections; keep photos apart.

    Returns:
        tuple: The tags of the training photos, the median long side of these
        photos in pixels, and whether some of them have trusted masks.
    """
    import statistics

    import corrections
    from run_config import keep_apart

    from mmseg_afa.datasets import write_label_file
    from mmseg_afa.datasets.label_file import write_image_list
    from mmseg_afa.utils import UserError
    classes, labels = read_tags(args)
    announce(1, f'{len(labels)} names with tags, {len(classes)} classes')
    sizes = read_photos(args.photos)
    broken = {k: v for k, v in sizes.items() if isinstance(v, str)}
    sizes = {k: v for k, v in sizes.items() if k not in broken}
    rows = corrections.read_decisions(args.decisions)
    labels = corrections.correct(
        {name: labels[name]
         for name in labels if name in sizes}, rows)
    write_label_file(str(args.out / 'image_labels.txt'), classes, labels)
    announce(
        2, f'{len(sizes)} can be read, {len(labels)} of them are tagged, '
        f'{len(broken)} are broken')
    for problem in broken.values():
        print(f'  left out: {problem}')
    trusted = corrections.find_masks(args.trusted, args.decisions, rows)
    corrections.check_masks(trusted, {k: sizes[k] for k in labels}, classes)
    if args.val_masks:
        masks = corrections.masks_in(args.val_masks)
        masks = {name: masks[name] for name in masks if name in labels}
        corrections.check_masks(masks, sizes, classes)
        val = sorted(masks)
    else:
        rest = {k: v for k, v in labels.items() if k not in trusted}
        val = keep_apart(rest, classes,
                         lambda name: hashlib.sha256(name.encode()).digest())
    train = [name for name in labels if name not in set(val)]
    if not val or len(train) < 2:
        raise UserError(
            f'{args.tags}: {len(labels)} photos are tagged, too few to keep '
            'some of them apart for validation. Tag at least 5 photos of a '
            'class, or give true masks of tagged photos with --val-masks.')
    corrections.copy_masks(trusted, args.out / 'trusted')
    announce(
        3, f'{len(train)} photos to train on, {len(trusted)} of them '
        f'with trusted masks; {len(val)} kept apart')
    for name, names in (('photos', sizes), ('broken', broken),
                        ('tagged', labels), ('train', train), ('val', val)):
        if names:
            write_image_list(args.out / f'{name}.txt', names)
    long_side = int(statistics.median(max(sizes[name]) for name in train))
    return {name: labels[name] for name in train}, long_side, bool(trusted)


def prepare(args, log):
    """Read the data, choose the settings, and write the config."""
    import torch
    from run_config import Setting, choose, config_text, duration, fit_iters

    from mmseg_afa.utils import replacing
    labels, long_side, trusted = read_data(args)
    labeler = dict(background=False) if args.no_background else {}
    if args.empty_above is not None:
        labeler['empty_above'] = args.empty_above
    on_gpu = torch.cuda.is_available()
    empty = sum(not tags for tags in labels.values()) / len(labels)
    settings = choose(vars(args), len(labels), long_side, empty, on_gpu)
    settings['workers'] = Setting(4 if on_gpu else 0, 'processes that load')

    def text():
        return config_text({
            k: v.value
            for k, v in settings.items()
        }, args.photos, args.out, args.out / 'trusted' if trusted else None,
                           args.val_masks, args.weights, labeler)

    seconds = time_steps(text(), log)
    if args.minutes:
        settings['iters'] = Setting(
            fit_iters(args.minutes, seconds), f'{args.minutes:g} minutes')
    with replacing(args.out / COMMAND) as unfinished:
        unfinished.write_text(
            json.dumps(describe_command(args), indent=2), encoding='utf-8')
    minutes = duration(settings['iters'].value, seconds) / 60
    with replacing(args.out / 'config.py') as unfinished:
        unfinished.write_text(text(), encoding='utf-8')
    announce(
        4, f'{args.out / "config.py"}, about {minutes:.0f} minutes of '
        'training')
    for name, (value, reason) in settings.items():
        print(f'  {name:<12}{value}  ({reason})')


def time_steps(config, log):
    """Measure a training step in each of the three phases, in seconds."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'config.py'
        path.write_text(config, encoding='utf-8')
        phases = 'classify', 'cam', 'refined'
        output = run_tool(log, 'analysis_tools/benchmark.py', path, '--steps',
                          3, '--amp', 'bfloat16', '--measure', *phases)
    timed = dict(TIMED.findall(output))
    return [float(timed[phase]) for phase in phases]


def choose_scores(args, config):
    """Return the config and the work folder of the background scores."""
    from mmseg_afa.utils import replacing
    text = other = config.read_text(encoding='utf-8')
    for key, score in zip(('bkg_high', 'bkg_low'), args.bkg_scores or ()):
        other = re.sub(rf'{key}=[\d.e-]+', f'{key}={score}', other)
    if other == text:
        return config, args.out / 'training', ''
    suffix = '_{:g}_{:g}'.format(*args.bkg_scores)
    config = config.with_name(f'config{suffix}.py')
    with replacing(config) as unfinished:
        unfinished.write_text(other, encoding='utf-8')
    return config, args.out / f'training{suffix}', suffix


def train(args, config, work, log):
    """Train to the end, from the newest checkpoint; return the final one."""
    from mmengine.config import Config

    from mmseg_afa.utils import UserError, checkpoints
    last = Config.fromfile(config).train_cfg.max_iters
    final = work / f'iter_{last}.pth'
    if not final.exists():
        start = checkpoints.latest_checkpoint(str(work))
        if start is None and work.name != 'training':
            start = args.out / 'training/classification.pth'
            if not start.exists():
                raise UserError(
                    f'--bkg-scores: {start} is missing. Leave the option out '
                    'until classification has ended, or use another --out.')
        run_tool(log, 'train.py', config, '--work-dir', work, '--amp',
                 *(['--resume', start] if start else []))
    best = sorted(work.glob('best_mIoU_iter_*.pth'))
    return best[-1] if best else final


def predict(args, config, checkpoint, suffix, log):
    """Make the masks of all photos, and with their tags; return folders."""
    given = ['--tags', args.out / 'image_labels.txt']
    folders = []
    for name, photos, options in (('masks', 'photos', []), ('masks_with_tags',
                                                            'tagged', given)):
        folders.append(args.out / f'{name}{suffix}')
        run_tool(log, 'predict.py', config, checkpoint, args.photos, '--list',
                 args.out / f'{photos}.txt', '--out', folders[-1],
                 '--confidence', '--review', REVIEW, *options)
    return folders


def report(args, config, checkpoint, folders, suffix, log):
    """Write report.md; return its path and the warnings of the training."""
    from mmengine import fileio

    from mmseg_afa.evaluation.report import table
    work = checkpoint.parent
    found = json.loads((work / 'training_report.json').read_text('utf-8'))
    rows = [[one[key] for key in COLUMNS] for one in found['classes']]
    lines = [f'# {args.out.name}', table([[*COLUMNS.values()], *rows])]
    warnings = [
        one.replace('model.labeler.bkg_high and bkg_low', '--bkg-scores')
        for one in found['warnings']
    ]
    lines += [f'- **{warning}**' for warning in warnings]
    lines += [
        f'`{folder.name}`: [review page]({folder.name}/review.html), '
        f'[table of classes]({folder.name}/images.csv)'
        for folder in folders[::-1]
    ]
    if args.val_masks:
        scores = args.out / f'scores{suffix}'
        run_tool(log, 'test.py', config, checkpoint, '--work-dir', scores)
        lines.append(f'Scores by true masks: [mIoU]({scores.name}/report.md)')
    sheet = f'{work.name}/background_scores.png'
    if (args.out / sheet).exists():
        lines.append('Labels under four pairs of background scores. For '
                     'another pair, run the command again with '
                     f'`--bkg-scores HIGH LOW`.\n\n![]({sheet})')
    path = args.out / f'report{suffix}.md'
    fileio.put_text('\n\n'.join(lines) + '\n', path)
    return path, warnings


def run(args):
    """Run the steps that are left; return the warnings of the training."""
    from mmseg_afa.utils import UserError
    for name in ('photos', 'tags', 'out', 'val_masks', 'trusted', 'decisions'):
        path = getattr(args, name)
        setattr(args, name, path and path.expanduser().resolve())
    if args.weights and args.weights != 'none':
        weights = Path(args.weights).expanduser().resolve()
        if not weights.is_file():
            raise UserError(f'--weights: {weights}: no such file.')
        args.weights = str(weights)
    if not args.tags.exists():
        raise UserError(f'--tags: {args.tags}: no such file or folder.')
    if args.photos in (args.out, *args.out.parents):
        raise UserError(f'--out: {args.out} lies in the folder of the photos, '
                        'so its masks would be taken for photos. Choose '
                        'another folder.')
    high, low = args.bkg_scores or (1, 0)
    if not 0 <= low <= high <= 1:
        raise UserError(f'--bkg-scores: found {high:g} {low:g}, expected HIGH '
                        'LOW from 0 to 1, such as 0.65 0.45.')
    if args.no_background and args.bkg_scores:
        raise UserError('--bkg-scores has no effect with --no-background. '
                        'Leave one of them out.')
    log, config = args.out / 'log.txt', args.out / 'config.py'
    if config.exists():
        check_command(args)
        announce(4, f'{config} is there')
        add_new_photos(args)
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        prepare(args, log)
    config, work, suffix = choose_scores(args, config)
    announce(5, f'{work}; all output is in {log}')
    checkpoint = train(args, config, work, log)
    announce(6, f'by {checkpoint.name}')
    folders = predict(args, config, checkpoint, suffix, log)
    path, warnings = report(args, config, checkpoint, folders, suffix, log)
    announce(7, path)
    return warnings


def main(argv=None):
    """Run the command, and end with the warnings."""
    args = parse_args(argv)
    from mmseg_afa.utils import check_least, exit_on_user_error
    with exit_on_user_error():
        check_least(vars(args), iters=10, crop=32, minutes=0.1, empty_above=0)
        warnings = run(args)
    for warning in warnings:
        print(f'Warning: {warning}', file=sys.stderr)


if __name__ == '__main__':
    main()
