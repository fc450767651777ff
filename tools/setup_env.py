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
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
# tools/check_versions.py sets these three for each of its stacks.
TESTED = REQUIREMENTS / 'tested.txt'
MMCV = '2.1.0'
VENV = ROOT / '.venv'
CXX = (os.environ.get('CXX') or 'c++').split()
FLAGS = ['-O2', '-g0', '-w', '-DNDEBUG']
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


def check_compiler():
    """Exit with a remedy if mmcv's operators cannot be compiled."""
    header = Path(sysconfig.get_paths()['include'], 'Python.h')
    if not (shutil.which(CXX[0]) and header.is_file()):
        sys.exit("mmcv's operators have to be compiled, and there is no "
                 f'command {CXX[0]}, or no {header}: install both (Debian and '
                 f'Ubuntu: `apt install g++ {PYTHON_X_Y}-dev`).')


def fingerprint(operators):
    """What the environment is made from, as a hash, and what more it has."""
    # an editable install points to the folder of the repository
    digest = hashlib.sha256(f'{PYTHON_X_Y} {MMCV} {ROOT}'.encode())
    requirements = sorted(REQUIREMENTS.glob('*.txt'))
    for path in [ROOT / 'setup.py', TESTED, *requirements]:
        digest.update(path.read_bytes())
    return digest.hexdigest() + ' operators' * operators


def works(code):
    """Whether the environment has a Python that runs some code."""
    command = [VENV / 'bin/python', '-c', code]
    return command[0].exists() and subprocess.run(
        command, cwd=VENV, capture_output=True).returncode == 0


def run(*command, **variables):
    """Run a command, output to the log; exit with its error and a remedy."""
    path = VENV / 'setup.log'
    with path.open('a+', encoding='utf-8', errors='replace') as log:
        begin, output = log.tell(), dict(stdout=log, stderr=subprocess.STDOUT)
        status = subprocess.run(
            command, **output, env=dict(os.environ, **variables)).returncode
        log.seek(begin)
        # the first error tells most: the rest follow from it
        error = re.search(r'(?im)^.*(\berror:|×).*', log.read())
    if status:
        what = error[0].strip() if error else f'exit status {status}'
        sys.exit(f'Set-up stopped: {what}. See {path}, mend it (network? '
                 "uv does not read pip's settings; disk? up to 12 GB are "
                 'needed) and run this again, it goes on from here.')


def python(*arguments, **variables):
    """Run a module with the environment's Python."""
    run(VENV / 'bin/python', '-m', *arguments, **variables)


def install(*requirements):
    """Install with uv where there is one, else with pip."""
    # without bytecode, which Python makes of what it imports: 15 s less
    command = ['pip', 'install', '--no-compile', *requirements]
    if shutil.which('uv'):
        run('uv', *command, '--python', VENV / 'bin/python')
    else:
        python(*command)


def create_environment():
    """Make it, anew if it is broken or of another version of Python."""
    version = tuple(sys.version_info[:2])
    if not works(f'import pip, sys; assert sys.version_info[:2] == {version}'):
        command = [sys.executable, '-m', 'venv', '--clear', VENV]
        if subprocess.run(command).returncode:
            sys.exit(f'python -m venv {VENV} failed, see above.')


def install_libraries():
    """Install the tested set and this repository in place."""
    # mmcv-lite would write over the files of a full mmcv
    full = any(VENV.glob('lib/*/site-packages/mmcv-*.dist-info'))
    requirements = [] if full else [f'mmcv-lite=={MMCV}']
    more = [REQUIREMENTS / f'{name}.txt' for name in ('data', 'tests', 'lint')]
    for path in [TESTED, *more]:
        requirements += ['-r', path]
    install(*requirements)
    # openmim's own requirements go back to old versions of what we need; the
    # parts of it that we use run with those of the tested set.
    install('--no-deps', '--no-build-isolation', 'openmim==0.3.9',
            '--editable', ROOT)


