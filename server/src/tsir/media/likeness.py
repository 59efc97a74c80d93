"""Whether two pictures are one: the same photo at another size, recompressed, cropped a little, or seen in a mirror.

Judged by pixels: the small copies of two pictures are laid over each other, shifted and stretched until they fit, and subtracted. Photos
that only show the same thing (a burst, two of a wall) do not fit anywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.Image import Image, Resampling

SIDE = 64
"""Pixels of a small copy's sides: what is larger is compared, what is smaller (noise, marks of compression) averages out."""

Small = npt.NDArray[np.uint8]
"""A small copy, RGB uint8 [SIDE, SIDE, 3], whatever the picture's own proportions."""

Floats = npt.NDArray[np.float32]

STEPS = ((16, 6, 0.5), (32, 4, 0.2), (64, 3, 1.0))
"""Sides, rounds of fitting, and the share of the contrast that may be left after them: coarse to fine, and most pairs are told apart by the
first. A shift by a tenth is a pixel or two of that, where it can be felt."""
GENTLE = 20.0
"""Slopes (of 255, over half a side) that say little of where something lies."""
TINY = 8
"""Side of the copy whose likeness is a dot product."""
FLAT = 4.0
"""Contrast (of 255) below which a picture counts as plain."""
STRETCH = (0.85, 1.18)
"""Least and most scale of one picture in the other: 5% cut off on each side makes 0.9; both cut differently, somewhat more."""
SHIFT = 0.2
"""Largest shift, in halves of a side."""
COMPARED = 32
"""Side to which both are reduced before they are subtracted: fitting blurs one of them, and making a thumbnail sharpens some."""
BLOCK = 4
"""Sides of the blocks in which nothing may differ much: what moved between two photos fills one."""
MOST_UNEXPLAINED = 0.05
"""Share of the contrast (variance of the pixels) that the subtraction may leave."""
MOST_IN_BLOCK = 22.0
"""Mean difference in the worst block, of 255."""
NOISE = 2.0
"""Differences (root mean square, of 255) that mean nothing, however little contrast there is."""
PAIRS = 128
"""Pairs compared at once: some 30 MB."""


def small(image: Image) -> Small:
    """The small copy of an RGB picture; a thumbnail does as well."""
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Resampling.BOX), dtype=np.uint8)


