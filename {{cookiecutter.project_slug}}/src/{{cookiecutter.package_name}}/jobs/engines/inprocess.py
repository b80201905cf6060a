"""Cells in an IPython shell in the job's own process: no kernel, no sockets, milliseconds."""

from __future__ import annotations

import asyncio
import atexit
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.session import Session

from . import shell as shells


class InProcess:
    """Runs a notebook's cells as ipykernel would, and records what nbclient would."""

    def __init__(
        self, notebook: Mapping[str, Any], scratch: Path, begun: Callable[[int], None]
    ) -> None:
        self.notebook = notebook
        self.begun = begun
        self.record = Recorder()
        self.streams = shells.Streams(self.record.stream, scratch)
        self.done: dict[int, dict[str, Any]] = {}

    def run(self) -> None:
        atexit._clear()  # those of the process this one was forked from
        with self.streams.installed():
            self._run()

    def _run(self) -> None:
        self.shell = shells.Shell.instance(config=shells.config())
        channel = _Channel(self.record)
        for hook in (self.shell.displayhook, self.shell.display_pub):
            hook.session, hook.pub_socket = channel, None
        shells.settle()
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._cells())  # as in a kernel, it runs while a cell does
        finally:
            atexit._run_exitfuncs()
            self.streams.drain()

    async def _cells(self) -> None:
        for index, cell in enumerate(self.notebook["cells"]):
            self.begun(index)
            if cell["cell_type"] != "code":
                continue
            outputs = self.record.begin()
            source = "".join(cell["source"])
            self.done[index] = {"outputs": outputs, "execution_count": None}
            if not source.strip():
                continue
            self.done[index]["execution_count"] = self.shell.execution_count
            result = await self._run_cell(source)
            self.streams.drain()
            raises = "raises-exception" in cell.get("metadata", {}).get("tags", [])
            failed = not result.success or self.shell._last_traceback_during_displayhook
            if failed and not raises:
                return

    async def _run_cell(self, source: str) -> Any:
        """One cell; only one that awaits at its top runs as a coroutine."""
        shell = self.shell
        error = None
        try:
            code = shell.transform_cell(source)
        except Exception:
            code, error = source, sys.exc_info()
        if not shell.should_run_async(source, transformed_cell=code, preprocessing_exc_tuple=error):
            return shell.run_cell(source, store_history=True)
        shell._last_traceback = None
        shell._last_traceback_during_displayhook = False
        result = None
        try:
            result = await shell.run_cell_async(
                source,
                store_history=True,
                transformed_cell=code,
                preprocessing_exc_tuple=error,
            )
        finally:
            shell.events.trigger("post_execute")
            shell.events.trigger("post_run_cell", result)
        return result

    def cells(self) -> Sequence[Mapping[str, Any]]:
        self.streams.drain()
        codes = [i for i, cell in enumerate(self.notebook["cells"]) if cell["cell_type"] == "code"]
        return [self.done.get(index, {}) for index in codes]

    def close(self) -> None:
        """Nothing but this process itself."""


class Recorder:
    """Outputs in nbformat, from the messages of a shell; as nbclient keeps them."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.shown: dict[str, list[dict[str, Any]]] = {}  # by display id
        self.clearing = False

    def begin(self) -> list[dict[str, Any]]:
        """The list that takes the outputs of the next cell."""
        self.outputs, self.clearing = [], False
        return self.outputs

    def stream(self, name: str, text: str) -> None:
        last = self.outputs[-1] if self.outputs and not self.clearing else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"].append(text)
        else:
            self._add({"output_type": "stream", "name": name, "text": [text]})

    def take(self, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "clear_output":
            if content.get("wait"):
                self.clearing = True
            else:
                self._clear()
        elif kind == "error":
            error = {name: content[name] for name in ("ename", "evalue", "traceback")}
            self._add({"output_type": "error", **error})
        elif kind in ("display_data", "execute_result", "update_display_data"):
            bundle = {name: content[name] for name in ("data", "metadata")}
            identity = (content.get("transient") or {}).get("display_id", "")
            for output in self.shown.get(identity, []):
                output.update(bundle)
            if kind == "update_display_data":
                return
            output = {"output_type": kind, **bundle}
            if kind == "execute_result":
                output["execution_count"] = content["execution_count"]
            self._add(output)
            if identity:
                self.shown.setdefault(identity, []).append(output)

    def _add(self, output: dict[str, Any]) -> None:
        if self.clearing:
            self._clear()
        self.outputs.append(output)

    def _clear(self) -> None:
        self.clearing = False
        gone = {id(output) for output in self.outputs}
        for identity, outputs in self.shown.items():
            self.shown[identity] = [output for output in outputs if id(output) not in gone]
        self.outputs.clear()


class _Channel(Session):
    """Stands where ipykernel has a socket: what is sent is recorded."""

    def __init__(self, record: Recorder) -> None:
        super().__init__()
        self.record = record

    def msg(self, msg_type: str, content: Any = None, **_: Any) -> dict[str, Any]:
        return {"msg_type": msg_type, "content": content or {}}

    def send(self, stream: Any, message: Any, content: Any = None, *_: Any, **__: Any) -> None:
        if isinstance(message, str):
            message = self.msg(message, content)
        # as it would come from a socket
        self.record.take(message["msg_type"], self.unpack(self.pack(message["content"])))


ENGINE = InProcess
