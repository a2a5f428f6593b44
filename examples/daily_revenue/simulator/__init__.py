"""The services of the pipeline on loopback: the same paths, credentials and errors.

::

    with Simulator() as sim:
        os.environ.update(sim.environment(folder))   # base URLs and credentials
        ...
        sim.counts()                                 # every act that was received

``python -m simulator --help`` runs it as a process of its own.
"""

from .server import Simulator as Simulator
