# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The set-up of the virtual environment, without its long downloads."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/setup_env.py'
sys.path.insert(0, str(TOOL.parent))

import setup_env  # noqa: E402  # isort: skip


@pytest.fixture
def env(tmp_path) -> setup_env.Environment:
    """An environment whose Python is the one that runs the tests."""
    env = setup_env.Environment(tmp_path / 'venv')
    env.python.parent.mkdir(parents=True)
    env.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    env.python.chmod(0o755)
    return env


def run(*arguments, **variables) -> subprocess.CompletedProcess:
    """Run the tool as make does."""
    return subprocess.run([sys.executable, TOOL, *arguments],
                          env=dict(os.environ, **variables),
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE,
                          text=True)


class TestWhatTheMachineMustHave:

    def test_no_compiler(self, tmp_path):
        process = run('--venv', tmp_path / 'venv', PATH=str(tmp_path), CXX='')
        assert process.returncode == 1
        assert process.stdout == ''
        assert len(process.stderr.splitlines()) == 1
        assert 'No C++ compiler' in process.stderr
        assert 'apt install g++' in process.stderr
        assert not (tmp_path / 'venv').exists()

    def test_compiler_of_another_name(self, tmp_path, monkeypatch):
        compiler = tmp_path / 'my-c++'
        compiler.write_text('')
        compiler.chmod(0o755)
        monkeypatch.setenv('PATH', str(tmp_path))
        monkeypatch.setenv('CXX', 'my-c++ -O1')
        assert setup_env.find_compiler() == 'my-c++ -O1'

    @pytest.mark.parametrize('version, message', [((3, 8), 'too old'),
                                                  ((3, 13), 'too new')])
    def test_python(self, version, message):
        with pytest.raises(
                setup_env.SetupError, match=f'{message}.*PYTHON=python3'):
            setup_env.check_python(version)
        setup_env.check_python()

    def test_no_headers(self, tmp_path):
        with pytest.raises(setup_env.SetupError, match='apt install python3'):
            setup_env.check_headers(tmp_path)

    def test_no_venv_module(self, monkeypatch):
        monkeypatch.setattr(setup_env, 'find_spec', lambda name: None)
        with pytest.raises(
                setup_env.SetupError, match='venv and ensurepip.*-venv'):
            setup_env.check_venv()

    def test_disk(self, tmp_path):
        setup_env.check_disk([(tmp_path, 1e-9), (tmp_path, 1e-9)])
        with pytest.raises(
                setup_env.SetupError, match='Too little disk.*takes 3e.12 GB'):
            # two folders of one disk: their needs add up
            setup_env.check_disk([(tmp_path, 1e12), (tmp_path, 2e12)])

    def test_folder_that_is_not_there_yet(self, tmp_path):
        assert setup_env.existing_parent(tmp_path / 'a/b') == tmp_path


class TestStamp:

    def test_ready_takes_no_time(self, env):
        env.finish()
        begin = time.time()
        process = run('--venv', env.folder, PATH='')
        assert time.time() - begin < 2
        assert (process.returncode, process.stdout, process.stderr) == (0, '',
                                                                        '')

    def test_interrupted_before_the_end(self, env):
        assert not env.is_ready()
        env.stamp.write_text('')
        assert not env.is_ready()

    def test_requirements_changed(self, env, tmp_path, monkeypatch):
        env.finish()
        assert env.is_ready()
        monkeypatch.setattr(setup_env, 'REQUIREMENTS', tmp_path)
        assert not env.is_ready()

    def test_python_gone(self, env):
        env.finish()
        env.python.unlink()
        assert not env.is_ready()


class TestEnvironment:

    def test_imports(self, env):
        assert env.imports('json')
        assert not env.imports('no_such_module')
        env.python.unlink()
        assert not env.imports('json')

    def test_create_keeps_what_works(self, env):
        env.create()
        assert 'exec' in env.python.read_text()

    def test_create_replaces_what_does_not(self, env):
        env.python.write_text('#!/bin/sh\nexit 1\n')
        env.create()
        assert env.imports('pip')

    def test_failed_install(self, env, tmp_path):
        with pytest.raises(setup_env.SetupError) as error:
            env.install('--no-index', str(tmp_path / 'no_such_folder'))
        assert '\n' not in str(error.value)
        assert 'no_such_folder' in str(error.value)
        assert str(env.log) in str(error.value)
        assert 'ERROR' in env.log.read_text()

    def test_stopped_from_outside(self, env):
        env.python.write_text('#!/bin/sh\nkill -9 $$\n')
        with pytest.raises(setup_env.SetupError, match='signal 9.*memory'):
            env.install('anything')


