# SPDX-License-Identifier: Apache-2.0
"""A crafted message and what is expected to be found in it."""
import base64
import dataclasses


@dataclasses.dataclass
class Case:
    name: str                   # of the file
    bytes: bytes                # with CRLF line ends, unless the case is about them
    findings: tuple = ()        # that must be there, of some part
    exactly: bool = False       # and no others
    absent: tuple = ()          # findings that must not be there
    names: tuple = ()           # each is a name of some part
    first_names: tuple = ()     # each is the first, the worst one, of some part
    types: tuple = ()           # each is the true type of some part
    declared: tuple = None      # declared types of all MIME parts, in their order
    starts: tuple = ()          # bytes; the data of some part starts with each
    files: int = None           # how many parts are files
    parts: int = None           # how many parts there are
    text: tuple = ()            # pieces that the visible text has
    no_text: tuple = ()         # that it must not have
    hidden: tuple = ()          # pieces of the hidden text
    links: tuple = ()           # URLs
    no_links: bool = False
    hosts: tuple = ()
    shown: tuple = ()           # texts of links
    subject: str = None
    fields: tuple = ()          # (name, value) of the message's header
    cut: bool = True            # well-formed: each part can be cut out, and the rest is well-formed


def crlf(text):
    """Text or bytes with line ends of mail."""
    if isinstance(text, str):
        text = text.encode()
    return text.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.encodebytes(data).replace(b'\n', b'\r\n')


def header(subject='A message'):
    return crlf(f'From: a@example.com\nTo: b@example.org\nSubject: {subject}\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n'
                'Message-ID: <1@example.com>\nMIME-Version: 1.0\n')


def part(fields, body=b''):
    """A MIME part; its line end belongs to the next boundary."""
    return crlf(fields) + b'\r\n' + crlf(body)


def raw_part(fields, body=b''):
    return crlf(fields) + b'\r\n' + body


def multipart(parts, boundary='=_b', kind='mixed', preamble=b'', epilogue=b'', close=True, fields=None):
    """Content-Type field and body."""
    b = boundary.encode()
    out = crlf(fields if fields is not None else f'Content-Type: multipart/{kind}; boundary="{boundary}"\n') + b'\r\n' + preamble
    for p in parts:
        out += b'--' + b + b'\r\n' + p + b'\r\n'
    return out + (b'--' + b + b'--\r\n' if close else b'') + epilogue


TEXT = part('Content-Type: text/plain; charset=utf-8\n', 'Hello there.')
EXE = b'MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8' + b'\0' * 43 + b'\x80\0\0\0' + b'\0' * 64 + b'PE\0\0' + b'L\x01' + b'\0' * 200
PDF = b'%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n'


def attachment(data, fields):
    """A base64 part with these fields."""
    return raw_part(fields.rstrip('\n') + '\nContent-Transfer-Encoding: base64\n', b64(data).rstrip(b'\r\n'))


def attached(data, disposition, content_type='application/octet-stream'):
    """A message with a text and a file of which the fields' values are given; None leaves a field out."""
    fields = ''
    if content_type is not None:
        fields += f'Content-Type: {content_type}\n'
    if disposition is not None:
        fields += f'Content-Disposition: {disposition}\n'
    return header() + multipart([TEXT, attachment(data, fields)])
