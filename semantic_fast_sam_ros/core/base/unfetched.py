"""What lies under a file's name when the file itself never came."""

PAGE = 'a page of the web'
UNFETCHED = {  # by how it begins
    PAGE: (b'<!DOCTYPE', b'<!doctype', b'<html'),
    'a pointer of Git LFS, whose file was not fetched (git lfs pull)': (
        b'version https://git-lfs',
    ),
}


def unfetched(head: bytes) -> str:
    """Return what lies in a file's place, by its first 32 bytes; '' if it may be the file."""
    return next((name for name, marks in UNFETCHED.items() if head.startswith(marks)), '')
