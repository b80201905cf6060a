"""What the bytes of a text file are: one pass that finds its encoding and its line ends.

DuckDB reads UTF-8 with one kind of line ends. Anything else is copied as that, in bounded memory.
"""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from ...errors import UserError, nearest

CHUNK = 1 << 20
SAMPLE = 1 << 18  # bytes that the dialect is told from
_GZIP = b"\x1f\x8b"
_BOMS = (  # the longer ones first: UTF-32's begins as UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"BZh9": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"%PDF": "a PDF",
}
_WESTERN = ("cp1252", "latin_1", "iso8859_15", "cp1250", "mac_roman", "cp437", "cp850", "cp1254")
# Control characters that no text has: all but tab, line ends, form feed, separators, escape.
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x1a]")
_FEW = 20  # bytes beyond ASCII below which no statistics tells one alphabet from another


@dataclass(frozen=True)
class Survey:
    """How the bytes of a file become text.

    Attributes:
        encoding: as Python names it.
        gzip: whether the file is compressed.
        plain: whether DuckDB can read it as it is.
        sample: its beginning as text.
        whole: whether the sample is all of it.
        notes: what was decided, where it was not plain.
    """

    encoding: str
    gzip: bool
    plain: bool
    sample: str
    whole: bool
    notes: tuple[str, ...] = ()


def survey(path: Path, encoding: str | None) -> Survey:
    """Find out how ``path`` is to be read; ``encoding`` is what data.read.encoding says.

    Raises:
        UserError: it is empty, no text, or not in the encoding that was given.
    """
    with _stream(path) as (stream, zipped):
        start = stream.read(SAMPLE)
        _refuse(path, start)
        found = _named(encoding) if encoding else _marked(path, start)
        if found is None:
            valid, kinds, odd = _read_through(path, start, stream)
            if valid:
                sample = _decoded(path, start, "utf-8")
                return Survey("utf-8", zipped, kinds < 2, sample, len(start) < SAMPLE)
            found = _guessed(path, odd)
        elif found in ("utf-8", "utf-8-sig"):
            valid, kinds, _ = _read_through(path, start, stream)
            if not valid:
                raise _wrong(path, found)
            sample = _decoded(path, start, "utf-8-sig")
            return Survey(found, zipped, kinds < 2, sample, len(start) < SAMPLE)
    sample = _decoded(path, start, found)
    if not sample.strip().strip("\ufeff"):
        raise UserError(f"{path}: the file is empty.")
    if "\0" in sample:
        _refuse_binary(path)
    notes = () if encoding else (f"{path.name}: read as {found}, not UTF-8",)
    return Survey(found, zipped, False, sample, len(start) < SAMPLE, notes)


def copy_plain(path: Path, found: Survey, to: Path) -> None:
    """Write ``path`` as UTF-8 with ``\\n`` at the ends of rows; text within quotes stays as it is.

    Raises:
        UserError: a byte is not of the encoding; names the byte.
    """
    decoder = codecs.getincrementaldecoder(found.encoding)("strict")
    inside, held, done = False, "", 0
    with _stream(path) as (stream, _), to.open("wb") as out:
        while True:
            data = stream.read(CHUNK)
            try:
                text = held + decoder.decode(data, final=not data)
            except UnicodeError as error:
                byte = done + getattr(error, "start", 0)
                raise _wrong(path, found.encoding, f" near byte {byte}") from error
            if "\0" in text:
                _refuse_binary(path)
            done += len(data)
            # A carriage return at the end may be half of a line end.
            held = "\r" if data and text.endswith("\r") else ""
            pieces = text[: len(text) - len(held)].split('"')
            for number, piece in enumerate(pieces):
                if inside == bool(number % 2):
                    pieces[number] = piece.replace("\r\n", "\n").replace("\r", "\n")
            inside ^= len(pieces) % 2 == 0
            out.write('"'.join(pieces).encode("utf-8", "surrogatepass"))
            if not data:
                return