def tiny(copies: npt.NDArray[np.uint8]) -> Floats:
    """Small copies [n, SIDE, SIDE, 3] -> unit rows [n, 193], whose dot product is the correlation of tiny copies: above 0.8 for copies
    that are cropped a little, below for all but a thousandth of other pairs.
    """
    means = _reduced(copies.astype(np.float32), TINY).reshape(len(copies), TINY * TINY * 3)
    rows = np.concatenate([means - means.mean(1, keepdims=True), np.full((len(copies), 1), FLAT * means.shape[1] ** 0.5)], axis=1)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def alike(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which of the pairs of small copies (first[i], second[i]), [n, SIDE, SIDE, 3] each, are one picture -> bool [n]."""
    same = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), PAIRS):
        a, b = (copies[start : start + PAIRS].astype(np.float32) for copies in (first, second))
        for seen in (b, b[:, :, ::-1]):  # as it is, and in a mirror
            left = np.flatnonzero(~same[start : start + PAIRS])
            same[start + left] = _one_picture(a[left], seen[left])
    return same


def _one_picture(a: Floats, b: Floats) -> npt.NDArray[np.bool_]:
    """Whether a, somewhere, is b: float [n, SIDE, SIDE, 3]."""
    left = np.arange(len(a))
    fit = np.tile(np.array([1, 0, 1, 0], dtype=np.float32), (len(a), 1))
    grey_a, grey_b = a.mean(3), b.mean(3)
    for side, rounds, most in STEPS:
        fit, unexplained = _fitted(fit, _reduced(grey_a[left], side), _reduced(grey_b[left], side), rounds)
        left, fit = left[unexplained < most], fit[unexplained < most]
    same = np.zeros(len(a), dtype=bool)
    if len(left):
        same[left] = _fits(a[left], b[left], fit)
    return same


def _fits(a: Floats, b: Floats, fit: Floats) -> npt.NDArray[np.bool_]:
    """Whether a, stretched and shifted so, differs from b by no more than copies do."""
    warped, inside = _warp(a, fit)
    inside = np.floor(_reduced(inside, COMPARED))[..., None]
    wanted = _reduced(b, COMPARED)
    off = (_reduced(warped, COMPARED) - wanted) * inside
    area = inside.sum((1, 2, 3))
    left = (off**2).mean(3).sum((1, 2)) / area
    mean = (wanted * inside).sum((1, 2), keepdims=True) / area[:, None, None, None]
    contrast = (((wanted - mean) * inside) ** 2).mean(3).sum((1, 2)) / area
    worst = _worst_block(np.abs(off).mean(3), inside[..., 0])
    near = ((fit[:, 0::2] > STRETCH[0]) & (fit[:, 0::2] < STRETCH[1])).all(1) & (np.abs(fit[:, 1::2]) < SHIFT).all(1)
    return np.asarray(near & (left < np.maximum(NOISE**2, MOST_UNEXPLAINED * contrast)) & (worst < MOST_IN_BLOCK))


def _worst_block(off: Floats, inside: Floats) -> Floats:
    """The largest mean of `off` [n, COMPARED, COMPARED] in a block of which at least half is inside."""
    blocks = (len(off), COMPARED // BLOCK, BLOCK, COMPARED // BLOCK, BLOCK)
    areas = inside.reshape(blocks).sum((2, 4))
    means = off.reshape(blocks).sum((2, 4)) / np.maximum(areas, 1)
    return np.asarray(np.where(areas >= BLOCK * BLOCK / 2, means, 0).max((1, 2)))


def _fitted(fit: Floats, a: Floats, b: Floats, rounds: int) -> tuple[Floats, Floats]:
    """A better fit [n, 4] of a to b [n, side, side], by Gauss-Newton, and what share of b's contrast it leaves unexplained [n].

    A fit is scale and shift across, scale and shift down, for places from -1 to 1: b(x, y) = a(scale x + shift, scale' y + shift').
    """
    side = a.shape[1]
    down, across = (np.gradient(a, axis=axis) * (side / 2) for axis in (1, 2))
    place = _places(side)
    off, inside = b, np.ones_like(b)
    for turn in range(rounds + 1):
        (rows, columns), inside = _matrices(fit, side)
        off = (b - rows @ a @ columns) * inside
        if turn == rounds:
            break
        by_x, by_y = (rows @ slope @ columns * inside for slope in (across, down))
        slopes = np.stack([by_x * place, by_x, by_y * place[:, None], by_y], 1).reshape(len(a), 4, side * side)
        square = slopes @ slopes.transpose(0, 2, 1)
        # What has no slopes worth the name (plain colours, and what compression made of them) stays where it is.
        square += np.eye(4, dtype=np.float32) * (1e-3 * np.trace(square, axis1=1, axis2=2)[:, None, None] + (GENTLE * side) ** 2)
        step = np.linalg.solve(square, slopes @ off.reshape(len(a), side * side, 1))[:, :, 0]
        fit = np.clip(fit + np.clip(step, -0.1, 0.1), [0.8, -0.25, 0.8, -0.25], [1.25, 0.25, 1.25, 0.25]).astype(np.float32)
    contrast = b.var((1, 2)) + NOISE**2
    return fit, np.asarray((off**2).sum((1, 2)) / inside.sum((1, 2)) / contrast)


def _reduced(pictures: Floats, side: int) -> Floats:
    """Means of squares: [n, SIDE, SIDE] or [n, SIDE, SIDE, 3] -> [n, side, side] or [n, side, side, 3]."""
    times = SIDE // side
    return np.asarray(pictures.reshape(len(pictures), side, times, side, times, *pictures.shape[3:]).mean((2, 4)))


def _places(side: int) -> Floats:
    """Middles of the pixels, -1 to 1."""
    return ((np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1).astype(np.float32)


def _matrices(fit: Floats, side: int) -> tuple[tuple[Any, Any], Floats]:
    """What to multiply a picture by from the left and the right to stretch and shift it (bilinear), and 1 where that lies inside it."""
    found = []
    inside = []
    for scale, shift in ((fit[:, 2:3], fit[:, 3:4]), (fit[:, 0:1], fit[:, 1:2])):
        at = (scale * _places(side) + shift + 1) * side / 2 - 0.5
        inside.append(((at >= -0.5) & (at <= side - 0.5)).astype(np.float32))
        near = np.abs(np.clip(at, 0, side - 1)[:, :, None] - np.arange(side, dtype=np.float32))
        found.append(np.maximum(0, 1 - near))
    return (found[0], found[1].transpose(0, 2, 1)), inside[0][:, :, None] * inside[1][:, None, :]


def _warp(pictures: Floats, fit: Floats) -> tuple[Floats, Floats]:
    """Pictures [n, SIDE, SIDE, 3], stretched and shifted, and where that lies inside them [n, SIDE, SIDE]."""
    (rows, columns), inside = _matrices(fit, SIDE)
    channels = pictures.transpose(0, 3, 1, 2)
    return (rows[:, None] @ channels @ columns[:, None]).transpose(0, 2, 3, 1), inside
