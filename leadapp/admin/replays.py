"""Send again, many at a set rate: the list, what each one does, and the buttons that pause, resume and stop it."""

from typing import Any

from flask import abort, flash, g, redirect, request, url_for
from flask_admin import expose
from markupsafe import Markup
from sqlalchemy import select

from leadapp.accounts import guard
from leadapp.admin import replay_new, sending, showing
from leadapp.admin.listing import DeskView
from leadapp.admin.showing import plural
from leadapp.deliveries import replay, replay_run, words
from leadapp.deliveries.models import Destination, Replay, ReplayState
from leadapp.deliveries.replay_choice import Selection, What
from leadapp.errors import TransitionError
from leadapp.extensions import db
from leadapp.leads.models import Form

LATEST = 50
AT_A_PRESS = 1  # batches that whoever presses a button waits for; the clock takes the rest
STATE_WORDS = {
    ReplayState.RUNNING: words.Words("being sent", words.WAITING, "wait"),
    ReplayState.PAUSED: words.Words("paused", words.ON_HOLD, "hold"),
    ReplayState.DONE: words.Words("all let go", words.SENT, "good"),
    ReplayState.STOPPED: words.Words("stopped", words.NOTHING, "muted"),
}
CHANGES = {"pause": replay.pause, "resume": replay.resume, "stop": replay.stop}
SAID = {
    "pause": "Paused. Nothing more goes out until somebody presses Resume.",
    "resume": "It goes on.",
    "stop": "Stopped. What was left needs you again, as before.",
}


def _state(_view: Any, _context: Any, row: Replay, _name: str) -> Markup:
    return showing.badge(STATE_WORDS[row.state])


def _how_far(_view: Any, _context: Any, row: Replay, _name: str) -> str:
    return sentence(row, g.progress[row.id])


def _subject(_view: Any, _context: Any, row: Replay, _name: str) -> Markup:
    return Markup('<span class="breakable">{}</span>').format(subject(row))


class ReplayView(DeskView):
    """What was refused, sent again."""

    access = guard.SENDERS
    title = "Send again"
    list_template = "admin/replays.html"
    intro = "What was refused or rejected, sent again after you put it right: many at once, at a set rate."
    create_words = "Send many again"
    empty_title = "Nothing was sent again in numbers yet"
    empty_words = "When a receiver refused many leads and works again, send them all from here, as fast as it can take."
    can_create = True
    column_list = ("asked_at", "selection", "state", "total", "asked_by")
    column_labels = {"asked_at": "Asked", "selection": "What", "total": "How far", "asked_by": "By"}
    column_sortable_list = ()
    column_default_sort = ("id", True)
    column_formatters = {
        "asked_at": lambda _v, _c, row, _n: showing.when(row.asked_at),
        "selection": _subject,
        "state": _state,
        "total": _how_far,
    }
    link_column = 1

    def get_list(self, page: int | None, *args: Any, **kwargs: Any) -> Any:
        count, rows = super().get_list(page, *args, **kwargs)
        g.progress = replay.progress_of(rows)
        return count, rows

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Any:
        """Look first, then start; who changed something after looking looks once more."""
        ids = sending.uuids(request.form.getlist("rowid"))
        form = replay_new.asked(ids=ids)
        if request.method == "GET":
            form.what.data = request.args.get("what") or None
            return replay_new.page(form)
        if not form.validate():
            return replay_new.page(form, ids=ids)
        seen = replay_new.look(form, ids)
        if request.form.get("confirmed") != "yes" or request.form.get("mark") != seen.mark or not seen.may_start:
            return replay_new.page(form, seen, ids)
        selection = form.selection(ids, replay_new.code())
        number = replay.start(selection, guard.actor(), per_minute=form.per_minute.data, is_anew=form.is_anew)
        replay_run.step(number, AT_A_PRESS)
        many = "What passes is" if seen.preview.unseen else seen.how_many(seen.preview.count)
        flash(f"{many} put in line.", "success")
        return redirect(url_for("replays.details_view", id=number), 303)

    @expose("/details/")
    def details_view(self) -> Any:
        row: Replay = self.details_row()
        done = replay.progress(row)
        return self.render(
            "admin/replay.html",
            row=row,
            done=done,
            subject=subject(row),
            sentence=sentence(row, done),
            waits=replay_new.waits(replay.waiting_for(row)) if row.state is ReplayState.RUNNING else [],
            why=row.selection.get("why", {}),
            state=STATE_WORDS[row.state],
            most=replay.MOST_PER_MINUTE,
        )

    @expose("/do/<verb>", methods=("POST",))
    def change(self, verb: str) -> Any:
        """Pause, resume, stop, or another rate."""
        row: Replay = self.get_one(request.form.get("id", "")) or abort(404)
        number = row.id
        if verb == "rate":
            per_minute = request.form.get("per_minute", type=int) or 0
            if 1 <= per_minute <= replay.MOST_PER_MINUTE:
                replay.change_rate(number, per_minute, guard.actor())
                flash(f"From now on {per_minute:,} a minute.", "success")
            else:
                flash(f"Give a number from 1 to {replay.MOST_PER_MINUTE:,}.", "error")
            return self._back(number)
        operate = CHANGES.get(verb) or abort(404)
        try:
            operate(number, guard.actor())
            replay_run.step(number, AT_A_PRESS)
            flash(SAID[verb], "success")
        except TransitionError:
            flash("It is over already.", "info")
        return self._back(number)

    def _back(self, number: int) -> Any:
        return redirect(url_for("replays.details_view", id=number), 303)


def running() -> list[tuple[Replay, str]]:
    """Those that are not over, each in a sentence; for the work list."""
    query = select(Replay).where(Replay.state.in_((ReplayState.RUNNING, ReplayState.PAUSED))).order_by(Replay.id)
    rows = db.session.scalars(query.limit(LATEST)).all()
    done = replay.progress_of(rows)
    return [(row, f"{subject(row)}: {sentence(row, done[row.id])}") for row in rows]


def sentence(row: Replay, done: replay.Progress) -> str:
    """`120 of 400 sent, 60 a minute, about 5 minutes left`."""
    parts = [f"{done.sent:,} of {done.taken:,} sent"]
    if done.refused:
        parts.append(f"{done.refused:,} not taken again")
    if done.underway:
        parts.append(f"{done.underway:,} on their way")
    if done.called_off:
        parts.append(f"{done.called_off:,} called off")
    if row.state is ReplayState.RUNNING:
        parts.append(f"{row.per_minute:,} a minute")
        parts.append(
            f"about {words.span(done.left)} left" if row.selection["is_gathered"] else "still being put in line"
        )
    return ", ".join(parts)


def subject(row: Replay) -> str:
    """What it is about, in words: `what Zapier did not take since 22 Nov 2026, 10:00 UTC`."""
    chosen = Selection.read(row.selection["chosen"])
    since = f" since {chosen.since:%d %b %Y, %H:%M} UTC" if chosen.since else ""
    if chosen.what is What.DESTINATION:
        found = db.session.get(Destination, chosen.destination_id)
        answer = f" with the answer {chosen.code}" if chosen.code is not None else ""
        return f"what {found.name if found else 'a destination'} did not take{answer}{since}"
    if chosen.what is What.FORM:
        form = db.session.get(Form, chosen.form_id)
        return f"leads of {form.name if form else 'a form'} that its rules rejected{since}"
    return plural(len(chosen.ids), "chosen rejected lead" if chosen.is_of_leads else "chosen row")