@contextmanager
def _stream(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        if not zipped:
            yield raw, False
            return
        try:
            with gzip.open(raw) as inner:
                yield inner, True  # type: ignore[misc]  # it reads as a binary file does
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise  # of the disk
            raise UserError(
                f"{path}: not a readable table: the gzip file is damaged ({error}). Fetch it again."
            ) from error


def _refuse(path: Path, start: bytes) -> None:
    if not start.strip():
        raise UserError(f"{path}: the file is empty.")
    for magic, what in _ARCHIVES.items():
        if start.startswith(magic):
            raise UserError(f"{path}: not text but {what}. Save the table as CSV or Parquet.")


def _named(encoding: str) -> str:
    try:
        "".encode(encoding)  # codecs that make bytes of bytes are none
        return codecs.lookup(encoding).name
    except LookupError as error:
        known = (
            "utf-8",
            "utf-16",
            "latin-1",
            "cp1252",
            "cp1250",
            "cp1251",
            "shift_jis",
        )
        raise UserError(
            f"data.read.encoding={encoding}: no such encoding.{nearest(encoding, known)}"
        ) from error


def _marked(path: Path, start: bytes) -> str | None:
    """The encoding that the first bytes give away; None: UTF-8, or one without marks."""
    for mark, name in _BOMS:
        if start.startswith(mark):
            return name
    even, odd = start[::2].count(0), start[1::2].count(0)
    half = len(start) // 2
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if half > 4 and zeros > 0.4 * half and others < 0.1 * half:
            text = start.decode(name, "replace").encode()
            return name if not _CONTROLS.search(text) else _refuse_binary(path)
    return _refuse_binary(path) if _CONTROLS.search(start) else None


def _refuse_binary(path: Path) -> NoReturn:
    raise UserError(f"{path}: not text. Give a CSV file, or a .parquet file.")


def _read_through(path: Path, start: bytes, stream: BinaryIO) -> tuple[bool, int, bytes]:
    """Whether it is UTF-8, how many kinds of line ends there are, and lines that are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    valid, odd, last = True, bytearray(), b""
    pairs = feeds = returns = 0
    chunk = start
    while chunk:
        if b"\0" in chunk:
            raise UserError(f"{path}: not text, it holds zero bytes. Give a CSV file.")
        pairs += chunk.count(b"\r\n") + (last == b"\r" and chunk.startswith(b"\n"))
        feeds += chunk.count(b"\n")
        returns += chunk.count(b"\r")
        last = chunk[-1:]
        if valid:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                valid = False
        if not valid and len(odd) < 1 << 16:
            odd += b"\n".join(line for line in chunk.splitlines() if not line.isascii())[: 1 << 16]
        chunk = stream.read(CHUNK)
    if valid:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            valid, odd = False, bytearray(start[-200:])
    kinds = (pairs > 0) + (feeds > pairs) + (returns > pairs)
    return valid, kinds, bytes(odd)


def _guessed(path: Path, odd: bytes) -> str:
    """The encoding of lines that are not UTF-8: by statistics where there is enough to count."""
    beyond = sum(byte > 127 for byte in odd)
    if beyond >= _FEW:
        from charset_normalizer import from_bytes

        best = from_bytes(odd).best()
        if best is None:
            raise UserError(
                f"{path}: not text, or in an encoding that cannot be told. "
                "Name it: data.read.encoding=…"
            )
        if best.encoding not in _WESTERN:
            return str(best.encoding)
    # What browsers take for text without a name: Windows' Western alphabet.
    try:
        odd.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _decoded(path: Path, start: bytes, encoding: str) -> str:
    """The text of the first bytes, which may end within a character."""
    try:
        return codecs.getincrementaldecoder(encoding)("replace").decode(start)
    except UnicodeError as error:  # UTF-16 without its mark
        raise _wrong(path, encoding) from error


def _wrong(path: Path, encoding: str, where: str = "") -> UserError:
    return UserError(
        f"{path}: not {encoding} text{where}. Name its encoding, such as "
        "data.read.encoding=cp1252, or save it as UTF-8."
    )
