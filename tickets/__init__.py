"""The words: tickets, contact types, outcomes, and where they are kept. Imports no other package of ours."""
