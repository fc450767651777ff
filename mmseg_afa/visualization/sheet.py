# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Sheets that show several views of several images side by side."""
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .checks import check_image, check_palette
from .fonts import font_of, writable
from .overlays import hatching

MARGIN = 8
TEXT_SIZE = 15
LINE = 24
SQUARE = 16
TEXT_COLOUR = (30, 30, 30)


def text_font(text):
    """A font with letters beyond ASCII, which cv2.putText has not."""
    return load_font(font_of(text))


@lru_cache(maxsize=None)
def load_font(path):
    """Open a font once."""
    return ImageFont.truetype(str(path), TEXT_SIZE)


def shorten(text, width):
    """Cut a text that is wider than ``width`` pixels, and mark the cut."""
    text = writable(text)
    font = text_font(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + '…') > width:
        text = text[:-1]
    return text + '…'


def write_texts(sheet, texts):
    """Write texts on a sheet.

    Args:
        sheet (np.ndarray): BGR uint8 of shape (H, W, 3).
        texts (list[tuple[str, tuple[int]]]): Texts with the (x, y) of their
            left ends, at half the height of the line.

    Returns:
        np.ndarray: BGR uint8 of shape (H, W, 3).
    """
    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    for text, place in texts:
        draw.text(place, text, TEXT_COLOUR, text_font(text), anchor='lm')
    return np.array(picture)


def letter_box(image, height, width):
    """Fit an image into a cell and centre it on white.

    Args:
        image (np.ndarray): BGR uint8 of shape (H, W, 3).
        height (int): Height of the cell in pixels.
        width (int): Width of the cell in pixels.

    Returns:
        np.ndarray: BGR uint8 of shape (height, width, 3).
    """
    scale = min(height / image.shape[0], width / image.shape[1])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cell = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    cell[top:top + size[1], left:left + size[0]] = cv2.resize(
        image, size, interpolation=method)
    return cell


def legend(classes, colours, width):
    """Squares with the names of the classes, in as many lines as needed.

    Args:
        classes (Sequence[str]): Names.
        colours (np.ndarray): RGB uint8 of shape (N, 3), one for each name.
        width (int): Width in pixels.

    Returns:
        np.ndarray: BGR uint8 of shape (H, width, 3). The last entry tells how
        ignored pixels are shown.
    """
    squares = [
        np.full((SQUARE, SQUARE, 3), colour[::-1]) for colour in colours
    ]
    squares.append(hatching(SQUARE, SQUARE))
    strip = np.full((0, width, 3), 255, np.uint8)
    texts = []
    left = width
    for name, square in zip([*classes, 'ignored'], squares):
        name = shorten(name, width - SQUARE - 2 * MARGIN)
        extent = SQUARE + 2 * MARGIN + int(text_font(name).getlength(name)) + 1
        if left + extent > width:
            left = 0
            strip = np.pad(
                strip, ((0, LINE), (0, 0), (0, 0)), constant_values=255)
        top = len(strip) - (LINE + SQUARE) // 2
        strip[top:top + SQUARE, left:left + SQUARE] = square
        # A frame, for colours that are close to the white of the sheet.
        cv2.rectangle(strip, (left, top),
                      (left + SQUARE - 1, top + SQUARE - 1), (90, 90, 90))
        texts.append((name, (left + SQUARE + MARGIN // 2, top + SQUARE // 2)))
        left += extent
    return write_texts(strip, texts)


def check_sheet(rows, columns, classes, colours, captions):
    """Make sure that a sheet's parts fit together.

    Raises:
        TypeError: If a cell is no uint8 array.
        ValueError: If a cell has a wrong shape, or numbers do not agree.
    """
    if not rows or not columns:
        raise ValueError(f'a sheet needs rows and columns, got {len(rows)} '
                         f'rows and {len(columns)} columns.')
    if len(classes) != len(colours):
        raise ValueError(f'palette has {len(colours)} colours for '
                         f'{len(classes)} classes.')
    if captions is not None and len(captions) != len(rows):
        raise ValueError(f'got {len(captions)} captions for {len(rows)} rows.')
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise ValueError(f'row {number} has {len(row)} cells for '
                             f'{len(columns)} columns.')
        for cell, title in zip(row, columns):
            check_image(cell, f'the cell "{title}" of row {number}')


def picture_sheet(rows,
                  columns,
                  classes,
                  palette,
                  captions=None,
                  cell_size=(160, 160)):
    """Arrange pictures in rows and columns, with titles and a legend.

    Args:
        rows (Sequence[Sequence[np.ndarray]]): For each image one cell per
            column, BGR uint8 of shape (H, W, 3); sizes may differ.
        columns (Sequence[str]): Titles of the columns.
        classes (Sequence[str]): Names for the legend, in any script, see
            :func:`fonts.writable`; without any there is no legend.
        palette (Sequence): An RGB colour for each class.
        captions (Sequence[str], optional): A line above each row.
        cell_size (tuple[int]): Height and width of a cell in pixels.

    Returns:
        np.ndarray: BGR uint8 of shape (H, W, 3).

    Raises:
        TypeError: If a cell is no uint8 array.
        ValueError: If a cell has a wrong shape, or the numbers of cells and
            columns, captions and rows, colours and classes do not agree.
    """
    colours = check_palette(palette) if len(classes) else palette
    check_sheet(rows, columns, classes, colours, captions)
    height, width = cell_size
    lefts = [
        MARGIN + index * (width + MARGIN) for index in range(len(columns))
    ]
    full_width = lefts[-1] + width + MARGIN
    caption_height = 0 if captions is None else LINE
    row_height = caption_height + height + MARGIN
    tops = [
        LINE + caption_height + index * row_height
        for index in range(len(rows))
    ]

    sheet = np.full((LINE + len(rows) * row_height, full_width, 3), 255,
                    np.uint8)
    for top, row in zip(tops, rows):
        for left, cell in zip(lefts, row):
            sheet[top:top + height,
                  left:left + width] = letter_box(cell, height, width)
    texts = [(shorten(title, width), (left, LINE // 2))
             for title, left in zip(columns, lefts)]
    texts += [(shorten(caption,
                       full_width - 2 * MARGIN), (MARGIN, top - LINE // 2))
              for caption, top in zip(captions or [], tops)]
    if not len(classes):
        return write_texts(sheet, texts)
    strip = legend(classes, colours, full_width - 2 * MARGIN)
    strip = np.pad(
        strip, ((0, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255)
    return np.concatenate([write_texts(sheet, texts), strip])
