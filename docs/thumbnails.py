"""Draw the thumbnails of docs/surfaces.md: ``python docs/thumbnails.py [SURFACE ...]``; by default all.

A palette of sixteen colours keeps the files small.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from momentumlab.report.figures import style, thumbnail
from momentumlab.surfaces import SURFACES

FOLDER = Path(__file__).parent / "surfaces"

palette = Image.new("P", (1, 1))
marks = [
    Image.new("RGB", (1, 1), color).getpixel((0, 0))
    for color in (style.MINIMUM["markerfacecolor"], style.CONTOUR_COLOR)
]
land = (255 * style.HEIGHT_COLORS(np.linspace(0, 1, 12))[:, :3]).astype(int).tolist()
palette.putpalette(np.ravel([(0, 0, 0), (255, 255, 255), *marks, *land]).tolist())

for name in sys.argv[1:] or SURFACES:
    drawn = io.BytesIO()
    thumbnail(SURFACES[name]()).savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
    picture.save(FOLDER / f"{name}.png", optimize=True)
