"""`rowferry demo`: two servers, crm and billing, whose tables and columns have other names."""

import time
from collections.abc import Sequence
from pathlib import Path

from rowferry.demo.children import DemoError
from rowferry.demo.run import Play, run
from rowferry.demo.screen import Node, Row, heading, say
from rowferry.demo.telling import WAITING, Telling
from rowferry.demo.worker import Worker

FOLDER = Path(__file__).resolve().parent
ACCOUNTS = "select id, name, plan from accounts order by id;"
CUSTOMERS = "select customer_id, title, plan from customers order by customer_id;"
CONTACTS = "select contact_id, customer_id, mail, full_name from contacts order by contact_id;"
USERS = "select id, account_id, email, name from users order by id;"
CONFLICTS = """\
select record_id, winner, rule, winner_row ->> 'name' as kept, loser_row ->> 'name' as given_up
from conflicts where entity = 'accounts';"""


def main(_: object) -> int:
    """The exit code of run()."""
    return run(Play("Two PostgreSQL servers, crm and billing", ("crm", "billing"), FOLDER, Story))


class Story(Telling):
    """Two nodes."""

    def __init__(self, nodes: Sequence[Node], worker: Worker) -> None:
        super().__init__(nodes, worker)
        self.crm, self.billing = nodes

    def tell(self) -> None:
        self.install()
        contacts = self.appear()
        self.cross()
        contacts = self.delete(contacts)
        self.wait_without_worker(contacts)
        self.conflict()
        self.status()

    def install(self) -> None:
        heading("Install rowferry on both, then the demo's own tables; start the worker")
        self.go_to("ROWFERRY_NODE_CRM", "ROWFERRY_NODE_BILLING")
        self.worker.command("alembic", "upgrade", "head")
        self.worker.command("alembic", "-n", "site", "upgrade", "head")
        say("crm's accounts and users are billing's customers and contacts, with other names for the columns:")
        say("each node attaches its two tables in sql/revisions.\n")
        self.worker.start()

    def appear(self) -> list[Row]:
        heading("Accounts and their users, made on crm, appear on billing")
        self.change(self.crm, "insert into accounts (name, plan) values ('Acme', 'free'), ('Globex', 'pro');", "INSERT 0 2")
        self.change(
            self.crm,
            "insert into users (account_id, email, name)\n"
            "values (1, 'ann@acme.test', 'Ann'), (1, 'bob@acme.test', 'Bob'), (3, 'hank@globex.test', 'Hank');",
            "INSERT 0 3",
        )
        contacts: list[Row] = [
            ("1", "1", "ann@acme.test", "Ann"),
            ("3", "1", "bob@acme.test", "Bob"),
            ("5", "3", "hank@globex.test", "Hank"),
        ]
        self.arrive(self.billing, CONTACTS, contacts)
        self.see(self.billing, CUSTOMERS, [("1", "Acme", "free"), ("3", "Globex", "pro")])
        return contacts

    def cross(self) -> None:
        heading("Changes cross from either side")
        self.change(self.crm, "update accounts set plan = 'team' where id = 1;", "UPDATE 1")
        self.change(self.billing, "update customers set title = 'Globex Ltd' where customer_id = 3;", "UPDATE 1")
        self.change(self.billing, "insert into customers (title) values ('Initech');", "INSERT 0 1")
        customers: list[Row] = [("1", "Acme", "team"), ("2", "Initech", "free"), ("3", "Globex Ltd", "pro")]
        self.arrive(self.crm, ACCOUNTS, customers)
        self.see(self.billing, CUSTOMERS, customers)

    def delete(self, contacts: list[Row]) -> list[Row]:
        heading("A delete takes the account's users along, on both")
        self.change(self.crm, "delete from accounts where id = 3;", "DELETE 1")
        left = contacts[:2]
        self.see(self.crm, USERS, left)
        self.arrive(self.billing, CONTACTS, left)
        self.see(self.billing, CUSTOMERS, [("1", "Acme", "team"), ("2", "Initech", "free")])
        return left

    def wait_without_worker(self, contacts: list[Row]) -> None:
        heading("Without the worker changes wait in sync_events; with it they go")
        self.settle()
        self.worker.stop()
        self.change(self.crm, "update users set name = 'Ann Lee' where id = 1;", "UPDATE 1")
        self.change(self.crm, "insert into users (account_id, email, name) values (1, 'cid@acme.test', 'Cid');", "INSERT 0 1")
        self.search_rowferry(self.crm)
        backlog: list[Row] = [("users", "1", "update"), ("users", "7", "insert")]
        answer = self.crm.type("select * from sync_events;")
        found = self.crm.rows(WAITING)
        if found != backlog or answer.count("users") != 2:
            raise DemoError(f"crm's backlog is not {backlog} but {found}")
        unchanged = self.billing.rows(CONTACTS)
        if unchanged != contacts:
            raise DemoError(f"billing, without a worker, is not {contacts} but {unchanged}")
        say()
        self.worker.start()
        self.changed_at = time.monotonic()
        self.arrive(self.crm, "select count(*) from sync_events;", [("0",)])
        self.see(
            self.billing,
            CONTACTS,
            [("1", "1", "ann@acme.test", "Ann Lee"), contacts[1], ("7", "1", "cid@acme.test", "Cid")],
        )

    def conflict(self) -> None:
        heading("A conflict: both sides change one account while they are apart")
        self.settle()
        self.worker.stop()
        self.change(self.crm, "update accounts set name = 'Acme Inc' where id = 1;", "UPDATE 1")
        self.change(self.billing, "update customers set title = 'Acme AG' where customer_id = 1;", "UPDATE 1")
        self.search_rowferry(self.billing)
        self.worker.start()
        say("The later change wins, on both; both keep the row that was given up.\n")
        for node in (self.crm, self.billing):
            self.until(node, "select count(*) from rowferry.conflicts", [("1",)])
        self.settle()
        accounts: list[Row] = [("1", "Acme AG", "team"), ("2", "Initech", "free")]
        decided: list[Row] = [("1", "billing", "newest", "Acme AG", "Acme Inc")]
        self.see(self.crm, ACCOUNTS, accounts)
        self.see(self.billing, CUSTOMERS, accounts)
        self.see(self.crm, CONFLICTS, decided)
        self.see(self.billing, CONFLICTS, decided)

    def status(self) -> None:
        heading("Where things stand")
        self.settle()
        state = "select peer, state, pending, held, courier is not null, reason from rowferry.status"
        for node, peer in ((self.crm, "billing"), (self.billing, "crm")):
            self.until(node, state, [(peer, "idle", "0", "0", "t", None)])
        answer = self.crm.type("select * from status;")
        if "idle" not in answer or "billing" not in answer:
            raise DemoError("crm's status does not say that the link to billing is idle")
        say()
