"""Reviewing a review: a checklist without opinion, reviewers with measured agreement, a test that they notice."""
