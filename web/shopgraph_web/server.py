"""The production server: gunicorn with a few threads a process, each process with a driver of its own."""

from __future__ import annotations

import logging
import sys

from flask import Flask
from gunicorn.app.base import BaseApplication

from shopgraph.settings import Settings
from shopgraph_web.application import create_app

THREADS = 4
REQUEST_TIMEOUT_SECONDS = 60
GRACE_SECONDS = 10
ADDRESS_BYTES = 8_190
"""Of a request's first line, the most that gunicorn bounds: room for some hundreds of product ids to leave out."""
LOG_FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"


class Server(BaseApplication):
    """Gunicorn without its command line; the application is made after the fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = settings.logs / "web.log"
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self._settings.web_host}:{self._settings.web_port}",
            "workers": self._settings.web_workers,
            "worker_class": "gthread",
            "threads": THREADS,
            # clients keep their connections, and a process that took most of them kept them: Linux deals them out
            "reuse_port": sys.platform == "linux",
            "timeout": REQUEST_TIMEOUT_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "limit_request_line": ADDRESS_BYTES,
            "proc_name": "shopgraph-web",
            "loglevel": "warning",
            "errorlog": str(self._log),
        }
        self._log.parent.mkdir(parents=True, exist_ok=True)
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        logging.basicConfig(filename=self._log, format=LOG_FORMAT)
        return create_app(self._settings)
