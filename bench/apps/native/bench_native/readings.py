"""Readings: checked by pydantic, kept in a database in memory, signed and sealed by cryptography."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, Field
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Reading(BaseModel):
    station: str = Field(min_length=1)
    hour: int = Field(ge=0, lt=24)
    value: float


class _Base(DeclarativeBase):
    pass


class _Row(_Base):
    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    station: Mapped[str]
    hour: Mapped[int]
    value: Mapped[float]


def through_database(readings):
    """The readings from noon on, as the database gives them back."""
    engine = create_engine("sqlite://")
    _Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(_Row(**reading.model_dump()) for reading in readings)
        session.commit()
        rows = session.scalars(select(_Row).where(_Row.hour >= 12).order_by(_Row.id))
        return [Reading.model_validate({"station": r.station, "hour": r.hour, "value": r.value}) for r in rows]


def sealed(data):
    """`data` encrypted and signed, as hexadecimal; both are undone first to see that they hold."""
    box, nonce = AESGCM(bytes(32)), bytes(12)
    text = box.encrypt(nonce, data, None)
    assert box.decrypt(nonce, text, None) == data
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signature = key.sign(text)
    key.public_key().verify(signature, text)
    return signature.hex()
