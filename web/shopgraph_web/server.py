"""The production server: gunicorn with a few threads a process, each process with a driver of its own."""

from __future__ import annotations

from flask import Flask
from gunicorn.app.base import BaseApplication

from shopgraph.settings import Settings
from shopgraph_web.application import create_app

THREADS = 4
REQUEST_TIMEOUT_SECONDS = 60
GRACE_SECONDS = 10


class Server(BaseApplication):
    """Gunicorn without its command line; the application is made after the fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self._settings.web_host}:{self._settings.web_port}",
            "workers": self._settings.web_workers,
            "worker_class": "gthread",
            "threads": THREADS,
            "timeout": REQUEST_TIMEOUT_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "proc_name": "shopgraph-web",
            "loglevel": "warning",
            "errorlog": str(self._settings.logs / "web.log"),
        }
        self._settings.logs.mkdir(parents=True, exist_ok=True)
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_app(self._settings)
