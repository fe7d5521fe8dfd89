"""The admin: Flask-Admin views, one file a domain, behind one guard."""
