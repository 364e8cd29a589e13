"""From a feed to a growing log of counts, live: feeds on a clock, the ledger of what arrived, the engine."""
