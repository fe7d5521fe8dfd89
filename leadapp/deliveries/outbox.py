"""x"""
ON_CHANGE: list = []
