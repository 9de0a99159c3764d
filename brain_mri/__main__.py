"""`python -m brain_mri` is the command `brain-mri`."""

from brain_mri.cli import main

if __name__ == "__main__":
    main()
