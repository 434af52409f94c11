"""Records of a wrong type."""

from __future__ import annotations

from masc_core import Collection, Context, Log, evolve, frozen, index


@frozen
class Note:
    id: str
    by: str


@frozen
class Other:
    id: str
    by: str


NOTES = Collection("notes", Note, lambda note: note.id, lambda note: [index("by", note.by)])
READINGS = Log("readings", Note)
NO_FIELD = Collection("notes", Note, lambda note: note.name)  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue]
NO_NAME = Collection(Note, Note, lambda note: note.id)  # error: mypy[arg-type] pyright[reportArgumentType]


async def write(ctx: Context) -> None:
    notes = ctx.collection(NOTES)
    await notes.add(Other("1", "ada"))  # error: mypy[arg-type] pyright[reportArgumentType]
    notes.put(Other("1", "ada"))  # error: mypy[arg-type] pyright[reportArgumentType]
    notes.delete("1")  # error: mypy[arg-type] pyright[reportArgumentType]
    ctx.log(READINGS).append(Other("1", "ada"))  # error: mypy[arg-type] pyright[reportArgumentType]
    ctx.collection(READINGS)  # error: mypy[arg-type] pyright[reportArgumentType]
    notes.put(Note("1", by=2))  # error: mypy[arg-type] pyright[reportArgumentType]


async def read(ctx: Context) -> Note:
    other: Other = await ctx.collection(NOTES).get("1")  # error: mypy[assignment] pyright[reportAssignmentType]
    found = await ctx.collection(NOTES).find(other.id)
    found.by  # error: mypy[union-attr] pyright[reportOptionalMemberAccess]
    note = evolve(await ctx.collection(NOTES).get("1"), by="bob")
    note.by = "cy"  # error: mypy[misc] pyright[reportAttributeAccessIssue]
    return found  # error: mypy[return-value] pyright[reportReturnType]
