"""What crosses the wire in a round, as JSON; the masked report itself is raw bytes (`packing`).

Requests are strict, answers ignore unknown fields. Lists over participants are blobs of fixed-size
entries in ascending roster position: smaller than JSON arrays, and with one spelling only.
"""

from fedrec_protocol.base import Message, Response
from fedrec_protocol.secagg.encoding import Blob, Bytes32, Signature, transcript

SEALED_BYTES = 12 + 2 * 33 + 16
"""Nonce, two shares, authentication tag."""
DIGEST_BYTES = 16
"""SHA-256, cut to 128 bits: enough against second preimages, and half of the upload."""
SIGNATURE_BYTES = 64
NO_SHARE = b"\xff" * 33
"""Stands for a share that the holder could not open; no field element is spelt like it."""


class DeviceCertificate(Message):
    """The device registry's word that a signing key belongs to an enrolled device."""

    client_id: str
    """The device, under the name that this task knows."""
    device_key: Bytes32
    """Its Ed25519 public key."""
    signature: Signature
    """The registry's."""

    def payload(self) -> bytes:
        """What the registry signs."""
        return transcript("fedrec-secagg-1 device", self.client_id, self.device_key)


class Advert(Message):
    """PUT advert: the keys with which a participant joins a round."""

    mask_key: Bytes32
    """X25519 public key of the masks; its private half is what neighbours share if one drops out."""
    share_key: Bytes32
    """X25519 public key under which neighbours seal shares."""
    seed_commitment: Bytes32
    """Hash of the seed of one's own mask."""
    certificate: DeviceCertificate
    """Who is joining."""
    signature: Signature
    """The device's."""

    def payload(self, round_id: bytes) -> bytes:
        """What the device signs."""
        return transcript(
            "fedrec-secagg-1 advert",
            *(round_id, self.mask_key, self.share_key, self.seed_commitment),
            *(self.certificate.client_id, self.certificate.device_key),
        )


class Roster(Response):
    """GET roster: everybody who joined, ascending by mask key; a participant's index is its position."""

    adverts: tuple[Advert, ...]
    """One advert of each."""
    signature: Signature
    """The server's, over the roster's hash."""


class Shares(Message):
    """PUT shares: one's secrets, split among the holders."""

    roster_hash: Bytes32
    """The roster that one saw."""
    sealed: Blob
    """For each neighbour 94 bytes: nonce, AES-256-GCM of (share of the seed, share of the mask key), tag."""
    digests: Blob
    """For each holder (the neighbours; in a complete graph oneself too) 32 bytes: digests of its two shares."""
    signature: Signature
    """The device's."""

    def payload(self, round_id: bytes) -> bytes:
        """What the device signs."""
        return transcript("fedrec-secagg-1 shares", round_id, self.roster_hash, self.sealed, self.digests)


class Inbox(Response):
    """GET inbox: who shared, and what the neighbours among them sealed for this participant."""

    sharers: Blob
    """Bitmap of everybody whose shares were accepted."""
    sealed: Blob
    """For each neighbour among them 94 bytes."""


class Survivors(Response):
    """GET survivors: whose masked reports are in the sum."""

    survivors: Blob
    """Bitmap over the roster."""
    signature: Signature
    """The server's, over the round id, the roster's hash and the bitmap."""


def survivors_payload(round_id: bytes, roster_hash: bytes, survivors: bytes) -> bytes:
    """What the server signs of the survivors."""
    return transcript("fedrec-secagg-1 survivors", round_id, roster_hash, survivors)


def acknowledgement_payload(round_id: bytes, roster_hash: bytes, survivors: bytes) -> bytes:
    """What a device signs when it agrees on the survivors."""
    return transcript("fedrec-secagg-1 acknowledgement", round_id, roster_hash, survivors)


class Acknowledgement(Message):
    """PUT ack: the survivors one was shown, signed, for the neighbours to compare."""

    signature: Signature
    """The device's, over the round id, the roster's hash and the bitmap."""


class Acknowledgements(Response):
    """GET acks: what one's neighbours signed."""

    signers: Blob
    """Bitmap of the neighbours who acknowledged."""
    signatures: Blob
    """64 bytes of each."""


class Reveal(Message):
    """PUT reveal: for each dealer one of its two shares, by whether it survived."""

    shares: Blob
    """For each dealer whose shares one holds 33 bytes: the seed's share of a survivor,
    the mask key's share of one who dropped out, 0xff where none could be opened."""
    signature: Signature
    """The device's."""

    def payload(self, round_id: bytes, roster_hash: bytes, survivors: bytes) -> bytes:
        """What the device signs."""
        return transcript("fedrec-secagg-1 reveal", round_id, roster_hash, survivors, self.shares)
