"""Questions to git."""

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str | None:
    """Return what a git command prints, run in this folder, without blanks at the ends; None where it fails."""
    try:
        command = ["git", "--no-optional-locks", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
