# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make the project's own virtual environment with the tested set of libraries.

``make setup`` runs this, with the standard library only. It is quick where
the environment is there already, goes on where an earlier run was
interrupted, and says in one line what is missing and what to do.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'

OLDEST, NEWEST = (3, 9), (3, 12)
PYTHON_X_Y = f'python{sys.version_info[0]}.{sys.version_info[1]}'
MMCV = 'mmcv==2.1.0'
# torch's CUDA build and what it needs take 5.3 GB, and pip unpacks from
# downloads of another 3 GB, which it also keeps.
VENV_GB, DOWNLOAD_GB = 6, 6
# A build of mmcv compiles this many files at once for each GB of memory.
GB_PER_JOB = 2


class SetupError(Exception):
    """Something is missing; the message is one line with the remedy."""


# -- what the machine must have ----------------------------------------------


def check_python(version=sys.version_info):
    """Raise SetupError if this Python is outside the supported range."""
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        age = 'old' if tuple(version[:2]) < OLDEST else 'new'
        raise SetupError(
            f'Python {version[0]}.{version[1]} is too {age}: install one of '
            f'3.{OLDEST[1]} to 3.{NEWEST[1]}, and name it, as in '
            '`make setup PYTHON=python3.11`.')


def check_venv():
    """Raise SetupError if Python cannot make virtual environments."""
    missing = [name for name in ('venv', 'ensurepip') if not find_spec(name)]
    if missing:
        raise SetupError(
            f"This Python has no module {' and '.join(missing)}: install "
            "your system's package for it (Debian and Ubuntu: "
            f'`apt install {PYTHON_X_Y}-venv`).')


def find_compiler():
    """The C++ compiler's command, or SetupError if there is none."""
    for name in (os.environ.get('CXX'), 'c++', 'g++', 'clang++'):
        if name and shutil.which(name.split()[0]):
            return name
    raise SetupError(
        'No C++ compiler found (tried $CXX, c++, g++, clang++), and mmcv may '
        'have to be compiled: install one (Debian and Ubuntu: '
        '`apt install g++`).')


def check_headers(include=None):
    """Raise SetupError if Python's C headers are missing."""
    include = Path(include or sysconfig.get_paths()['include'])
    if not (include / 'Python.h').is_file():
        raise SetupError(
            f"Python's C headers are missing ({include / 'Python.h'}), and "
            'mmcv may have to be compiled: install them (Debian and Ubuntu: '
            f'`apt install {PYTHON_X_Y}-dev`).')


def check_disk(folders):
    """Raise SetupError if a file system has too little free space.

    Args:
        folders (list): Pairs of an existing folder and the GB it will take.
    """
    needed = {}
    for folder, size in folders:
        device = os.stat(str(folder)).st_dev
        _, before = needed.get(device, (None, 0))
        needed[device] = folder, before + size
    for folder, size in needed.values():
        free = shutil.disk_usage(str(folder)).free / 1e9
        if free < size:
            raise SetupError(
                f'Too little disk space: {folder} has {free:.1f} GB free and '
                f'set-up takes {size:g} GB there: free some, or use another '
                'disk (clone there; TMPDIR and PIP_CACHE_DIR name where pip '
                'downloads to).')


def existing_parent(path):
    """The nearest folder above a path that exists."""
    return next(p for p in [path] + list(path.parents) if p.exists())


# -- the environment ---------------------------------------------------------