def mend_opencv():
    """Without libGL, as on a bare machine, take the build without windows."""
    if not works('import cv2'):
        version = re.search(r'^opencv-python(==\S+)', TESTED.read_text(),
                            re.M)[1]
        # both builds write the same folder
        python('pip', 'uninstall', '--yes', 'opencv-python')
        install('--no-deps', '--force-reinstall',
                f'opencv-python-headless{version}')


def install_operators():
    """Exchange mmcv-lite for mmcv with its operators, for the CPU."""
    if works('import mmcv.ops'):
        return
    check_compiler()
    install('-r', REQUIREMENTS / 'build.txt')
    python('pip', 'uninstall', '--yes', 'mmcv-lite', 'mmcv')
    mmcv = ['install', '--no-deps', '--force-reinstall', f'mmcv=={MMCV}']
    # openmim knows where wheels for some versions of torch are
    with contextlib.suppress(SystemExit):
        python('mim', *mmcv, '--only-binary', 'mmcv', '--timeout', '5',
               '--retries', '0')
    if not works('import mmcv.ops'):
        print('    compiling: 2 to 15 minutes on two cores', flush=True)
        compile_mmcv(*mmcv)


def compile_mmcv(*arguments):
    """Run pip with what the build of mmcv needs in the environment."""
    torch = next(VENV.glob('lib/*/site-packages/torch/include'))
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    with tempfile.TemporaryDirectory() as folder:
        header = Path(folder, 'torch.h')
        header.write_text('#include <torch/types.h>\n')
        # Compile torch's headers once, not 77 times: 2 minutes in place of
        # 8. Without exactly the flags of the build it goes the long way.
        with contextlib.suppress(SystemExit):
            run(*CXX, *FLAGS, '-fPIC', '-std=c++17',
                '-DTORCH_API_INCLUDE_EXTENSION_H',
                '-DTORCH_EXTENSION_NAME=_ext', f'-I{torch}',
                f'-I{torch}/torch/csrc/api/include', '-x', 'c++-header',
                header, '-o', f'{header}.gch')
        python(
            'pip',
            *arguments,
            '--no-build-isolation',  # else it leaves out the operators
            '--no-cache-dir',  # what is in the cache may be of another torch
            '--verbose',
            CFLAGS=f"{' '.join(FLAGS)} -include {header}",
            MMCV_WITH_OPS='1',
            # a file takes up to 2 GB of memory
            MAX_JOBS=str(max(1, min(os.cpu_count(), int(memory / 2e9)))),
            # AFA uses none of its CUDA operators, and a build of those needs
            # the CUDA toolkit.
            CUDA_VISIBLE_DEVICES='')


def set_up(operators=False):
    """Do what is left to do; with mmcv's compiled operators if wanted."""
    stamp = VENV / 'mmseg_afa_setup'
    if (stamp.is_file() and works('')
            and stamp.read_text().startswith(fingerprint(operators))):
        return
    check_python()
    stamp.unlink(missing_ok=True)
    begin = time.time()
    print(f'Setting up {VENV}; setup.log in it has the details.')
    steps = [create_environment, install_libraries, mend_opencv]
    steps += [install_operators] if operators else []
    for number, step in enumerate(steps, 1):
        name = step.__name__.replace('_', ' ')
        seconds = time.time() - begin
        print(f'[{number}/{len(steps)}] {name} ({seconds:.0f} s)', flush=True)
        step()
    modules = 'mmcv.ops, mmseg_afa' if operators else 'mmseg_afa'
    if not works(f'import {modules}'):
        sys.exit(f'Set-up stopped: `{VENV}/bin/python -c "import {modules}"` '
                 'fails and says why; `make distclean` begins anew.')
    stamp.write_text(fingerprint(operators))
    print(f'Ready after {time.time() - begin:.0f} s.')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--operators',
        action='store_true',
        help='take mmcv with its compiled operators; AFA needs none of them')
    try:
        set_up(**vars(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit('Set-up was interrupted: run it again, it goes on from here.')
