"""Many scenes: jobs and outcomes (`job`), and who runs them: this process, several, a Dask cluster."""
