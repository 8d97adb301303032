"""Result folders, tables for people, pictures."""
