"""A line before one worker: work is done in turn, and who comes when the line is full is sent away at once."""

import asyncio
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.exceptions import HTTPException

from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage

T = TypeVar("T")


class Busy(Exception):
    """The line is full."""


class Line:
    """One thread that does one piece of work at a time; at most `most` pieces are under way or waiting."""

    def __init__(self, name: str, most: int):
        self.most, self.waiting = most, 0
        self._thread = ThreadPoolExecutor(1, name)

    async def do(self, work: Callable[..., T], *arguments: object) -> T:
        """Return `work(*arguments)`; raises Busy where too many wait, BadImage and UserError as the work does, and
        HTTPException for what nobody foresaw, noted on stderr without its message, which may quote an image's data."""
        if self.waiting >= self.most:
            raise Busy
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except (BadImage, UserError):
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.name}, {place.filename}:{place.lineno}"
            print(f"brain-mri app: {type(error).__name__} in {where}", file=sys.stderr)
            raise HTTPException(500) from None
        finally:
            self.waiting -= 1

    def ahead(self, work: Callable[[], object]) -> None:
        """Do this first, and wait for nothing."""
        self._thread.submit(work)
