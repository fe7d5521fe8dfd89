"""Leads: forms, intake, and the jobs that deliver a lead."""
