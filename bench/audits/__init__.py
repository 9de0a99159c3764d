"""What bench/audit.py measures with."""
