# Copyright (c) mmseg_afa contributors. All rights reserved.
import cv2
import pytest
from torch.utils.data import Dataset

from mmseg_afa.benchmark.loading import benchmark_loader


class Threads(Dataset):
    """Writes down how many threads OpenCV may use where it is read."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 20

    def __getitem__(self, index):
        with open(self.path, 'a') as file:
            file.write(f'{cv2.getNumThreads()}\n')
        return dict(inputs=index)


@pytest.mark.parametrize('workers', [0, 2])
def test_opencv_has_one_thread_as_in_training(tmp_path, workers):
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        loader = dict(
            batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=Threads(tmp_path / 'threads'))
        assert benchmark_loader(loader, 4, workers) > 0
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
    assert set((tmp_path / 'threads').read_text().split()) == {'1'}
