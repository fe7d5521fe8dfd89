"""What to paste where: plain HTML, a script, and the site builders that people use. Pure."""

from dataclasses import dataclass
from html import escape

FETCH = """<script>
document.querySelector("#contact").addEventListener("submit", async (event) => {{
  event.preventDefault();
  const form = event.target;
  const answer = await fetch("{address}", {{
    method: "POST",
    headers: {{ Accept: "application/json" }},
    body: new FormData(form),
  }});
  const said = await answer.json();
  if (said.ok) {{ form.replaceWith(said.message); }} else {{ alert(said.message); }}
}});
</script>"""
CONTACT_FORM_7 = """// In your child theme's functions.php, or in a plug-in for code snippets
add_filter( 'wpcf7_form_action_url', fn() => '{address}' );
add_filter( 'wpcf7_load_js', '__return_false' ); // or Contact Form 7 sends the form itself"""


FRAME = '<iframe src="{address}" title="{title}" width="100%" height="700" style="border: 0"></iframe>'


@dataclass(frozen=True)
class Snippet:
    """One way to connect a site: what it is for, how to do it, what to paste."""

    name: str
    title: str
    steps: str
    text: str


def snippets(address: str, html: str, title: str) -> list[Snippet]:
    """Every way for the form at this address; `html` is its plain form, `title` what people call it."""
    framed = html.replace("<form ", '<form target="_top" ', 1)
    return [
        Snippet(
            "html",
            "Plain HTML",
            "Paste this where the form should stand, and style it as you like. It works without JavaScript.",
            html,
        ),
        Snippet(
            "frame",
            "Our page with the form, in a frame or as a link",
            "The form's address is a page that holds it already: link to it, or paste this where it should stand.",
            FRAME.format(address=address, title=escape(title)),
        ),
        Snippet(
            "fetch",
            "A script (fetch)",
            "Give your form the id “contact” and put this below it. The visitor stays on the page.",
            FETCH.format(address=address),
        ),
        Snippet(
            "wordpress",
            "WordPress, block editor",
            "Add a block “Custom HTML” where the form should stand, and paste this.",
            html,
        ),
        Snippet(
            "contact-form-7",
            "WordPress, Contact Form 7",
            "Your forms stay as they are: your-name, your-email and your-message are understood.",
            CONTACT_FORM_7.format(address=address),
        ),
        Snippet(
            "webflow",
            "Webflow",
            "Select the form, open its settings, choose Send to: Custom action, method POST, and paste this as the "
            "action. Give the fields the names name, email and message.",
            address,
        ),
        Snippet(
            "squarespace",
            "Squarespace",
            "Edit the page, add a block “Code”, choose HTML, and paste this.",
            html,
        ),
        Snippet(
            "wix",
            "Wix",
            "Add, Embed code, Embed HTML; choose Code and paste this. Draw the frame tall enough for the form.",
            framed,
        ),
    ]
