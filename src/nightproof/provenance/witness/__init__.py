"""What an attempt really read: files, folders, variables, hosts and programs."""

from nightproof.provenance.witness.levels import BLIND as BLIND
from nightproof.provenance.witness.levels import level as level
from nightproof.provenance.witness.reads import Read as Read
from nightproof.provenance.witness.reads import Witnessed as Witnessed
from nightproof.provenance.witness.reads import decoded as decoded
from nightproof.provenance.witness.reads import reads_of as reads_of
from nightproof.provenance.witness.reads import witnessed as witnessed
