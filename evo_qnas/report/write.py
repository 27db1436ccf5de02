"""`write_report`: the page of a run folder, an archive or a comparison folder, as one file."""

from pathlib import Path

from evo_qnas.archive import Archive
from evo_qnas.errors import FileError, PictureError
from evo_qnas.files import write_bytes, written_path
from evo_qnas.plots import load_subject, subject_of
from evo_qnas.report.archive_page import archive_page
from evo_qnas.report.comparison_page import comparison_page
from evo_qnas.summary import read_comparison


def write_report(source: str | Path | Archive, path: str | Path) -> Path:
    """Writes one HTML page that opens from disk without a network; gives its path.

    Args:
        source: an archive or its file, a run folder (with `archive.h5`), or a comparison folder (`comparison.json`).
        path: the page; an earlier one is replaced in one step.

    Raises:
        PictureError: there is nothing to report at `source`, or the page cannot be written.
        ArchiveError: the archive cannot be read.
    """
    target = Path(path)
    try:
        written_path(target)
        # Names of files may hold bytes that are no UTF-8.
        page = _page(source).encode("utf-8", "backslashreplace")
        write_bytes(target, page)
    except FileError as error:
        raise PictureError(str(error)) from error
    return target


def _page(source: str | Path | Archive) -> str:
    """The page's HTML."""
    if isinstance(source, Archive):
        return archive_page(subject_of(source))
    place = Path(source)
    document = read_comparison(place / "comparison.json") if place.is_dir() else None
    if document is not None:
        return comparison_page(place.resolve().name, document.model_dump(mode="json", by_alias=True))
    if not place.exists():
        raise PictureError(f"{place} is not there: give a run folder, an archive or a comparison folder")
    return archive_page(load_subject(place))
