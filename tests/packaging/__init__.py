"""Tests of the sdist, the wheel, the import name and the public API."""
