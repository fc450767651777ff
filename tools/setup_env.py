# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make the project's own virtual environment with the tested libraries.

``make setup`` runs this, with the standard library only. It takes no time
where nothing has changed, goes on where an earlier run was interrupted, and
says in one line what is missing and what to do.
"""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
MMCV = '2.1.0'
PYTHON_X_Y = f'python{sys.version_info[0]}.{sys.version_info[1]}'


def check_python(version=sys.version_info):
    """Exit with a remedy if this Python cannot make the environment."""
    if not (3, 9) <= tuple(version[:2]) <= (3, 12):
        sys.exit(f'Python {version[0]}.{version[1]} is not supported: install '
                 'one of 3.9 to 3.12 and name it, as in '
                 '`make setup PYTHON=python3.11`.')
    if not (find_spec('venv') and find_spec('ensurepip')):
        sys.exit('This Python has no module venv or ensurepip: install your '
                 "system's package for it (Debian and Ubuntu: "
                 f'`apt install {PYTHON_X_Y}-venv`).')


def find_compiler():
    """The C++ compiler's command; exit with a remedy if nothing compiles."""
    names = (os.environ.get('CXX'), 'c++', 'g++', 'clang++')
    found = [name for name in names if name and shutil.which(name.split()[0])]
    header = Path(sysconfig.get_paths()['include'], 'Python.h')
    if not (found and header.is_file()):
        sys.exit("mmcv's operators have to be compiled. That takes a C++ "
                 f"compiler ({found[0] if found else 'none found'}) and "
                 f'{header}: install both (Debian and Ubuntu: '
                 f'`apt install g++ {PYTHON_X_Y}-dev`).')
    return found[0]


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
        """What the environment is made from, as a hash."""
        # an editable install points to the folder of the repository
        digest = hashlib.sha256(f'{PYTHON_X_Y} {MMCV} {ROOT}'.encode())
        for path in [ROOT / 'setup.py', *sorted(REQUIREMENTS.glob('*.txt'))]:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def is_ready(self, operators=False):
        """Whether an earlier run finished, and would do the same today."""
        wanted = {self.fingerprint()} | ({'operators'} if operators else set())
        return (self.python.exists() and self.stamp.is_file()
                and wanted <= set(self.stamp.read_text().split()))

    def runs(self, code):
        """Whether its Python exists and runs some code without an error."""
        return self.python.exists() and subprocess.run(
            [self.python, '-c', code], cwd=self.folder,
            capture_output=True).returncode == 0

    def run(self, *command, **variables):
        """Run a command, its output into the log; exit if it fails.

        Args:
            *command: Its name and arguments.
            **variables: Added to the environment's variables.
        """
        with self.log.open('a+', errors='replace') as log:
            begin = log.tell()
            status = subprocess.run(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ, **variables)).returncode
            log.seek(begin)
            # the first error tells most: the rest follow from it
            error = re.search(r'(?im)^.*(\berror:|×).*', log.read())
        if status:
            error = error[0].strip() if error else f'exit status {status}'
            sys.exit(
                f'Set-up stopped: {error}. See {self.log}, mend it '
                "(network? uv does not read pip's settings. Disk? Up to "
                '12 GB are needed) and run this again, it goes on from here.')

    def pip(self, *arguments, **variables):
        """Run its pip."""
        self.run(self.python, '-m', 'pip', *arguments, **variables)

    def install(self, *requirements):
        """Install with uv where there is one, else with pip."""
        # without bytecode, which Python makes of what it imports: 20 s less
        command = ['install', '--no-compile', *requirements]
        if shutil.which('uv'):
            self.run('uv', 'pip', *command, '--python', self.python)
        else:
            self.pip(*command)


def create(env):
    """Make it, anew if it is broken or of another version of Python."""
    version = tuple(sys.version_info[:2])
    if not env.runs(
            f'import pip, sys; assert sys.version_info[:2]=={version}'):
        command = [sys.executable, '-m', 'venv', '--clear', env.folder]
        if subprocess.run(command).returncode:
            sys.exit(f'python -m venv {env.folder} failed, see above.')


