# Copyright (c) mmseg_afa contributors. All rights reserved.
import subprocess
import sys

import pytest

from tests.test_tools.run_tool import ROOT

TOOLS = sorted(
    path.relative_to(ROOT) for path in (ROOT / 'tools').rglob('*.py')
    if 'parse_args' in path.read_text())
HEAVY = ('cv2', 'matplotlib', 'mmcv', 'mmengine', 'mmseg', 'mmseg_afa',
         'numpy', 'torch')
# Run a tool as a command does, and print the heavy modules that it imported.
RUN = f"""
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
except SystemExit as stop:
    assert not stop.code
print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize('tool', TOOLS, ids=str)
def test_help_is_quick(tool):
    """Print the help without importing any large library."""
    process = subprocess.run([sys.executable, '-c', RUN, tool, '--help'],
                             cwd=ROOT,
                             text=True,
                             capture_output=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith('usage: ')
    assert process.stderr.split() == []
