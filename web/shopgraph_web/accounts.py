"""People, their roles and the API keys: in SQL, because the graph is replaced as a whole by a bulk import."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from email_validator import EmailNotValidError, validate_email
from flask import Flask
from flask_security import Security, SQLAlchemyUserDatastore, admin_change_password, hash_password
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, ForeignKey, Integer, String, event, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shopgraph.errors import InputError
from shopgraph.settings import Settings, utc_now

ROLES = {
    "admin": "everything: people, keys and retraining included",
    "curator": "what a viewer sees; the role that editing the catalogue asks for",
    "viewer": "sees everything, changes nothing",
}
PASSWORD_CHARACTERS_MIN = 12
SCOPES = {
    "recommend": "reads: recommendations, similar products, search, products and users",
    "events": "tells what happens in the shop, and which reasons are wrong",
    "experiments": "reads what experiments found",
}
"""By name, what an API key may be let do."""

db = SQLAlchemy()
fsqla_v3.FsModels.set_db_info(db)


class Role(db.Model, fsqla_v3.FsRoleMixin):  # type: ignore[name-defined]
    """One of `ROLES`."""


class User(db.Model, fsqla_v3.FsUserMixin):  # type: ignore[name-defined]
    """A person who may sign in; nothing to do with the graph's users, who shop."""

    @property
    def role(self) -> str:
        return next((role.name for role in self.roles), "viewer")


class ApiKey(db.Model):  # type: ignore[name-defined]
    """A key of a program; only its hash is kept."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(12), unique=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime, default=utc_now)
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    made_by: Mapped[User | None] = relationship(User)
    granted: Mapped[list[KeyScope]] = relationship("KeyScope", lazy="joined", cascade="all, delete-orphan")

    @property
    def scopes(self) -> list[str]:
        """What it may do: everything, where it was made before keys had scopes."""
        return [scope for scope in SCOPES if scope in {each.scope for each in self.granted} or not self.granted]


class KeyScope(db.Model):  # type: ignore[name-defined]
    """One of `SCOPES` that a key has."""

    key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(20), primary_key=True)


datastore = SQLAlchemyUserDatastore(db, User, Role)


@dataclass(frozen=True)
class Person:
    """What a new person is told once."""

    email: str
    password: str


def set_up(app: Flask, settings: Settings) -> None:
    """Bind the accounts to an application and make their tables where they are missing."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.accounts_url or _private_sqlite(settings.home / "accounts.sqlite")
    db.init_app(app)
    Security(app, datastore)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _configure_sqlite)
        db.create_all()
        for name, description in ROLES.items():
            datastore.find_or_create_role(name, description=description)
        db.session.commit()


def first_admin(email: str) -> Person | None:
    """Make the first admin; None when somebody can sign in already."""
    if db.session.scalar(select(User.id).limit(1)) is not None:
        return None
    return add_person(email, "admin")


def add_person(email: str, role: str) -> Person:
    """Let a person in with a random password, to be told once.

    Raises:
        InputError: an address that is none or is taken, or an unknown role.
    """
    try:
        address = validate_email(email, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise InputError(f"{email!r} is not an e-mail address: {error}") from None
    if role not in ROLES:
        raise InputError(f"{role!r} is not a role; choose from {', '.join(ROLES)}")
    if datastore.find_user(email=address):
        raise InputError(f"{address} is there already: change the role in the list instead")
    password = secrets.token_urlsafe(PASSWORD_CHARACTERS_MIN)
    datastore.create_user(email=address, password=hash_password(password), roles=[role])
    db.session.commit()
    return Person(address, password)


def set_role(user: User, role: str) -> None:
    """Give a person one role in place of the one they have.

    Raises:
        InputError: an unknown role, or nobody would be left to administer.
    """
    if role not in ROLES:
        raise InputError(f"{role!r} is not a role; choose from {', '.join(ROLES)}")
    if role != "admin":
        _keep_an_admin(user)
    user.roles = [datastore.find_role(role)]
    db.session.commit()


def set_active(user: User, active: bool) -> None:
    """Lock a person out, and end their sessions, or let them in again.

    Raises:
        InputError: nobody would be left to administer.
    """
    if not active:
        _keep_an_admin(user)
        datastore.set_uniquifier(user)
    user.active = active
    db.session.commit()


def new_password(user: User) -> Person:
    """Replace a forgotten password and end the person's sessions."""
    password = secrets.token_urlsafe(PASSWORD_CHARACTERS_MIN)
    admin_change_password(user, password, notify=False)
    db.session.commit()
    return Person(str(user.email), password)


def people() -> list[User]:
    return list(db.session.scalars(select(User).order_by(User.email)))


def _keep_an_admin(user: User) -> None:
    others = [person for person in people() if person.id != user.id and person.active and person.role == "admin"]
    if user.role == "admin" and not others:
        raise InputError(f"{user.email} is the only active admin: make another one first")


def _private_sqlite(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    return f"sqlite:///{path}"


def _configure_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()
