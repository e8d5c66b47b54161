"""What helps those who annotate and train: what a corpus holds, a config for it, what may be wrong with it, and which
texts to annotate next.
"""

from .entities import Found, read_with, sample
from .plan import Plan, make_plan
from .profile import Profile, profile, words_of
from .reach import Reach, choose_candidates, measure_reach

__all__ = [
    "Found",
    "Plan",
    "Profile",
    "Reach",
    "choose_candidates",
    "make_plan",
    "measure_reach",
    "profile",
    "read_with",
    "sample",
    "words_of",
]
