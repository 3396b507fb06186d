"""Where the participants of a round are computed: in this process, or on Ray."""
