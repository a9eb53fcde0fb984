"""The lock of h5py, which only one thread may have, and which it does not always give back."""

from __future__ import annotations

import gc

from h5py._objects import phil


def give_up_hdf5() -> None:
    """Let go of h5py's lock, for another thread that reads or writes: here nothing of this one's is under way in h5py.

    A generator over the items of a group holds the lock as long as it lives (h5py 3.14). Seen twice: the main thread
    had the lock while it was in no call of h5py's, and another one, that wrote or read, waited for it for ever.
    """
    if phil._is_owned():
        gc.collect()
    while phil._is_owned():
        phil.release()
