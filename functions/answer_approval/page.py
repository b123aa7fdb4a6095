"""The pages that a link of an approval e-mail shows: plain HTML without scripts."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Any

from functions.shared.approval_record import APPROVED, REJECTED, Decision, Question

TITLES = {APPROVED: "Approve this model?", REJECTED: "Reject this model?"}
BUTTONS = {APPROVED: "Approve", REJECTED: "Reject"}

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # The address holds the key: it must stay out of caches and of the addresses that browsers pass on.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; color: #1a1a1a }
dt { font-weight: 600 } dd { margin: 0 0 .6rem; overflow-wrap: anywhere }
label { display: block; margin: .8rem 0 } input, textarea { display: block; width: 100%; font: inherit; padding: .3rem }
button { font: inherit; padding: .5rem 1.5rem; margin-top: .5rem }
</style>
<h1>$title</h1>
$content
</html>
""")

# Without an action the form goes to the page's own address, key included.
FORM = Template("""<dl>$facts</dl>
<form method="post">
<label>Your name, kept with the model <input name="name" required maxlength="$longest_name" autocomplete="name"></label>
<label>Reason (optional) <textarea name="reason" rows="3" maxlength="$longest_reason"></textarea></label>
<button>$button</button>
</form>""")


def answer(status: int, title: str, content: str) -> dict[str, Any]:
    """Return a response; `content` is HTML, or a text of this program's own."""
    body = PAGE.substitute(title=escape(title), content=content if content.startswith("<") else f"<p>{escape(content)}")
    return {"statusCode": status, "headers": HEADERS, "body": body}


def form(question: Question, status: str, longest_name: int, longest_reason: int) -> str:
    """Show what is asked, and the button that answers."""
    facts = "".join(f"<dt>{escape(name)}<dd>{escape(value)}" for name, value in question.facts.items())
    return FORM.substitute(
        facts=facts, button=BUTTONS[status], longest_name=longest_name, longest_reason=longest_reason
    )


def decided(decision: Decision) -> str:
    """Say what was decided, and what comes of it."""
    after = "The run goes on." if decision.status == APPROVED else "The run ends; the endpoint keeps its model."
    return f"<p>{escape(decision.sentence())}.<p>{after}"