class Recorder(setup_env.Environment):
    """Does nothing, notes it, and imports as a list says."""

    def __init__(self, folder: Path, imports: list):
        super().__init__(folder)
        self.answers = iter(imports)
        self.calls = []

    def imports(self, module):
        return next(self.answers)

    def pip(self, *arguments, **options):
        self.calls.append([str(argument) for argument in arguments])
        return ''


class TestOpenCV:

    def test_that_imports(self, tmp_path):
        env = Recorder(tmp_path, [True])
        setup_env.mend_opencv(env)
        assert env.calls == []

    def test_without_libgl(self, tmp_path):
        env = Recorder(tmp_path, [False, True])
        setup_env.mend_opencv(env)
        removed, installed = env.calls
        assert removed[-1] == 'opencv-python'
        assert installed[-1].startswith('opencv-python-headless==')

    def test_broken_for_another_reason(self, tmp_path):
        with pytest.raises(setup_env.SetupError, match='import cv2'):
            setup_env.mend_opencv(Recorder(tmp_path, [False, False]))


class TestMMCV:

    @pytest.fixture(autouse=True)
    def link(self, monkeypatch):
        monkeypatch.setattr(setup_env, 'prebuilt_link', lambda env: 'a link')

    @pytest.mark.parametrize(
        'imports, ways',
        [
            ([True], []),  # there already
            ([False, True], ['--no-index']),
            ([False, False, True], ['--no-index', '--no-build-isolation']),
            # the wheel in pip's cache is of another torch
            ([False, False, False, True
              ], ['--no-index', '--no-build-isolation', '--no-cache-dir']),
        ])
    def test_each_way_until_one_imports(self, tmp_path, imports, ways):
        env = Recorder(tmp_path, imports)
        setup_env.install_mmcv(env)
        assert len(env.calls) == len(ways)
        assert all(way in call for way, call in zip(ways, env.calls))

    def test_none_imports(self, tmp_path):
        with pytest.raises(setup_env.SetupError, match='mmcv.ops'):
            setup_env.install_mmcv(Recorder(tmp_path, [False] * 4))


def test_prebuilt_wheel_out_of_reach(env, monkeypatch):
    """Offline, the search for a prebuilt wheel fails within seconds."""
    monkeypatch.setenv('MMCV_BASE_URL', 'http://localhost:9')
    link = setup_env.prebuilt_link(env)
    begin = time.time()
    assert 'localhost:9' in link and '/torch' in link
    error = env.pip('install', '--no-index', '--find-links', link,
                    '--only-binary', ':all:', '--timeout', '5', '--retries',
                    '0', 'mmcv==0.0.0')
    assert 'mmcv==0.0.0' in error
    assert time.time() - begin < 20


def test_progress():
    assert setup_env.show_packages(
        'Collecting torch==2.11.0 (from -r)') == 'torch==2.11.0'
    assert setup_env.show_packages('  Downloading torch.whl') is None
    assert setup_env.show_compilation('[21/77] c++ x') == '21 of 77 files'
    assert setup_env.show_compilation('[22/77] c++ x') is None


def test_make_keeps_the_python_of_the_environment(tmp_path):
    """`make setup PYTHON=...` must not be undone by `make demo`."""
    shutil.copy(ROOT / 'Makefile', tmp_path)

    clean = {
        key: value
        for key, value in os.environ.items()
        if key != 'PYTHON' and not key.startswith(('MAKE', 'MFLAGS'))
    }

    def command(*variables):
        return subprocess.check_output(['make', '-n', 'setup', *variables],
                                       cwd=tmp_path,
                                       env=clean,
                                       stderr=subprocess.STDOUT,
                                       text=True).strip()

    assert command() == 'python3 tools/setup_env.py'
    python = tmp_path / '.venv/bin/python'
    python.parent.mkdir(parents=True)
    python.symlink_to('/no/such/python')  # removed since
    assert command() == 'python3 tools/setup_env.py'
    python.unlink()
    python.symlink_to(sys.executable)
    assert command() == '.venv/bin/python tools/setup_env.py'
    assert command('PYTHON=py') == 'py tools/setup_env.py'
