# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Where the time of a step goes, without a line of it in the step."""
import functools
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List

import torch


class PartTimer:
    """Times parts of a step, each without the parts inside it.

    On a GPU the times are those between CUDA events on the stream, read when
    all is done: measuring makes the host wait for nothing.

    Args:
        device (torch.device): Where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == 'cuda'
        self._steps: List[list] = []
        self._open: List[int] = []
        self._wrapped: List[tuple] = []

    def _now(self):
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _seconds(self, start, end) -> float:
        if not self.cuda:
            return end - start
        return start.elapsed_time(end) / 1000

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is inside as a part of the step."""
        spans = self._steps[-1]
        parent = self._open[-1] if self._open else None
        self._open.append(len(spans))
        span = [name, parent, self._now(), None]
        spans.append(span)
        try:
            yield
        finally:
            span[3] = self._now()
            self._open.pop()

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step; what is in none of its parts counts as 'other'."""
        self._steps.append([])
        with self.part('other'):
            yield

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Make each call of a method a part; outside of steps it is not
        timed.

        Args:
            owner (Any): The object, changed in place.
            attribute (str): Name of the method.
            name (str): Name of the part.
        """
        method = getattr(owner, attribute)

        @functools.wraps(method)
        def timed(*args, **kwargs):
            if not self._open:
                return method(*args, **kwargs)
            with self.part(name):
                return method(*args, **kwargs)

        vars(owner)[attribute] = timed
        self._wrapped.append((owner, attribute))

    def unwrap(self) -> None:
        """Give the objects back the methods of their classes."""
        for owner, attribute in self._wrapped:
            del vars(owner)[attribute]
        self._wrapped.clear()

    def results(self) -> List[Dict[str, float]]:
        """Seconds of each part for every step; 'step' is the whole."""
        if self.cuda:
            torch.cuda.synchronize()
        results = []
        for spans in self._steps:
            seconds = [self._seconds(start, end) for _, _, start, end in spans]
            parts = defaultdict(float)
            for (name, parent, _, _), own in zip(spans, seconds):
                parts[name] += own
                if parent is not None:
                    parts[spans[parent][0]] -= own
            parts['step'] = seconds[0]
            results.append(dict(parts))
        return results
