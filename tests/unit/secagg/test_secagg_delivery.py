"""Messages arrive twice, late and in any order, and the server restarts between any two of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import BaseModel

from fedrec_protocol.secagg.descriptor import RoundDescriptor
from fedrec_protocol.secagg.errors import Rejected
from fedrec_protocol.secagg.messages import Acknowledgement, Advert, Reveal, Roster, Shares, Survivors
from fedrec_protocol.secagg.packing import unpack
from fedrec_protocol.secagg.participant import join, load, save
from fedrec_protocol.secagg.roster import build_roster, check_advert
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.reveals import Sets, check_reveal
from fedrec_protocol.secagg.server.sharing import check_shares, inbox_of
from fedrec_protocol.secagg.server.survivors import acknowledgements_for, check_acknowledgement, freeze_survivors
from fedrec_protocol.secagg.server.unmasking import recover_masks, unmask
from tests.unit.secagg.secagg_round import (
    REGISTRY,
    SERVER,
    Stream,
    descriptor,
    device,
    public,
    reported,
    signed,
    sum_of,
    terms,
    vector_of,
)

M = TypeVar("M", bound=BaseModel)
COUNT = 6


class Database:
    """All that survives a restart: rows of bytes, written once."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}

    def insert(self, table: str, key: str, value: bytes) -> None:
        """The same row again changes nothing; another value under its key is a conflict."""
        assert self.rows.setdefault((table, key), value) == value, f"conflicting {table} of {key}"

    def table(self, table: str, kind: type[M]) -> dict[str, M]:
        return {key: kind.model_validate_json(row) for (t, key), row in self.rows.items() if t == table}


class Server:
    """A process without memory: everything is read from the database for each message."""

    def __init__(self, db: Database) -> None:
        self.db = db

    @property
    def stated(self) -> RoundDescriptor:
        return self.db.table("descriptor", RoundDescriptor)["round"]

    @property
    def rostered(self) -> RosteredRound:
        return RosteredRound(self.stated, self.db.table("roster", Roster)["round"].adverts)

    def by_position(self, table: str, kind: type[M]) -> dict[int, M]:
        return {self.rostered.position_of(name): row for name, row in self.db.table(table, kind).items()}

    def put_advert(self, name: str, body: str) -> None:
        check_advert(Advert.model_validate_json(body), self.stated.round_id, public(REGISTRY))
        self.db.insert("advert", name, body.encode())

    def put_shares(self, name: str, body: str) -> None:
        check_shares(self.rostered, self.rostered.position_of(name), Shares.model_validate_json(body))
        self.db.insert("shares", name, body.encode())

    def post_report(self, name: str, body: bytes) -> None:
        self.db.insert("report", name, body)

    def put_ack(self, name: str, body: str) -> None:
        survivors = self.db.table("survivors", Survivors)["round"].survivors
        position = self.rostered.position_of(name)
        check_acknowledgement(self.rostered, position, Acknowledgement.model_validate_json(body), survivors)
        self.db.insert("ack", name, body.encode())

    def put_reveal(self, name: str, body: str) -> None:
        position, reveal = self.rostered.position_of(name), Reveal.model_validate_json(body)
        check_reveal(self.rostered, position, reveal, self.sets, self.by_position("shares", Shares))
        self.db.insert("reveal", name, body.encode())

    @property
    def reports(self) -> dict[int, bytes]:
        return {self.rostered.position_of(name): row for (t, name), row in self.db.rows.items() if t == "report"}

    @property
    def sets(self) -> Sets:
        survivors = self.db.table("survivors", Survivors)["round"].survivors
        sharers = frozenset(self.by_position("shares", Shares))
        return Sets(sharers, self.rostered.read_set(survivors), survivors)

    def close_advertising(self) -> None:
        roster = build_roster(self.stated, self.db.table("advert", Advert).values(), SERVER)
        self.db.insert("roster", "round", roster.model_dump_json().encode())

    def close_reporting(self) -> None:
        sharers = frozenset(self.by_position("shares", Shares))
        survivors = freeze_survivors(self.rostered, sharers, frozenset(self.reports), SERVER)
        self.db.insert("survivors", "round", survivors.model_dump_json().encode())

    def sum(self) -> NDArray[np.int64]:
        shares = self.by_position("shares", Shares)
        reveals = self.by_position("reveal", Reveal)
        checked = [check_reveal(self.rostered, p, reveal, self.sets, shares) for p, reveal in reveals.items()]
        total: NDArray[np.uint64] = np.sum(
            [unpack(body, self.stated.grid) for body in self.reports.values()], axis=0, dtype=np.uint64
        )
        return unmask(total, recover_masks(self.rostered, self.sets, checked), self.stated.grid)


