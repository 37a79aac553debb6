"""How is a file written so that nothing is lost, whatever happens meanwhile? Whole or not at all."""

import contextlib
import os
from pathlib import Path


def write_atomically(file: Path, content: bytes | str) -> None:
    """Replace ``file`` by ``content``: a reader, a crash or a full disk finds the old file or the new one, never a part.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as out:
            out.write(content.encode() if isinstance(content, str) else content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, file)
    except OSError as error:
        raise failure(file, error) from error
    finally:
        # gone already, unless something failed; it may even be the folder that is missing
        with contextlib.suppress(OSError):
            temporary.unlink()


def make_folder(folder: Path) -> None:
    """See that ``folder`` is there.

    Raises:
        FileExistsError: a file is in its place.
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise FileExistsError(f"{folder} must be a folder to write into; it is a file.\n  Choose another --out.") from None
    except OSError as error:
        raise failure(folder, error) from error


def append(file: Path, line: str) -> None:
    """Add ``line`` at the end of ``file``. A process that dies meanwhile leaves part of a line, without its line break.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    try:
        with open(file, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    except OSError as error:
        raise failure(file, error) from error


def failure(file: Path, error: OSError) -> OSError:
    """The error to raise where ``file``, or a folder, cannot be written: what failed, what is left, what to do."""
    kept = "What was there before is kept" if file.exists() else "Nothing was written"
    return OSError(f"cannot write {file}: {error.strerror}.\n  {kept}. Make room and try again; a run goes on with --resume.")