def install_libraries(env):
    """Install the tested set and this repository in place."""
    # mmcv-lite would write over the files of a full mmcv
    full = any(env.folder.glob('lib/*/site-packages/mmcv-*.dist-info'))
    requirements = [] if full else [f'mmcv-lite=={MMCV}']
    for name in ('tested', 'data', 'tests', 'lint'):
        requirements += ['-r', REQUIREMENTS / f'{name}.txt']
    env.install(*requirements)
    # openmim's own requirements go back to old versions of what we need; the
    # parts of it that we use run with those of the tested set.
    env.install('--no-deps', '--no-build-isolation', 'openmim==0.3.9',
                '--editable', ROOT)


def mend_opencv(env):
    """Without libGL, as on a bare machine, take the build without windows."""
    if not env.runs('import cv2'):
        tested = (REQUIREMENTS / 'tested.txt').read_text()
        version = re.search(r'^opencv-python(==\S+)', tested, re.M)[1]
        # both builds write the same folder
        env.pip('uninstall', '--yes', 'opencv-python')
        env.install('--no-deps', '--force-reinstall',
                    f'opencv-python-headless{version}')


def install_operators(env):
    """Exchange mmcv-lite for mmcv with its operators, for the CPU."""
    if env.runs('import mmcv.ops'):
        return
    compiler = find_compiler()
    env.install('-r', REQUIREMENTS / 'build.txt')
    env.pip('uninstall', '--yes', 'mmcv-lite', 'mmcv')
    install = ['install', '--no-deps', '--force-reinstall', f'mmcv=={MMCV}']
    # openmim knows where wheels for some versions of torch are
    with contextlib.suppress(SystemExit):
        env.run(env.python, '-m', 'mim', *install, '--only-binary', 'mmcv',
                '--timeout', '5', '--retries', '0')
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    # a build in pip's cache may be of another torch
    for options in ([], ['--no-cache-dir']):
        if not env.runs('import mmcv.ops'):
            print('    compiling, which takes 15 minutes on two cores')
            env.pip(
                *install,
                *options,
                '--no-build-isolation',  # else it leaves out the operators
                '--verbose',
                CXX=compiler,
                # a file takes up to 2 GB of memory
                MAX_JOBS=str(max(1, min(os.cpu_count(), int(memory / 2e9)))),
                MMCV_WITH_OPS='1',
                # AFA uses none of its CUDA operators, and a build of those
                # needs the CUDA toolkit.
                CUDA_VISIBLE_DEVICES='')


def set_up(env, operators=False):
    """Do what is left to do.

    Args:
        env (Environment): New, partly filled, or ready.
        operators (bool): Whether mmcv's compiled operators are wanted.
    """
    if env.is_ready(operators):
        return
    check_python()
    env.stamp.unlink(missing_ok=True)
    begin = time.time()
    print(f'Setting up {env.folder}; {env.log.name} in it has the details.')
    steps = [create, install_libraries, mend_opencv]
    steps += [install_operators] if operators else []
    for number, step in enumerate(steps, 1):
        name = step.__name__.replace('_', ' ')
        print(
            f'[{number}/{len(steps)}] {name} ({time.time() - begin:.0f} s)',
            flush=True)
        step(env)
    modules = 'mmcv.ops, mmseg_afa' if operators else 'mmseg_afa'
    if not env.runs(f'import {modules}'):
        sys.exit(f'{modules} cannot be imported: `{env.python} -c "import '
                 f'{modules}"` says why. `make distclean` begins anew.')
    env.stamp.write_text(env.fingerprint() + ' operators' * operators)
    print(f'Ready after {time.time() - begin:.0f} s: {env.folder}')


def main():
    """Set up what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--operators',
        action='store_true',
        help='take mmcv with its compiled operators; AFA needs none of them')
    operators = parser.parse_args().operators
    try:
        set_up(Environment(ROOT / '.venv'), operators)
    except KeyboardInterrupt:
        sys.exit('Set-up was interrupted: run it again, it goes on from here.')


if __name__ == '__main__':
    main()
