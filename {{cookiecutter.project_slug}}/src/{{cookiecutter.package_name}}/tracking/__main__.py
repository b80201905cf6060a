"""``python -m <package>.tracking``: send runs to MLflow, see what waits, open its pages."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from ..errors import UserError
from ..runs import facts, find_run, list_runs, read_manifest
from . import outbox, sender, store
from .settings import options, settings

WHAT = "Send runs to MLflow, see what waits, open its pages."
PATIENCE = 60.0  # seconds to wait for another sender
HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, 1 with a message where something was refused or is wrong, 75 where a store
    did not answer, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=WHAT)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    words = "send what waits (the default), or the runs named, whatever they say themselves"
    send = commands.add_parser("send", help=words, description=words)
    send.add_argument("run", nargs="*", help="an id, the beginning or end of one, 'latest'")
    send.add_argument("--background", action="store_true", help=argparse.SUPPRESS)
    words = "send what waits, and once more what was refused"
    retry = commands.add_parser("retry", help=words, description=words)
    words = "which runs were sent, which wait, which were refused, and why"
    status = commands.add_parser("status", help=words, description=words)
    words = "bring a run from MLflow into the runs folder"
    fetch = commands.add_parser("fetch", help=words, description=words)
    fetch.add_argument("run", help="its whole id")
    words = "open MLflow's pages of the embedded store, or say where those of the server are"
    ui = commands.add_parser("ui", help=words, description=words)
    ui.add_argument("--port", type=int, default=0, help="of this machine; 0: any free one")
    for each in (send, retry, status, fetch, ui):
        each.add_argument(
            "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE"
        )
    args = parser.parse_args(options(sys.argv[1:] if arguments is None else arguments))
    try:
        return _COMMANDS[args.command or "send"](args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _send(args: argparse.Namespace) -> int:
    if getattr(args, "background", False):
        sender.work(_say)
        return 0
    if getattr(args, "run", None):
        return _send_these(args)
    return _send_all(again=args.command == "retry")


def _send_all(again: bool) -> int:
    with sender.sending(PATIENCE) as alone:
        if not alone:
            raise UserError("another process is sending. See what is left: status.")
        sent, refused, left = sender.send_waiting(_say, again)
    if not sent + refused + left:
        print("nothing waits.")
    else:
        print(f"{sent} sent, {refused} refused, {left} waiting.")
    if refused:
        print("retry sends once more what was refused.")
    return 75 if left else int(bool(refused))


def _send_these(args: argparse.Namespace) -> int:
    config = settings(args.overrides)
    with sender.sending(PATIENCE) as alone:
        if not alone:
            raise UserError("another process is sending. Try again when it has ended.")
        for name in args.run:
            run = find_run(name)
            own = outbox.settings(read_manifest(run))
            try:
                number = sender.deliver(run, config if args.overrides or own is None else own)
            except UserError:
                raise
            except Exception as error:
                raise UserError(f"{run.name}: not sent: {store.in_short(error)}") from error
            print(f"{run.name}  sent as {number}")
    return 0


def _status(args: argparse.Namespace) -> int:
    table = facts.table("run", "status", "to", "state", "")
    counted = {"sent": 0, "refused": 0, "waits": 0}
    for run, config in outbox.Outbox().tracked():
        found = outbox.outcome(run, outbox.place(config))
        state = found.get("state", "waits")
        counted[state] += 1
        status = facts.status(read_manifest(run)["status"])
        told = str(found.get("why") or found.get("number") or "")
        table.add_row(run.name, status, outbox.place(config), state, told)
    if table.row_count:
        facts.console().print(table)
    print(", ".join(f"{number} {state}" for state, number in counted.items()) + ".")
    if found := outbox.trouble():
        print(f"{found['where']} did not answer at {found['since']}: {found['why']}.")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    from .fetch import fetch

    folder = fetch(args.run, settings(args.overrides))
    print(f"{folder.name}  fetched into {folder}")
    return 0


def _ui(args: argparse.Namespace) -> int:
    config = settings(args.overrides)
    if config.uri:
        print(f"the server's pages: {config.uri}")
        return 0
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise UserError("uv is needed to fetch MLflow's pages: make ui finds it.")
    if not list_runs():
        print("no runs yet: the pages will be empty.")
    found = store.connect(config).get_experiment_by_name(config.experiment)
    # MLflow opens on pages for language models; the runs are behind another switch.
    page = (
        f"#/experiments/{found.experiment_id}/runs?workflowType=machine_learning" if found else ""
    )
    from importlib.metadata import version

    port = args.port or _free_port()
    # MLflow whole, with its pages, in an environment of its own: it wants older libraries than this
    # project. The same version, as each has its own form of the database.
    own = ["run", "--no-project", "--python", sys.executable, "--with"]
    own.append(f"mlflow=={version('mlflow-skinny')}")
    serve = ["mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    artifacts = (outbox.folder() / store.ARTIFACTS).as_uri()
    kept = ["--backend-store-uri", store.address(config), "--artifacts-destination", artifacts]
    print(f"MLflow: http://{HOST}:{port}/{page} (Ctrl-C ends it)", flush=True)
    environment = {key: each for key, each in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([uv, *own, *serve, *kept], env=environment, check=False).returncode


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def _say(text: str) -> None:
    print(text, flush=True)


_COMMANDS = {
    "send": _send,
    "retry": _send,
    "status": _status,
    "fetch": _fetch,
    "ui": _ui,
}

if __name__ == "__main__":
    sys.exit(main())
