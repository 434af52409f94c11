"""A PostgreSQL database for the tests of one process, dropped at its end.

The server is at ``MASC_TEST_POSTGRES_URL``, whose role must be able to create databases. Where none answers the tests are
skipped, or fail when ``CI=true``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from postgres_support import Make

from masc_core.store.postgres import PostgresDriver

local_stores = pytest.mark.parametrize("masc", ["memory", "sqlite"], indirect=True)
"""For tests that make very many calls, or have two directories and thereby two rooms."""
SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"


def at(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The URL of a server that answers."""
    url = os.environ.get("MASC_TEST_POSTGRES_URL", SERVER)
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error as error:
        reason = f"no PostgreSQL for the tests (MASC_TEST_POSTGRES_URL): {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return url


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Iterator[Iterator[str]]:
    """URLs of fresh databases, one for each ``next``."""
    made: list[str] = []

    def make() -> Iterator[str]:
        for n in count():
            made.append(f"masc_test_{os.getpid()}_{n}")
            db.execute(f'CREATE DATABASE "{made[-1]}"'.encode())
            yield at(postgres_server, made[-1])

    with psycopg.connect(postgres_server, autocommit=True) as db:
        yield make()
        for name in made:
            db.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def postgres_url(new_database: Iterator[str]) -> str:
    """A database that the tests of this process share, each under a cluster of its own."""
    return next(new_database)


@pytest.fixture
def postgres_cluster(request: pytest.FixtureRequest) -> str:
    """A cluster name that no other test has."""
    return str(request.node.nodeid)


@pytest.fixture
def make_postgres(postgres_url: str, postgres_cluster: str) -> Make:
    """Makes drivers of the test's room."""
    return lambda **options: PostgresDriver(postgres_url, **{"cluster": postgres_cluster, **options})


@pytest.fixture
def postgres_admin(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection beside the drivers'."""
    with psycopg.connect(postgres_url, autocommit=True) as db:
        yield db
