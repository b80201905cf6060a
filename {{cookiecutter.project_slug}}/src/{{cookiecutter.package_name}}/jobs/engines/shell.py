"""The IPython shell in which both engines run cells, and the streams in which cells write.

Where ipykernel's own would put a process id, a time or the luck of two threads into a notebook,
these put none, so that equal work gives equal bytes.
"""

from __future__ import annotations

import builtins
import codecs
import contextlib
import getpass
import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.compilerop import CachingCompiler
from IPython.core.error import StdinNotImplementedError
from traitlets import Type
from traitlets.config import Config

NAMES = ("stdout", "stderr")


class Compiler(CachingCompiler):
    """Names a cell by its number, not by a temporary file of this process."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return f"<cell {number}>"


class Shell(ZMQInteractiveShell):
    compiler_class = Type(Compiler)

    def enable_gui(self, gui: Any = None) -> None:
        """There is no window, and no loop but the one that runs."""

    def ask_exit(self) -> NoReturn:
        """``exit`` and ``quit`` end the notebook at once, as ``sys.exit`` does."""
        raise SystemExit(0)

    @contextlib.contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """IPython keeps every text a second time, for ``%notebook`` to export; a job needs none."""
        yield


def config() -> Config:
    """No history, no start-up files of a person, no colours that depend on a terminal."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShellApp.exec_PYTHONSTARTUP = False
    config.InteractiveShell.cache_size = 1000
    return config


def settle() -> None:
    """What the notebook finds beside the shell; after the shell was made."""
    builtins.input = getpass.getpass = refuse_input
    # advice that names the path of the installation
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")
    warnings.filterwarnings("ignore", message="Message serialization failed with")


def refuse_input(prompt: object = "", stream: object = None) -> NoReturn:
    """Nobody answers a job."""
    raise StdinNotImplementedError(f"a job cannot answer input({str(prompt)!r})")


class Streams:
    """``stdout`` and ``stderr`` of the cells, one text after the other as they were written.

    What is written below Python, by libraries and by other programs, goes to files, and is
    taken from there before the next text or output: its place does not depend on a thread.

    Args:
        emit: called with the name of the stream and the text.
        folder: where the files are; ``log.txt`` is what went to the file descriptor of stderr.
    """

    def __init__(self, emit: Callable[[str, str], None], folder: Path) -> None:
        self.emit = emit
        self.owner = os.getpid()
        self.lock = threading.RLock()
        self.sources = []
        for number, name, file in ((1, "stdout", "stdout.txt"), (2, "stderr", "log.txt")):
            handle = os.open(folder / file, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o644)
            os.dup2(handle, number)
            self.sources.append(_Source(name, handle))
        self.stdout, self.stderr = (_Stream(self, name, n + 1) for n, name in enumerate(NAMES))

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """As ``sys.stdout`` and ``sys.stderr``."""
        with contextlib.redirect_stdout(self.stdout), contextlib.redirect_stderr(self.stderr):
            yield

    def write(self, stream: _Stream, text: str) -> None:
        if os.getpid() != self.owner:  # forked by the notebook: its parent finds it in the file
            os.write(stream.number, text.encode(errors="replace"))
            return
        with self.lock:
            self._take()
            self.emit(stream.name, text)

    def drain(self) -> None:
        """Take what was written below Python."""
        if os.getpid() == self.owner:
            with self.lock:
                self._take()

    def _take(self) -> None:
        for source in self.sources:
            # Asked at every text that a notebook writes, so by the fastest call there is: where
            # the handle stands is of no account, since all writing appends.
            if os.lseek(source.handle, 0, os.SEEK_END) > source.position:
                text = source.read()
                if text:
                    self.emit(source.name, text)


class _Source:
    """What is new in a file that others write."""

    def __init__(self, name: str, handle: int) -> None:
        self.name = name
        self.handle = handle
        self.position = os.fstat(handle).st_size
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self) -> str:
        size = os.fstat(self.handle).st_size - self.position
        data = os.pread(self.handle, size, self.position)
        self.position += len(data)
        return self.decoder.decode(data)


class _Stream(io.TextIOBase):
    """One of the two, as ``sys.stdout`` or ``sys.stderr``."""

    encoding = "UTF-8"
    errors = "replace"

    def __init__(self, streams: Streams, name: str, number: int) -> None:
        self.streams = streams
        self.name = name
        self.number = number

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if not text.isascii():
            text = text.encode(errors="replace").decode()  # half characters cannot be sent
        if text:
            self.streams.write(self, text)
        return len(text)

    def flush(self) -> None:
        self.streams.drain()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.number

    def set_parent(self, parent: Any) -> None:
        """The kernel says which request it works for."""
