"""The log-in and change-password forms, in our words."""

from typing import Any

from flask_security.forms import ChangePasswordForm as SecurityChangePasswordForm
from flask_security.forms import LoginForm as SecurityLoginForm
from wtforms import BooleanField, EmailField, PasswordField, SubmitField
from wtforms.validators import DataRequired, EqualTo, Length

from leadapp.accounts import people
from leadapp.accounts.guard import is_safe_next

REFUSED = "The e-mail address or the password is not right."
SHORTEST_PASSWORD = 10


class LoginForm(SecurityLoginForm):
    """One sentence for every refusal, so that nobody learns who has an account."""

    email = EmailField(
        "E-mail",
        validators=[DataRequired("Enter your e-mail address.")],
        render_kw={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField(
        "Password",
        validators=[DataRequired("Enter your password."), Length(max=1000, message="That is too long.")],
        render_kw={"autocomplete": "current-password"},
    )
    remember = BooleanField("Stay logged in on this device")
    submit = SubmitField("Log in")

    def validate(self, **kwargs: Any) -> bool:
        if not is_safe_next(self.next.data or ""):
            self.next.data = ""
        # Our own lookup: the library's refuses addresses that only exist on an inner network.
        self.ifield = self.email
        self.user = people.find(self.email.data or "")
        if super().validate(**kwargs):
            return True
        if self.email.data and self.password.data and not self.csrf_token.errors:
            self.email.errors, self.password.errors = [], []
            self.form_errors = [REFUSED]
        return False


class ChangePasswordForm(SecurityChangePasswordForm):
    password = PasswordField("Password now", render_kw={"autocomplete": "current-password"})
    new_password = PasswordField(
        "New password",
        validators=[
            DataRequired("Enter a new password."),
            Length(min=SHORTEST_PASSWORD, max=1000, message=f"Use at least {SHORTEST_PASSWORD} characters."),
        ],
        render_kw={"autocomplete": "new-password"},
    )
    new_password_confirm = PasswordField(
        "New password again",
        validators=[EqualTo("new_password", message="The two new passwords differ.")],
        render_kw={"autocomplete": "new-password"},
    )
    submit = SubmitField("Change password")
