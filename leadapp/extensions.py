"""The Flask extensions that web and workers share, as bare objects; `desk.create_desk` binds them to an application."""

from typing import TYPE_CHECKING

from flask_mail import Mail
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The declarative base; named constraints let Alembic change them on SQLite too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# What was loaded stays readable after a commit: workers send with the connection given back.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
mail = Mail()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model
