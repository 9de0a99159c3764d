"""The Brain Tumor MRI Dataset, version 1, downloaded from Kaggle."""

import errno
from pathlib import Path

from brain_mri.errors import UserError
from brain_mri.sources.archive import SOURCE

HANDLE = "masoudnickparvar/brain-tumor-mri-dataset/versions/1"


def download(downloads: Path) -> Path:
    """Download version 1 with kagglehub, into its own cache, and return the folder; a broken download is resumed.

    `downloads` is where the message tells people to put the file. What came is checked by `archive.verify`.
    Raises UserError without network, credentials, or kagglehub.
    """
    try:
        import kagglehub

        return Path(kagglehub.dataset_download(HANDLE))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        reason = type(error).__name__
    # kagglehub has exceptions of its own, and passes on those of what it stands on.
    except Exception as error:
        reason = type(error).__name__
    raise UserError(
        f"Kaggle: {HANDLE} could not be downloaded ({reason}); download the zip by hand from {SOURCE['url']} "
        f"(version 1, not 2), save it as {downloads / SOURCE['name']}.zip and set dataset.source to archive"
    )
