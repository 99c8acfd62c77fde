# SPDX-License-Identifier: BSD-3-Clause
"""multipart/form-data (RFC 7578), piece by piece.

A reader is fed with the body as it arrives and tells what it found:

    ("part", Part)    a part begins
    ("data", bytes)   a piece of its content
    ("end", None)     it is complete

It keeps no more than a boundary's length, or a part's header, for itself.
"""

from email.message import Message

HEADER_SIZE = 8 * 1024


class MultipartError(ValueError):
    """The body is not what its content type says."""


class Part:
    """What a part's header says; filename is None for a plain field."""

    def __init__(self, block):
        header = Message()
        for line in block.split(b"\r\n"):
            name, colon, value = line.decode("utf-8", "replace").partition(":")
            if not colon:
                raise MultipartError("A part's header is malformed.")
            header[name.strip()] = value.strip()
        self.filename = header.get_filename()


class MultipartReader:
    def __init__(self, content_type):
        header = Message()
        header["content-type"] = (content_type or b"").decode("latin-1")
        boundary = header.get_param("boundary")
        if header.get_content_type() != "multipart/form-data" or not boundary:
            raise MultipartError("This takes multipart/form-data.")
        self.delimiter = b"\r\n--" + boundary.encode("latin-1")
        # the first delimiter may stand at the very beginning
        self.buffer = bytearray(b"\r\n")
        self.state = self.preamble

    def feed(self, piece):
        """Yield the events that this piece completes."""
        self.buffer += piece
        more = True
        while more:
            events, more = self.state()
            yield from events

    def finish(self):
        if self.state != self.epilogue:
            raise MultipartError("The body ends in the middle of a part.")

    # Each state takes what it can off the buffer; it returns the events and
    # whether another state may find more.

    def preamble(self):
        _, found = self.cut()
        if found:
            self.state = self.after_delimiter
        return [], found

    def after_delimiter(self):
        if len(self.buffer) < 2:
            return [], False
        if self.buffer.startswith(b"--"):
            self.state = self.epilogue
            return [], True
        if not self.buffer.startswith(b"\r\n"):
            raise MultipartError("A boundary is malformed.")
        del self.buffer[:2]
        self.state = self.header
        return [], True

    def header(self):
        end = self.buffer.find(b"\r\n\r\n", 0, HEADER_SIZE)
        if end == -1:
            if len(self.buffer) >= HEADER_SIZE:
                raise MultipartError("A part's header is too large.")
            return [], False
        part = Part(bytes(self.buffer[:end]))
        del self.buffer[:end + 4]
        self.state = self.content
        return [("part", part)], True

    def content(self):
        data, found = self.cut()
        events = [("data", data)] if data else []
        if found:
            events.append(("end", None))
            self.state = self.after_delimiter
        return events, found

    def epilogue(self):
        self.buffer.clear()
        return [], False

    def cut(self):
        """What comes before the delimiter, and whether it was there."""
        at = self.buffer.find(self.delimiter)
        if at != -1:
            data = bytes(self.buffer[:at])
            del self.buffer[:at + len(self.delimiter)]
            return data, True
        # its beginning may stand at the end
        keep = min(len(self.buffer), len(self.delimiter) - 1)
        data = bytes(self.buffer[:len(self.buffer) - keep])
        del self.buffer[:len(data)]
        return data, False
