"""The nodes: which there are (alembic.ini) and how to connect to them (the environment).

No message made here holds a connection string or a part of one that could be a password.
"""

import configparser
import contextlib
import ipaddress
import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

# What a connection gets unless its connection string says otherwise: a dead peer is noticed within half a minute.
CONNECTION_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "rowferry",
}

# With these libpq uses TLS or fails; disable asks for plain TCP in so many words. allow and prefer, the default, only try.
DECIDED = {"require", "verify-ca", "verify-full", "disable"}

NODE_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ConfigError(Exception):
    """The configuration cannot be used; the message is one line with a hint."""


class NodeUnreachable(Exception):
    """No connection to a node; the message is one line that names the node and its variable."""


@dataclass(frozen=True)
class Node:
    """A database that takes part, and the environment variable that holds its connection string."""

    name: str
    variable: str

    def conninfo(self, defaults: Mapping[str, str] = CONNECTION_DEFAULTS) -> str:
        """The connection string in libpq's key=value form, with defaults for what neither it nor the environment says.

        Raises ConfigError if the variable is missing or holds no connection string.
        """
        value = os.environ.get(self.variable, "").strip()
        if not value:
            raise ConfigError(
                f"{self.name}: environment variable {self.variable} is not set. "
                f"Hint: export {self.variable}='host=... dbname=... user=...' or a postgresql:// URI"
            )
        # libpq takes an unencoded / or @ in a password for the end of it, and would then print the rest as a host.
        authority, _, rest = value.partition("://")[2].partition("@")
        if value.startswith(("postgresql://", "postgres://")) and rest and ("/" in authority or "@" in rest):
            raise ConfigError(
                f"{self.name}: the connection URI in {self.variable} is ambiguous. "
                "Hint: percent-encode / as %2F and @ as %40 in user name and password"
            )
        try:
            settings = conninfo_to_dict(value)
        except psycopg.Error:
            raise ConfigError(
                f"{self.name}: the value of {self.variable} is not a connection string. Hint: libpq's "
                "key=value form (quote values with spaces), a postgresql:// URI (percent-encode the password), or service=name"
            ) from None
        given = _environment() | settings
        # A service comes before the environment, and only libpq knows what it says: connect() looks again.
        known = settings if "service" in given else given
        hosts, addresses = (str(known.get(key) or "").split(",") for key in ("host", "hostaddr"))
        for host, address in itertools.zip_longest(hosts, addresses, fillvalue=""):
            if address or host:
                self._refuse_plain_tcp(address or host, str(known.get("sslmode") or ""))
        return make_conninfo(value, **{key: setting for key, setting in defaults.items() if key not in given})

    def connect(
        self, defaults: Mapping[str, str] = CONNECTION_DEFAULTS, kind: Any = Connection, **kwargs: Any
    ) -> Connection[Any]:
        """A connection of a kind to the node, without server-side prepared statements; kwargs as for psycopg.connect().

        Raises ConfigError, or NodeUnreachable in libpq's words.
        """
        conninfo = self.conninfo(defaults)
        try:
            # No prepared statements: a trigger could put one of its own under a name that is known.
            connection: Connection[Any] = kind.connect(conninfo, client_encoding="utf8", prepare_threshold=None, **kwargs)
        except psycopg.Error as error:
            message = f"{self.name}: cannot connect ({self.masked(str(error))}). Hint: check {self.variable}"
            raise NodeUnreachable(message) from None
        if not connection.pgconn.ssl_in_use:
            try:
                self._refuse_plain_tcp(connection.info.hostaddr, connection.info.get_parameters().get("sslmode", ""))
            except ConfigError:
                connection.close()
                raise
        return connection

    def masked(self, text: str) -> str:
        """The text in one line, without the passwords of the connection string."""
        settings = conninfo_to_dict(self.conninfo())
        for secret in filter(None, map(settings.get, ("password", "sslpassword"))):
            text = text.replace(str(secret), "***")
        return " ".join(text.split())

    def _refuse_plain_tcp(self, host: str, sslmode: str) -> None:
        """ConfigError if a row could go to another host unencrypted without anybody having asked for that."""
        if sslmode not in DECIDED and not _is_local(host):
            raise ConfigError(
                f"{self.name}: {self.variable} would let rows go to {host} unencrypted. "
                "Hint: add sslmode=verify-full, or sslmode=disable if the network is safe"
            )


