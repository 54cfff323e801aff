"""How a network is fitted: what it reads, one step, the loop around it, in one process or several."""
