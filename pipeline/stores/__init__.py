"""Where the files of a data set are: a local folder, or object storage behind a URL."""