def _environment() -> dict[str, str]:
    """What libpq's environment variables say, by the parameters that they stand for: {"sslmode": value of PGSSLMODE, ..}."""
    names = {option.keyword.decode(): (option.envvar or b"").decode() for option in Conninfo.get_defaults()}
    return {keyword: os.environ[name] for keyword, name in names.items() if name in os.environ}


def _is_local(host: str) -> bool:
    """A socket, or this host by its name or address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host in ("", "localhost") or host.startswith(("/", "@"))


def config_file(path: str | Path | None = None) -> Path:
    """The ini file: path, else $ROWFERRY_CONFIG, else ./alembic.ini."""
    given = path or os.environ.get("ROWFERRY_CONFIG")
    file = Path(given or "alembic.ini")
    if file.is_file():
        return file
    if given:
        raise ConfigError(f"no configuration file {file}. Hint: give --config or ROWFERRY_CONFIG the path of your alembic.ini")
    raise ConfigError(
        "there is no alembic.ini in this folder. Hint: change into your project's folder; "
        "or make one: rowferry init mysync --nodes crm,billing && cd mysync"
    )


@dataclass(frozen=True)
class Link:
    """Two nodes that exchange changes. `spoke`: the one that it leads to from the hub; None where there are only two nodes."""

    nodes: tuple[Node, Node]
    spoke: str | None = None


def read_section(file: Path, name: str) -> dict[str, str] | None:
    """The lines of a section, without the defaults; None if the file has no such section."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        raise ConfigError(f"{file} is not an ini file. Hint: start again from the alembic.ini that came with rowferry") from None
    if not parser.has_section(name):
        return None
    return {key: value for key, value in parser[name].items() if key not in parser.defaults()}


def read_nodes(path: str | Path | None = None) -> list[Node]:
    """The nodes of section [nodes], in the file's order; at least two. Reads no environment variable of a node."""
    file = config_file(path)
    section = read_section(file, "nodes")
    if section is None:
        raise ConfigError(f"{file} has no section [nodes]. Hint: one line for each node, name = VARIABLE")
    for name, variable in section.items():
        if not NODE_NAME.fullmatch(name):
            raise ConfigError(f"{file}: {name} cannot name a node. Hint: a lower-case letter, then letters, digits, _")
        if not VARIABLE_NAME.fullmatch(variable):
            raise ConfigError(f"{file}: {name} needs the name of an environment variable. Hint: that holds the connection string")
    if len(section) < 2:
        raise ConfigError(f"{file}: section [nodes] names {len(section)} of two nodes. Hint: one line for each, name = VARIABLE")
    return [Node(name, variable) for name, variable in section.items()]


def read_links(path: str | Path | None = None) -> list[Link]:
    """The links between the nodes: those of section [links] (hub = north, south), or the only one there can be of two nodes.

    Raises ConfigError where a node has no link, or where changes could come back to their node another way.
    """
    file, nodes = config_file(path), {node.name: node for node in read_nodes(path)}
    section = read_section(file, "links")
    if section is None and len(nodes) == 2:
        return [Link((*nodes.values(),))]  # type: ignore[arg-type]
    if section is None:
        raise ConfigError(f"{file} names {len(nodes)} nodes and no links. Hint: [links], and below it HUB = NODE, NODE, ..")
    links, part = [], {name: {name} for name in nodes}  # part: the nodes that each one reaches so far
    for hub, spokes in section.items():
        for spoke in map(str.strip, spokes.split(",")):
            for name in (hub, spoke):
                if name not in nodes:
                    raise ConfigError(f"{file}: section [links] names {name!r}. Hint: the nodes are {', '.join(nodes)}")
            if spoke in part[hub]:
                raise ConfigError(
                    f"{file}: {hub} and {spoke} are linked already, maybe through others. Hint: a star or a tree has one way"
                )
            part[hub] |= part[spoke]
            for name in part[hub]:
                part[name] = part[hub]
            links.append(Link((nodes[hub], nodes[spoke]), spoke))
    alone = [name for name in nodes if len(part[name]) == 1]
    if alone:
        raise ConfigError(f"{file}: {alone[0]} has no link. Hint: name it in section [links], or take it out of section [nodes]")
    return links
