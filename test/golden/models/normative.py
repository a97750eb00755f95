"""Omni's prompts by the written rule, for what transformers cannot do or does twice differently.

A video with sound is interleaved, one without is not, in one conversation too; the order of an
interleaved run is computed once, in float64, and every token carries its own position, of which the
temporal one is truncated from float32. Nothing here is taken from transformers or from aubade.
"""

import numpy as np


def split(values, width):
    """Chunks [start, end): the limit rises by one width each time that a value reaches it."""
    bounds, start = [], 0
    for i, value in enumerate(values):
        if value >= (len(bounds) + 1) * width:
            bounds.append((start, i))
            start = i
    return bounds + [(start, len(values))]


def cells(grid, seconds, per_second, merge=2):
    """(exact time, temporal step, row, column) of each token, slices first."""
    out = []
    for t in range(grid[0]):
        exact = t * seconds * per_second
        step = int(np.float32(np.float32(t) * np.float32(seconds)) * np.float32(per_second))
        for y in range(grid[1] // merge):
            out += [(exact, step, y, x) for x in range(grid[2] // merge)]
    return out


class Prompt:
    def __init__(self, tokens, per_second=25, seconds_per_chunk=2):
        self.tokens, self.per_second = tokens, per_second
        self.width = int(per_second * seconds_per_chunk)
        self.ids, self.positions, self.next = [], [], 0

    def text(self, *ids):
        """Tokens of one position."""
        for token in ids:
            self.put(token, (0, 0, 0), self.next)
        self.next += 1

    def put(self, token, offset, base):
        self.ids.append(token)
        self.positions.append(tuple(base + o for o in offset))

    def audio(self, count):
        self.text(self.tokens["audio_bos"])
        for _ in range(count):
            self.text(self.tokens["audio"])
        self.text(self.tokens["audio_eos"])

    def vision(self, kind, grid, seconds=0):
        self.text(self.tokens["vision_bos"])
        start = len(self.positions)
        for _, *offset in cells(grid, seconds, self.per_second):
            self.put(self.tokens[kind], offset, self.next)
        self.next = max(map(max, self.positions[start:])) + 1
        self.text(self.tokens["vision_eos"])

    def both(self, grid, seconds, count):
        self.text(self.tokens["vision_bos"], self.tokens["audio_bos"])
        base, pictures = self.next, cells(grid, seconds, self.per_second)
        by_picture = split([exact for exact, *_ in pictures], self.width)
        by_sound = split(range(count), self.width)
        for chunk in range(max(len(by_picture), len(by_sound))):
            for bounds, kind in ((by_picture, "video"), (by_sound, "audio")):
                if chunk >= len(bounds):
                    continue
                begin, end = bounds[chunk]
                last = len(self.positions)
                for i in range(begin, end):
                    offset = pictures[i][1:] if kind == "video" else (i, i, i)
                    self.put(self.tokens[kind], offset, base)
        self.next = max(map(max, self.positions[last:])) + 1
        self.text(self.tokens["audio_eos"], self.tokens["vision_eos"])

    def after(self):
        """Position of the first generated token."""
        return max(map(max, self.positions)) + 1

    def rows(self):
        return [[p[axis] for p in self.positions] for axis in range(3)]
