"""Letters of other alphabets that look like Latin ones, for comparing texts and for nothing else.

Our own small table of the common ones: Cyrillic, Greek, Armenian, small capitals, and letters with
marks. Whoever wants a letter that is missing here finds one; it takes the cheap tricks away.
"""

from __future__ import annotations

import unicodedata

_ALIKE = (
    # Cyrillic
    ("АВЕЅІЈКМНОРСТУХЬӀԌԚԜҮҺ", "ABESIJKMHOPCTYXbIGQWYH"),
    ("авеѕіјкмнорстухԁԛԝүһӏгпиьѵ", "abesijkmhopctyxdqwyhlrnubv"),
    # Greek
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϺ", "ABEZHIKMNOPTYXM"),
    ("αβγεηικνορςτυωχϳ", "abyenikvopctuwxj"),
    # Armenian
    ("ՕՍՏօոսհցզքյ", "OUSonuhgqpj"),
    # Latin letters of other uses, small capitals
    ("ıɑɡɩʋɯʏɪʙɢʜʟɴʀᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜰꜱ", "iagivwyibghlnracdejkmoptuvwzfs"),
    ("øØłŁđĐħŧ", "oOlLdDht"),
)
_MARKS = dict.fromkeys(range(0x300, 0x370))
_TABLE: dict[int, int | str | None] = {
    **_MARKS,
    **{
        ord(one): latin
        for many, letters in _ALIKE
        for one, latin in zip(many, letters, strict=True)
    },
}


def in_latin(line: str) -> str:
    """The line with each letter that looks like a Latin one as that one, and without marks."""
    return unicodedata.normalize("NFD", line).translate(_TABLE)
