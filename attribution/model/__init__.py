"""One model of counts and response, run three ways: fast fit, live monitor, full posterior."""
