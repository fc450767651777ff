# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Packaging of mmseg_afa.

``mmseg_afa/.mim`` links to configs/, tools/ and model-index.yml: that is where
mmengine and mim look for them. The links are in the repository, so that they
serve a clone and an editable install, and a wheel gets what they point to.
"""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list:
    """Read the requirements of one of the files, without its comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    lines = [line.partition('#')[0].strip() for line in lines]
    return [line for line in lines if line]


setup(
    name='mmseg_afa',
    version=runpy.run_path(str(ROOT / 'mmseg_afa/version.py'))['__version__'],
    description='AFA weakly-supervised segmentation for mmsegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords='computer vision, weakly-supervised semantic segmentation',
    license='Apache License 2.0',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.9',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    packages=find_packages(include=['mmseg_afa', 'mmseg_afa.*']),
    include_package_data=True,  # what MANIFEST.in says
    python_requires='>=3.9,<3.14',
    install_requires=requirements('runtime'),
    extras_require={
        'lite':
        requirements('lite'),
        'mim':
        requirements('mminstall'),
        'crf':
        requirements('crf'),
        'mmpretrain':
        requirements('mmpretrain'),
        'data':
        requirements('data'),
        'formats':
        requirements('formats'),
        # they train with every config and run every converter
        'tests': (requirements('tests') + requirements('data') +
                  requirements('formats') + requirements('mmpretrain')),
    },
    zip_safe=False)
