"""papermill over nbclient, with a Jupyter kernel that is forked instead of started anew.

A kernel costs a second because a new Python imports it and because its manager waits in fixed
steps. Here the job's process, which has everything imported, forks the kernel before it has any
thread or event loop; papermill, nbclient and the kernel are otherwise used as they are.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import zmq
from ipykernel.displayhook import ZMQDisplayHook
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerBase
from traitlets import Type

from ..processes import end_with_parent
from . import KernelEnded
from . import shell as shells
from .absent import absent

with absent("pyarrow"):  # which papermill has for files on Hadoop
    import papermill
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.log import logger
with absent("debugpy"):  # half of a kernel's imports, for a person at a debugger
    import ipykernel.debugger  # noqa: F401

nbformat.validate(nbformat.v4.new_notebook())  # makes and keeps the validator

START_TIMEOUT = 60  # seconds
END_TIMEOUT = 5.0  # seconds for what a notebook does at exit
LOG_END = 100_000  # bytes of what the kernel wrote to the file descriptor of stderr
RECONNECT = 4  # milliseconds
FLUSH = 0.2  # seconds after which a text is sent, so that a stop does not lose it


class Kernel:
    """One notebook, one kernel."""

    def __init__(
        self, notebook: Mapping[str, Any], scratch: Path, begun: Callable[[int], None]
    ) -> None:
        self.notebook = notebook
        self.begun = begun
        self.scratch = scratch
        self.connection = scratch / "connection.json"
        self.address, self.folder = _address(scratch)
        self.process = _fork(lambda: _serve(self.connection, scratch))
        self.live: Any = None  # papermill's manager of the notebook, once there is one

    def run(self) -> None:
        papermill_engines.register("job", _JobEngine)
        try:
            papermill.execute_notebook(
                nbformat.v4.nbjson.JSONReader().to_notebook(self.notebook),
                None,
                engine_name="job",
                kernel_name="python3",
                language="python",
                progress_bar=False,
                autosave_cell_every=0,
                job=self,
            )
        except Exception as error:
            if self.process.ended:
                raise KernelEnded(self.process.returncode) from error
            raise
        finally:
            self.close()

    def execute(self, live: Any) -> None:
        """What papermill's engine does, with our kernel."""
        self.live = live
        manager = AsyncKernelManager(
            kernel_name="python3",
            transport="ipc",
            ip=self.address,
            connection_file=str(self.connection),
            client_class=f"{__name__}.Client",
            shutdown_wait_time=0,
        )
        manager.provisioner = Forked(parent=manager, process=self.process)
        client = PapermillNotebookClient(
            live,
            km=manager,
            log=logger,
            record_timing=False,
            startup_timeout=START_TIMEOUT,
            iopub_timeout=3600,  # a kernel that died is noticed otherwise
            on_cell_start=lambda cell, cell_index: self.begun(cell_index),
        )
        client.execute()
        client.kc.shutdown()
        self.process.wait(END_TIMEOUT)

    def cells(self) -> Sequence[Mapping[str, Any]]:
        if self.live is None:
            return []
        return [cell for cell in self.live.nb.cells if cell.cell_type == "code"]

    def close(self) -> None:
        self.process.kill()
        log = self.scratch / "kernel" / "log.txt"
        if log.is_file():
            os.write(2, log.read_bytes()[-LOG_END:])
            log.unlink()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class _JobEngine(NBClientEngine):
    """papermill's own engine, but for the kernel."""

    @classmethod
    def execute_notebook(cls, *arguments: Any, **kwargs: Any) -> Any:
        super().execute_notebook(*arguments, **kwargs)
        # papermill serialises and validates what it gets back even when nothing is to be written
        return nbformat.v4.new_notebook()

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> None:
        kwargs["job"].execute(nb_man)


class _Child:
    """A forked process that waits for its word to begin."""

    def __init__(self, pid: int, word: int) -> None:
        self.pid = pid
        self.word = word
        self.returncode = 0
        self.ended = False

    def begin(self) -> None:
        os.write(self.word, b"1")

    def poll(self) -> int | None:
        """Its return code, None while it runs."""
        if not self.ended:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode, self.ended = os.waitstatus_to_exitcode(status), True
        return self.returncode if self.ended else None

    def wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)

    def signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait(1.0)


def _fork(serve: Callable[[], None]) -> _Child:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reader)
        return _Child(pid, writer)
    code = 1
    try:
        os.close(writer)
        end_with_parent()
        if os.read(reader, 1):  # nothing comes when the parent has ended before
            os.close(reader)
            serve()
            code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def _serve(connection: Path, scratch: Path) -> None:
    """The inside of the kernel's process."""
    atexit._clear()  # those of the process this one was forked from
    app = App.instance(
        connection_file=str(connection),
        parent_handle=os.getppid(),
        log_level="CRITICAL",
        config=shells.config(),
    )
    app.streams_folder = scratch / "kernel"
    app.streams_folder.mkdir()
    app.initialize([])
    shells.settle()
    # no sockets are closed in order: the process ends with them, and all was received
    atexit.unregister(app.close)
    atexit.unregister(app.iopub_thread.stop)
    app.start()
    atexit._run_exitfuncs()