class Environment:
    """A virtual environment that is being filled.

    Args:
        folder (Path): Where it is, or will be.
    """

    def __init__(self, folder):
        self.folder = folder
        self.python = folder / 'bin' / 'python'
        self.stamp = folder / 'mmseg_afa_setup'
        self.log = folder / 'setup.log'

    def fingerprint(self):
        """What the environment is made from: files and Python's version."""
        digest = hashlib.sha256(PYTHON_X_Y.encode())
        for path in [ROOT / 'setup.py', *sorted(REQUIREMENTS.glob('*.txt'))]:
            digest.update(path.read_bytes())
        digest.update(MMCV.encode())
        # an editable install points to the folder of the repository
        digest.update(str(ROOT).encode())
        return digest.hexdigest()

    def is_ready(self):
        """Whether an earlier run finished, and would do the same today."""
        return (self.python.exists() and self.stamp.is_file()
                and self.stamp.read_text() == self.fingerprint())

    def finish(self):
        """Remember that all is done. Written last, and at once."""
        partial = self.stamp.with_suffix('.partial')
        partial.write_text(self.fingerprint())
        partial.replace(self.stamp)

    def run(self, code):
        """Run code with the environment's Python; its output, or None."""
        if not self.python.exists():
            return None
        process = subprocess.run(
            [str(self.python), '-W', 'ignore', '-c', code],
            cwd=str(self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True)
        return process.stdout.strip() if process.returncode == 0 else None

    def imports(self, module):
        """Whether the environment's Python imports a module."""
        return self.run(f'import {module}') is not None

    def create(self):
        """Make it, anew if it is broken or of another version of Python."""
        found = self.run('import sys; print(sys.version_info[:2])')
        if found == str(sys.version_info[:2]):
            return
        command = [sys.executable, '-m', 'venv', '--clear', str(self.folder)]
        if subprocess.call(command) != 0:
            raise SetupError(f'python -m venv {self.folder} failed: see its '
                             'message above.')

    def pip(self, *arguments, progress=None, **variables):
        """Run pip, into the log.

        Args:
            *arguments: What follows ``pip``.
            progress (callable, optional): Gets each line of output, and
                returns what to show of it, if anything.
            **variables: Added to the environment's variables.

        Returns:
            str: The error that made it fail, or '' if it did not.
        """
        command = [str(self.python), '-m', 'pip', *map(str, arguments)]
        variables = dict(
            os.environ,
            PIP_DISABLE_PIP_VERSION_CHECK='1',
            PIP_USER='0',
            PYTHONUNBUFFERED='1',
            **variables)
        with self.log.open('a') as log, subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                universal_newlines=True,
                errors='replace',
                env=variables) as process:
            error = ''
            for line in process.stdout:
                log.write(line)
                # the first tells most: the rest follow from it
                if not error and re.search(r'\berror:', line, re.I):
                    error = line.strip()
                shown = progress(line) if progress else None
                if shown:
                    print('   ', shown, flush=True)
        if process.returncode < 0:
            return f'stopped by signal {-process.returncode}'
        if process.returncode > 0:
            return error or 'no error named'
        return ''

    def install(self, *arguments, **options):
        """Run ``pip install``, and raise SetupError if it fails."""
        error = self.pip('install', *arguments, **options)
        if error:
            raise SetupError(
                f"pip install {' '.join(map(str, arguments))} failed "
                f'({error}): see {self.log}, mend it (a network problem? too '
                'little memory?) and run this again, it goes on from here.')


# -- the steps ---------------------------------------------------------------


def show_packages(line):
    """Of pip's output, the packages that it takes."""
    found = re.match(r'Collecting (\S+)|(Installing) collected', line)
    if found:
        return found.group(1) or 'unpacking, which takes some minutes'
    return None


def show_compilation(line):
    """Of a build's output, how far it is; every tenth file."""
    found = re.search(r'\[(\d+)/(\d+)\]', line)
    if found and int(found.group(1)) % 10 == 1:
        return f'{found.group(1)} of {found.group(2)} files'
    return None


def install_libraries(env):
    """Install all that comes as wheels."""
    env.install('-r', REQUIREMENTS / 'build.txt')
    env.install(
        '-r',
        REQUIREMENTS / 'tested.txt',
        '-r',
        REQUIREMENTS / 'data.txt',
        '-r',
        REQUIREMENTS / 'tests.txt',
        '-r',
        REQUIREMENTS / 'lint.txt',
        progress=show_packages)
    # openmim's own requirements go back to old versions of what we need; the
    # parts of it that we use run with those of the tested set.
    env.install('--no-deps', 'openmim==0.3.9')


def mend_opencv(env):
    """Without libGL, as on a bare machine, take the build without windows."""
    if env.imports('cv2'):
        return
    tested = (REQUIREMENTS / 'tested.txt').read_text()
    version = re.search(r'^opencv-python(==\S+)', tested, re.M).group(1)
    # Both builds write the same folder: the first has to go.
    env.pip('uninstall', '--yes', 'opencv-python')
    env.install('--no-deps', '--force-reinstall',
                'opencv-python-headless' + version)
    if not env.imports('cv2'):
        raise SetupError(f'OpenCV does not import: `{env.python} -c "import '
                         'cv2"` says what it misses.')


