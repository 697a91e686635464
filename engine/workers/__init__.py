"""Several processes that train one run: who they are, what connects them, and what they do together.

  Cluster      who they are, read from TF_CONFIG (cluster.py)
  partners     which of them are connected: few of many (tree.py)
  Links        the sockets between them (links.py)
  Heartbeat    finds a partner that is silent (heartbeat.py)
  Collectives  sums, gathering and broadcasts of NumPy arrays over links (collectives.py)
  Workers      what the engine sees: one alone, or several (workers.py)
  Part         which part of a batch is a worker's (part.py)
"""