class Phone:
    """A participant that saves before it sends and forgets everything else."""

    def __init__(self, name: str, stated: RoundDescriptor) -> None:
        self.name, self.device, self.entropy = name, device(name), Stream(name)
        joined = join(signed(stated), self.device, terms(), self.entropy)
        self.saved, self.advert = save(joined), joined.answer.model_dump_json()

    def step(self, method: str, *arguments: Any) -> Any:
        state = getattr(load(self.saved), method)(*arguments)
        state, body = state if isinstance(state, tuple) else (state, state.answer.model_dump_json())
        self.saved = save(state)
        return body


def test_a_late_report_is_in_no_frozen_set_and_changes_no_sum() -> None:
    this = reported(8)
    late = this.bodies.pop(7)
    this.acknowledge()
    this.reveal()
    total = this.sum()
    np.testing.assert_array_equal(total, sum_of(range(7)))
    with pytest.raises(Rejected, match="not-a-survivor"):
        this.accept_ack(7, this.acks[0])
    assert len(late) == len(this.bodies[0])


deliveries = st.permutations(range(2 * COUNT)).map(lambda order: [index % COUNT for index in order])
"""Every message twice, in any order."""


@given(st.tuples(*[deliveries] * 5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_sum_is_exact_in_any_order_with_every_message_twice_and_a_restart_before_each(
    orders: tuple[list[int], ...],
) -> None:
    stated, db = descriptor(), Database()
    db.insert("descriptor", "round", stated.model_dump_json().encode())
    phones = [Phone(f"phone-{index}", stated) for index in range(COUNT)]

    def deliver(order: list[int], put: Callable[[Server, str, Any], None], bodies: list[Any]) -> None:
        for index in order:
            put(Server(db), phones[index].name, bodies[index])

    deliver(orders[0], Server.put_advert, [phone.advert for phone in phones])
    Server(db).close_advertising()
    roster = db.table("roster", Roster)["round"]
    shares = [phone.step("on_roster", roster, phone.device.sign, phone.entropy) for phone in phones]
    deliver(orders[1], Server.put_shares, shares)
    server = Server(db)
    positions = [server.rostered.position_of(phone.name) for phone in phones]
    everybodys = server.by_position("shares", Shares)
    inboxes = [inbox_of(server.rostered, position, everybodys) for position in positions]
    bodies = [
        phone.step("on_inbox", inbox, vector_of(position))
        for phone, inbox, position in zip(phones, inboxes, positions, strict=True)
    ]
    deliver(orders[2], Server.post_report, bodies)
    Server(db).close_reporting()
    survivors = db.table("survivors", Survivors)["round"]
    deliver(orders[3], Server.put_ack, [phone.step("on_survivors", survivors, phone.device.sign) for phone in phones])
    acks = server.by_position("ack", Acknowledgement)
    answers = [acknowledgements_for(server.rostered, position, acks) for position in positions]
    reveals = [
        phone.step("on_acknowledgements", answer, phone.device.sign)
        for phone, answer in zip(phones, answers, strict=True)
    ]
    deliver(orders[4], Server.put_reveal, reveals)
    np.testing.assert_array_equal(Server(db).sum(), sum_of(range(COUNT)))