def prebuilt_link(env):
    """Where openmim looks for wheels of mmcv for the installed torch.

    Args:
        env (Environment): Has torch and openmim.

    Returns:
        str: The page of links, or '' if openmim cannot tell.
    """
    return env.run(
        'import os\n'
        'from mim.commands.install import get_mmcv_full_find_link\n'
        'from mim.utils import DEFAULT_MMCV_BASE_URL as base\n'
        "print(get_mmcv_full_find_link(os.environ.get('MMCV_BASE_URL', base)))"
    ) or ''


def build_jobs():
    """How many files to compile at once, by processors and memory."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return max(1, min(os.cpu_count() or 1, int(memory / 1e9 / GB_PER_JOB)))


def install_mmcv(env):
    """Install mmcv with its compiled operators: prebuilt, or built here.

    Each way is tried until one imports. pip may have a wheel in its cache that
    was built for another torch, hence the last.
    """
    if env.imports('mmcv.ops'):
        return
    wheel_only = [MMCV, '--no-deps', '--force-reinstall']
    link = prebuilt_link(env)
    # One short try: offline, or with no such page, this must not take long.
    if link and not env.pip('install', *wheel_only, '--no-index',
                            '--find-links', link, '--only-binary', 'mmcv',
                            '--timeout', '5', '--retries',
                            '0') and env.imports('mmcv.ops'):
        print('    took a prebuilt wheel')
        return
    print('    no prebuilt wheel for this torch: building it, which takes '
          '15 to 20 minutes on two cores')
    for options in ([], ['--no-cache-dir']):
        env.install(
            *wheel_only,
            '--no-build-isolation',  # else it leaves out the operators
            '--verbose',
            *options,
            progress=show_compilation,
            CXX=find_compiler(),
            MAX_JOBS=str(build_jobs()),
            MMCV_WITH_OPS='1',
            # AFA uses none of its CUDA operators, and a build of those needs
            # the CUDA toolkit.
            CUDA_VISIBLE_DEVICES='')
        if env.imports('mmcv.ops'):
            return
    raise SetupError(
        f'mmcv was built but its operators do not import: see {env.log} and '
        f'`{env.python} -c "import mmcv.ops"`.')


def install_package(env):
    """Install this repository in place."""
    env.install('--no-deps', '--no-build-isolation', '--editable', ROOT)
    if not env.imports('mmseg_afa'):
        raise SetupError('mmseg_afa does not import: '
                         f'`{env.python} -c "import mmseg_afa"` says why.')


def set_up(env):
    """Do what is left to do.

    Args:
        env (Environment): New, partly filled, or ready.
    """
    if env.is_ready():
        return
    check_python()
    check_venv()
    if not env.imports('mmcv.ops'):
        find_compiler()
        check_headers()
    if not env.imports('torch'):
        # pip downloads to the one folder and keeps a copy in the other
        check_disk([(existing_parent(env.folder), VENV_GB),
                    (tempfile.gettempdir(), DOWNLOAD_GB / 2),
                    (existing_parent(cache_folder()), DOWNLOAD_GB / 2)])
    steps = [
        ('virtual environment', Environment.create),
        ('libraries', install_libraries),
        ('OpenCV', mend_opencv),
        (MMCV + ' with its operators', install_mmcv),
        ('mmseg_afa', install_package),
    ]
    begin = time.time()
    for number, (name, step) in enumerate(steps, 1):
        seconds = time.time() - begin
        print(f'[{number}/{len(steps)}] {name} ({seconds:.0f} s)', flush=True)
        step(env)
    env.finish()
    print(f'Ready after {time.time() - begin:.0f} s: {env.folder}')


def cache_folder():
    """Where pip keeps what it downloads."""
    home = os.environ.get('XDG_CACHE_HOME', '~/.cache')
    folder = os.environ.get('PIP_CACHE_DIR', home + '/pip')
    return Path(folder).expanduser().absolute()


def main():
    """Set up what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--venv',
        type=lambda path: Path(path).absolute(),
        default=ROOT / '.venv',
        help='folder of the virtual environment (default: %(default)s)')
    try:
        set_up(Environment(parser.parse_args().venv))
    except SetupError as error:
        sys.exit(f'Set-up stopped. {error}')
    except KeyboardInterrupt:
        sys.exit('Set-up was interrupted: run it again, it goes on from here.')


if __name__ == '__main__':
    main()
