"""What a session of migrations is set to, and is set to again for each revision: none knows of the one before."""

from __future__ import annotations

import shlex

from alembic import context

from rowferry.config import ConfigError

FORCE = "rowferry.force"
# A migration takes as long as it takes; what limits users' sessions is not meant for it.
UNLIMITED = (
    "statement_timeout",
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
)
# Nothing that somebody else made in a schema of the session's search_path is taken for PostgreSQL's own; and whatever a database
# or a role has set, the files are read alike, and what PostgreSQL notes of their functions is written alike.
PINNED = {
    "client_encoding": "'UTF8'",
    "search_path": "pg_catalog, pg_temp",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
}
PIN = "\n".join(f"set {name} = {value};" for name, value in PINNED.items())
OURS = f"""reset session authorization;
reset role;
reset all;
{PIN}
do $rowferry$
begin
  perform set_config(s.name, '0', false) from pg_settings s where s.name in ({", ".join(f"'{name}'" for name in UNLIMITED)});
  begin
    perform set_config('client_connection_check_interval', '2s', false);
  exception when invalid_parameter_value then
    null;  -- not on every platform
  end;
end
$rowferry$;"""

# A printed script's session, between the parts that a guard has let go on.
READ_ONLY = "set default_transaction_read_only = on;"


def option(name: str) -> str:
    """An option of the ini file's section, which is the lineage."""
    config = context.config
    value = config.get_section_option(config.config_ini_section, name)
    if not value:
        section = f"section [{config.config_ini_section}]"
        raise ConfigError(f"{config.config_file_name}: {section} has no {name}. Hint: see rowferry's own alembic.ini")
    return value


def seconds(name: str) -> float:
    """An option that is a number of seconds."""
    try:
        return float(option(name))
    except ValueError:
        raise ConfigError(
            f"{context.config.config_file_name}: {name} = {option(name)} is no number of seconds. Hint: {name} = 60"
        ) from None


def alembic() -> str:
    """The command as it was typed, with the ini file where it is not the one of this folder."""
    path = getattr(context.config.cmd_opts, "config", None)
    named = path[0] if isinstance(path, list) and path else path
    return f"alembic -c {shlex.quote(named)}" if named and named != "alembic.ini" else "alembic"


def forced() -> bool:
    """Whether -x force=true lets a downgrade give up events that are not delivered."""
    return "force=true" in context.get_x_argument()


def of_a_revision() -> str:
    """What a revision of this lineage begins with: rowferry's own with its search_path, the site's with that of its user."""
    lines = [OURS]
    if context.is_offline_mode():
        lines.append(READ_ONLY)
    if option("lineage") != "core":
        lines.append("reset search_path;")
    lines.append(f"set lock_timeout = '{option('lock_timeout')}';")
    if forced():
        lines.append(f"set {FORCE} = 'on';")
    return "\n".join(lines) + "\n"
