"""On real tickets, through all that is served: what may not matter does not, what is new is found, words are telling."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import numpy as np
import pytest

from models.confidence.answer_sets import MANY
from models.suggest import Suggester
from tickets.records import Suggestion
from tickets.words import STOP
