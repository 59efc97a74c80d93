"""The catalog in SQL: SQLite, MySQL 8 and MariaDB through the same statements. One module for each aggregate."""
