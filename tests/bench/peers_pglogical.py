"""pglogical, one way, with its defaults."""

from __future__ import annotations

from bench.bed import TABLE, Bed, Holdable, await_true

TRUSTED = "select 1 where current_setting('output_plugin_libraries') ~ 'pglogical'"


class Pglogical(Holdable):
    def __init__(self, bed: Bed, database: str = "of_pglogical") -> None:
        super().__init__(bed, database)
        for node in self.nodes:
            if node.sql("select 1 from pg_settings where name = 'output_plugin_libraries'"):  # newer minor versions want it
                node.sql("alter system set output_plugin_libraries = 'pgoutput', 'pglogical_output'")
                node.sql("select pg_reload_conf()")
                await_true("the server trusts pglogical", lambda node=node: node.sql(TRUSTED))
            node.sql("create extension pglogical")
            node.sql(TABLE.format(name="items"))
            node.sql("select pglogical.create_node(node_name := %s, dsn := %s)", [node.name, node.conninfo])
        self.source.sql("select pglogical.replication_set_add_table('default', 'items')")
        self.target.sql(
            "select pglogical.create_subscription(subscription_name := 's', provider_dsn := %s, synchronize_data := false)",
            [self.source.conninfo],
        )
        self.state("replicating")

    def state(self, wanted: str) -> None:
        query = "select 1 from pglogical.show_subscription_status('s') where status = %s"
        await_true(f"it is {wanted}", lambda: self.target.sql(query, [wanted]))

    def release(self) -> None:
        self.target.sql("select pglogical.alter_subscription_enable('s')")

    def hold(self) -> None:
        self.target.sql("select pglogical.alter_subscription_disable('s')")
        await_true("it is off", lambda: not self.source.sql("select 1 from pg_replication_slots where active"))

    def drop(self) -> None:
        self.target.sql("select pglogical.drop_subscription('s')")
        super().drop()

    def began(self) -> float:
        query = """select extract(epoch from a.backend_start) as at
            from pg_replication_slots s join pg_stat_activity a on a.pid = s.active_pid"""
        return float(await_true("it streams", lambda: self.source.sql(query))[0]["at"])

    def settle(self) -> None:
        at = self.source.sql("select pg_current_wal_insert_lsn()::text as at")[0]["at"]
        self.source.sql("select pg_logical_emit_message(true, 'bench', '')")
        query = "select 1 from pg_replication_slots where confirmed_flush_lsn >= %s::pg_lsn"
        await_true("the slot has confirmed all", lambda: self.source.sql(query, [at]))
