"""Participants who mean harm, one way of doing it per file."""
