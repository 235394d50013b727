"""The whole engine against the exchange core, with a seeded network and faults between them."""
