"""The Celery side: an app, thin tasks, the lease that lets one retraining run at a time, and the nightly schedule."""
