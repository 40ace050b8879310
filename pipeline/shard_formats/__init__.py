"""Files of rows and tables: Arrow, compressed or not, and tars; hashed as they are written."""
