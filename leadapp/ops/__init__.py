"""Operations: health, logs, heartbeats."""
