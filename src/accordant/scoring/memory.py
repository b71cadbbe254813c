"""How the process allocates memory while scoring on a CPU.

Activations of one step are freed and asked for again in the next. glibc gives large blocks back to
the kernel each time and has them zeroed page by page when they return; kept in the process instead,
a step is 8 % faster at the same peak (dev/LOG.md).
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

# Parameter numbers of mallopt(3) in <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


@cache
def keep_freed_memory() -> None:
    """Let glibc keep freed blocks; does nothing elsewhere or with ACCORDANT_MALLOC=system."""
    if platform.libc_ver()[0] != "glibc" or os.environ.get("ACCORDANT_MALLOC") == "system":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