class JobKernel(IPythonKernel):
    shell_class = Type(shells.Shell)
    compiler_class = Type(shells.Compiler)

    def _forward_input(self, allow_stdin: bool = False) -> None:
        """``input`` is refused already."""

    async def _progressively_terminate_all_children(self) -> None:
        """The job's process ends them, and does not wait for zombies."""

    async def poll_stopped_queue(self) -> None:
        """There is no debugger."""

    def _restore_input(self) -> None:
        """See above."""


class App(IPKernelApp):
    kernel_class = Type(JobKernel, klass="ipykernel.kernelbase.Kernel")
    streams_folder: Path

    def load_config_file(self, *args: Any, **kwargs: Any) -> None:
        """A person's configuration does not belong into a job."""

    def init_io(self) -> None:
        streams = _Sender(self.session, self.iopub_thread, self.streams_folder).streams
        sys.stdout, sys.stderr = streams.stdout, streams.stderr
        self.displayhook = ZMQDisplayHook(self.session, self.iopub_socket)
        sys.displayhook = self.displayhook


class _Sender:
    """Sends texts over the kernel's socket for outputs, in their order with all else.

    A text waits for others, until something else is sent or for :data:`FLUSH`; then another thread
    sends it, and the lock of the streams keeps both from losing or overtaking anything.
    """

    def __init__(self, session: Any, thread: Any, folder: Path) -> None:
        self.session = session
        self.thread = thread
        self.parent: Any = {}
        self.texts: list[tuple[str, str]] = []
        self.pending = False
        self.streams = shells.Streams(self.add, folder)
        for stream in (self.streams.stdout, self.streams.stderr):
            stream.set_parent = self.set_parent  # type: ignore[method-assign]
            stream.flush = self.flush  # type: ignore[method-assign]

    def set_parent(self, parent: Any) -> None:
        self.parent = {"header": parent.get("header", {})} if parent else {}

    def add(self, name: str, text: str) -> None:
        self.texts.append((name, text))
        if not self.pending:
            self.pending = True
            loop = self.thread.io_loop
            self.thread.schedule(lambda: loop.call_later(FLUSH, self.flush))

    def flush(self) -> None:
        if os.getpid() != self.streams.owner:
            return
        with self.streams.lock:
            self.streams.drain()
            self.pending = False
            texts, self.texts = self.texts, []
            for name, text in merged(texts):
                content = {"name": name, "text": text}
                message = self.session.msg("stream", content, parent=self.parent)
                self.session.send(self.thread, message, ident=b"stream." + name.encode())


def merged(texts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """One text for each stretch of the same name."""
    stretches: list[tuple[str, list[str]]] = []
    for name, text in texts:
        if not stretches or stretches[-1][0] != name:
            stretches.append((name, []))
        stretches[-1][1].append(text)
    return [(name, "".join(parts)) for name, parts in stretches]


class Client(AsyncKernelClient):
    """Ready as soon as the kernel answers on both channels; nothing waits in fixed steps."""

    def start_channels(self, *args: Any, **kwargs: Any) -> None:
        # we are here before the kernel has made its sockets: ask again soon, not in 0.1 s
        self.context.setsockopt(zmq.RECONNECT_IVL, RECONNECT)
        # the heartbeat is a thread that asks a child of ours whether it lives; waitpid knows
        super().start_channels(stdin=False, hb=False)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        deadline = time.monotonic() + (timeout or START_TIMEOUT)
        while time.monotonic() < deadline:
            asked = self.kernel_info()
            with contextlib.suppress(Empty):
                reply = await self.get_shell_msg(timeout=1)
                while reply["parent_header"].get("msg_id") != asked:
                    reply = await self.get_shell_msg(timeout=1)
                self._handle_kernel_info_reply(reply)
                # what the kernel does for a request it tells to all: one word proves that it
                # reaches us
                await self.get_iopub_msg(timeout=1)
                return
            if not await self._async_is_alive():
                raise RuntimeError("the kernel ended before it was ready")
        raise RuntimeError(f"the kernel was not ready in {timeout:g} s")


class Forked(KernelProvisionerBase):
    """Hands a process that exists already to the kernel manager."""

    def __init__(self, process: _Child, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.process = process
        self.launched = False

    @property
    def has_process(self) -> bool:
        return self.launched and not self.process.ended

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        self.parent.write_connection_file()
        self.connection_info = self.parent.get_connection_info()
        return {"cmd": [], **kwargs}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        self.process.begin()
        self.launched = True
        return self.connection_info

    async def poll(self) -> int | None:
        return self.process.poll()

    async def wait(self) -> int | None:
        while self.process.poll() is None:
            await asyncio.sleep(0.005)
        return self.process.returncode

    async def send_signal(self, signum: int) -> None:
        self.process.signal(signum)

    async def kill(self, restart: bool = False) -> None:
        self.process.signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        self.process.signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """The connection file is in the job's own folder."""


def _address(scratch: Path) -> tuple[str, Path | None]:
    """The beginning of the names of a kernel's sockets, and a folder to remove when there is one.

    A socket's path may have some hundred bytes and a run's folder has more, so it is named by its
    file descriptor, which the forked kernel has too; where there is no ``/proc``, it is another.
    """
    through = f"/proc/self/fd/{os.open(scratch, os.O_RDONLY)}"
    if Path(through).is_dir():
        return f"{through}/k", None
    folder = Path(tempfile.mkdtemp(prefix="job-"))
    return str(folder / "k"), folder


ENGINE = Kernel
