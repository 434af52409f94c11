"""Whole rooms as files: exports, backups, and their way back. Imported when a command needs it."""
