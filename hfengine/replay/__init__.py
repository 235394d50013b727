"""Sessions looked at afterwards: run again from their journal, explained, bundled."""
