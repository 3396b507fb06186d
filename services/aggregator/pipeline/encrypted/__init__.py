"""A round of encrypted reports, once it has closed: its sum is offered to the silos, decrypted by them, settled on."""
