"""What is done to the words of one ticket: cleaning, masking, signatures. Pure; the service calls the same."""
