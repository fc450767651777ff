# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.test_tools.run_tool import ROOT

# Serves process numbers from a worker, one for each line that it is sent.
PROGRAM = """
import os, sys
import mmseg_afa
from torch.utils.data import DataLoader, Dataset
from mmseg_afa.datasets import ignore_sigterm_in_worker

class Numbers(Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, index):
        return os.getpid()

if __name__ == '__main__':
    loader = DataLoader(Numbers(), 1, num_workers=1, prefetch_factor=1,
                        worker_init_fn=ignore_sigterm_in_worker)
    for batch, _ in zip(loader, sys.stdin):
        print(int(batch), flush=True)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / 'program.py'
    path.write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, str(path)],
                               env=dict(os.environ, PYTHONPATH=str(ROOT)),
                               stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE,
                               text=True)
    yield process
    process.kill()
    process.wait()


def ask(program) -> int:
    program.stdin.write('\n')
    program.stdin.flush()
    return int(program.stdout.readline())


def test_a_worker_ends_with_its_parent_only(program):
    worker = ask(program)
    os.kill(worker, signal.SIGTERM)
    assert [ask(program) for _ in range(5)] == [worker] * 5
    program.stdin.close()
    assert program.wait(timeout=60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_worker_ends_with_a_killed_parent(program):
    worker = ask(program)
    program.kill()
    program.wait()
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail('the worker is still there')
