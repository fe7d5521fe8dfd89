"""The Flask extensions that only requests need, as bare objects; `app.create_app` binds them to an application."""

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect

csrf = CSRFProtect()
# get_remote_address reads what ProxyFix made of TRUSTED_PROXY_HOPS, never a header by itself.
limiter = Limiter(key_func=get_remote_address)
