"""A fictional ride-and-delivery company, its customers and its agents: tickets without end, and the truth about each.

catalogue.py   contact types and reply templates, read from phrases/*.toml and replies/*.toml
customers.py   who writes
grammar.py     phrases with choices and slots
language.py    how people talk, read from languages/*.toml
writing.py     a ticket's text; noise.py spoils it
agents.py      how agents resolve tickets, mislabel them, and treat suggestions
events.py      what changes along the way
stream.py      the days, seeded; history.py writes them as a helpdesk export
"""

from tickets.simulate.agents import AgentAction, respond
from tickets.simulate.catalogue import contact_type_tree, reply_templates
from tickets.simulate.events import Event, label_mix_change, new_product, outage, wording_change
from tickets.simulate.history import write_history
from tickets.simulate.stream import SimulatedDay, SimulatedTicket, SimulationConfig, simulate

__all__ = [
    "AgentAction",
    "Event",
    "SimulatedDay",
    "SimulatedTicket",
    "SimulationConfig",
    "contact_type_tree",
    "label_mix_change",
    "new_product",
    "outage",
    "reply_templates",
    "respond",
    "simulate",
    "wording_change",
    "write_history",
]
