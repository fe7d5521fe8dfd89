"""The gateway on real PostgreSQL when many posts come at once, and when the mapping changes meanwhile."""

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from leadapp.deliveries.models import Delivery, DeliveryState, Kind
from leadapp.errors import PermanentError
from leadapp.extensions import db
from leadapp.leads import duplicates, intake, mapping_file, rechecking
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.reading import Posted
from tests.factories import the_row
from tests.services.test_outbox_postgresql import at_once
from tests.test_gateway_pipeline import GOOD, a_gateway, answered

POOL = {"pool": 1, "destination_cap": 1000}


def many(app, form, payloads, **posted):
    """Accept these at once, eight at a time. Returns the leads' ids in order."""
    form_id = form.id
    db.session.rollback()

    def accept(payload):
        with app.app_context():
            try:
                post = Posted(payload=payload, raw=json.dumps(payload).encode(), sender="flat", **posted)
                return intake.accept(db.session.get_one(Form, form_id), post, "webhook").lead_id
            finally:
                db.session.remove()

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(accept, payloads))


def count(*conditions) -> int:
    return db.session.scalar(select(func.count()).select_from(Delivery).where(*conditions))


def test_a_hundred_posts_of_one_lead_make_one_set_of_deliveries(pg_app):
    app = pg_app()
    form = a_gateway()
    assert len(set(many(app, form, [GOOD] * 100))) == 100
    assert (count(), len(set(db.session.scalars(select(Delivery.lead_id))))) == (3, 1)
    firsts = db.session.scalars(select(Lead.id).where(Lead.duplicate_of_id.is_(None))).all()
    assert len(firsts) == 1


def test_fifty_posts_with_one_idempotency_key_make_one_lead(pg_app):
    app = pg_app()
    form = a_gateway()
    assert len(set(many(app, form, [GOOD] * 50, idempotency_key="k1"))) == 1
    assert (db.session.scalar(select(func.count()).select_from(Lead)), count()) == (1, 3)


def test_twenty_posts_of_one_person_go_to_the_customer_once(pg_app):
    app = pg_app()
    form = a_gateway()
    many(app, form, [GOOD | {"message": f"call me at {hour}"} for hour in range(20)])
    sent = count(Delivery.kind == Kind.CRM, Delivery.state == DeliveryState.PENDING)
    spared = count(Delivery.kind == Kind.CRM, Delivery.state == DeliveryState.CANCELLED)
    assert (sent, spared, count(Delivery.kind == Kind.EMAIL)) == (1, 19, 20)
    linked = Counter(db.session.scalars(select(Lead.same_person_as_id)))
    assert sorted(linked.values()) == [1, 19]


def test_posts_that_share_contents_and_people_crosswise_do_not_deadlock(pg_app):
    app = pg_app()
    form = a_gateway(person_keys=["email"])
    payloads = [GOOD | {"email": f"{n % 3}@x.example", "message": str(n % 4)} for n in range(48)]
    assert len(set(many(app, form, payloads))) == 48
    assert count(Delivery.kind == Kind.CRM, Delivery.state == DeliveryState.PENDING) == 3
    assert count(Delivery.kind == Kind.EMAIL) == 12


def test_two_who_press_send_anyway_at_once_send_it_once(pg_app):
    app = pg_app()
    form = a_gateway()
    _, second = many(app, form, [GOOD]) + many(app, form, [GOOD | {"message": "again"}])
    db.session.rollback()
    pressed = at_once(app, *[lambda: duplicates.send_to_customer_anyway(second, "owner")] * 4)
    assert sorted(len(ids) for ids in pressed) == [0, 0, 0, 1]


def test_many_who_run_todays_rules_at_once_make_one_new_row(pg_app):
    app = pg_app()
    form = a_gateway(person_keys=[])  # nothing but the lead itself makes them wait for each other
    (lead_id,) = many(app, form, [GOOD])
    answered(the_row(db.session.get_one(Lead, lead_id), Kind.CRM), PermanentError("no", status_code=422))
    db.session.rollback()
    applied = at_once(app, *[lambda: rechecking.apply_again(lead_id, "owner")] * 6)
    assert sorted(len(one.planned) for one in applied) == [0, 0, 0, 0, 0, 1]
    assert count(Delivery.kind == Kind.CRM, Delivery.state != DeliveryState.CANCELLED) == 1


def test_a_mapping_that_changes_while_leads_flow_loses_none_and_makes_each_body_whole(pg_app, tmp_path, monkeypatch):
    monkeypatch.setattr(mapping_file, "LOOK_SECONDS", 0.01)
    file = tmp_path / "mapping.json"
    texts = {f"to_{name}": f'{{"to_{name}": {{"from": "email"}}, "end_{name}": {{"from": "phone"}}}}' for name in "abc"}
    file.write_text(texts["to_a"])
    app = pg_app(attribute_mapping_path=str(file))
    form = a_gateway()
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for text in (*texts.values(), '{"broken": '):
                time.sleep(0.05)
                file.write_text(text)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        ids = many(app, form, [GOOD | {"email": f"{number}@x.example"} for number in range(150)])
    finally:
        stop.set()
        writer.join()
    rows = db.session.execute(
        select(Delivery.lead_id, Delivery.payload, Delivery.mapping_version).where(Delivery.kind == Kind.CRM)
    ).all()
    broken = db.session.execute(select(Lead.status, Lead.problems).where(Lead.status == LeadStatus.RECEIVED)).all()
    assert broken == []
    assert Counter(row.lead_id for row in rows) == Counter(ids)
    made = {(tuple(json.loads(row.payload)), row.mapping_version) for row in rows}
    assert {names for names, _ in made} <= {(f"to_{name}", f"end_{name}") for name in "abc"}
    assert len({version for _, version in made}) == len(made) > 1
