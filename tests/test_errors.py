"""Errors that blame a file, and those that blame the machine."""

from __future__ import annotations

import errno
import os
import zipfile

import pytest

from storygan.errors import advice

ARROW = RuntimeError("Unknown error: Failed to launch worker thread: Resource temporarily unavailable")


NUMBERS = (errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.EIO)


@pytest.mark.parametrize("error", [*(OSError(n, os.strerror(n)) for n in NUMBERS), MemoryError(), ARROW])
def test_no_file_is_to_be_deleted_where_the_machine_failed(error: Exception) -> None:
    assert advice(error, "delete it") == ""


@pytest.mark.parametrize("error", [OSError("truncated"), OSError(errno.EINVAL, "seek"), zipfile.BadZipFile("no zip")])
def test_a_damaged_file_is(error: Exception) -> None:
    assert advice(error, "delete it") == ": delete it"
