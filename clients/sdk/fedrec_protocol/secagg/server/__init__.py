"""The server's side of a round: pure functions from accepted messages to what is published next.

`roster.check_advert` and `build_roster`, `sharing.check_shares` and `inbox_of`, `survivors.freeze_survivors`,
`acknowledgements.check_acknowledgement` and `acknowledgements_for`, `reveals.check_reveal`, `unmasking.recover_masks`
and `unmask`. The caller stores accepted messages, freezes each set before it publishes it, and deletes everything
when the round closes.
"""
