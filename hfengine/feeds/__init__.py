"""Where market data comes from: recordings (`replay`) and a seeded market (`synthetic`)."""
