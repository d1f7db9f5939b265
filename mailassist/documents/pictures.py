"""Pictures made as small as a model still reads them. A model counts a picture in tiles of 512 x 512 pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mailassist.documents import Picture
from mailassist.documents.content import Content, Unreadable

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 80_000_000  # of a picture that is unpacked; a telephone takes 50 million
LEAST_SIDE = 64  # pixels; what is smaller in one direction is a line, a bullet or a logo
_BOXES = ((1024, 1024), (512, 2048), (2048, 512))  # four tiles each
_LARGEST_PNG = 2_000_000  # bytes
_TALLEST = 20  # times as long as wide


def read(data: bytes, name: str) -> Content:
    """An image file. Raises Unreadable."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # sizes are looked at here; this process does nothing else
    try:
        with Image.open(io.BytesIO(data)) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise Unreadable(f"picture of {width:,} x {height:,} pixels, too large")
            if min(width, height) < LEAST_SIDE or max(width, height) > _TALLEST * min(width, height):
                raise Unreadable(f"picture of {width} x {height} pixels, too small")
            keep_png = opened.format == "PNG"
            opened.draft("RGB", fitting(width, height))  # JPEG: unpacks no more than is needed
            image = _upright(opened)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise Unreadable("damaged") from error
    return Content(pictures=(made_small(image, name, as_png=keep_png),))


def fitting(width: int, height: int) -> tuple[int, int]:
    """The largest size of the same shape that has at most four tiles; never larger than it is."""
    scale = min(1.0, max(min(across / width, down / height) for across, down in _BOXES))
    return max(1, int(width * scale)), max(1, int(height * scale))


def made_small(image: Image, name: str, *, as_png: bool = False) -> Picture:
    """`image` within four tiles; PNG where that was its format, as screenshots have it, and it is not large."""
    from PIL import Image as images

    small = image.resize(fitting(*image.size), images.Resampling.LANCZOS, reducing_gap=3.0)
    if as_png:
        png = _encoded(small, "PNG", optimize=True)
        if len(png) <= _LARGEST_PNG:
            return Picture(name, "image/png", png, *small.size)
    jpeg = _encoded(small, "JPEG", quality=80)
    return Picture(name, "image/jpeg", jpeg, *small.size)


def _upright(opened: Image) -> Image:
    """Turned as the camera says, what is transparent on white, in RGB."""
    from PIL import Image as images
    from PIL import ImageOps

    image = ImageOps.exif_transpose(opened)
    if image.mode in ("RGB", "L"):
        image.load()
        return image.copy()
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = images.new("RGBA", image.size, "white")
        ground.alpha_composite(image)
        image = ground
    return image.convert("RGB")


def _encoded(image: Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
