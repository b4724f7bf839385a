# SPDX-License-Identifier: Apache-2.0
"""Writes documents by hand: compound files (MS-CFB), macros (MS-OVBA), Office Open XML, OpenDocument, PDF."""
import io
import struct
import zipfile
import zlib

FREE, END, FAT_SECTOR = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    """entries: pairs of name and bytes; always the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as z:
        for name, data in entries:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = method
            z.writestr(info, data)
    return out.getvalue()


def compound(tree, clsid=b'\0' * 16):
    """A compound file; tree: name -> bytes (a stream) or dict (a storage)."""
    entries = [['Root Entry', 5, FREE, FREE, FREE, END, 0]]
    data, fat, mini, minifat = [], [], bytearray(), []

    def put(content):
        first = len(fat)
        n = -(-len(content) // 512)
        for i in range(n):
            data.append(content[i * 512:i * 512 + 512].ljust(512, b'\0'))
            fat.append(first + i + 1 if i + 1 < n else END)
        return first if n else END

    def put_mini(content):
        first = len(minifat)
        n = -(-len(content) // 64)
        for i in range(n):
            mini.extend(content[i * 64:i * 64 + 64].ljust(64, b'\0'))
            minifat.append(first + i + 1 if i + 1 < n else END)
        return first if n else END

    def add(children, of):
        before = None
        for name, content in children.items():
            at = len(entries)
            if isinstance(content, dict):
                entries.append([name, 1, FREE, FREE, FREE, 0, 0])
                add(content, at)
            else:
                start = put(content) if len(content) >= 4096 else put_mini(content)
                entries.append([name, 2, FREE, FREE, FREE, start, len(content)])
            if before is None:
                entries[of][4] = at
            else:
                entries[before][3] = at  # a list of right siblings
            before = at

    add(tree, 0)
    entries[0][5], entries[0][6] = put(bytes(mini)), len(mini)
    minifat_at = put(b''.join(struct.pack('<I', s) for s in minifat).ljust(-(-len(minifat) // 128) * 512, b'\xff')) if minifat else END
    directory = b''
    for name, kind, left, right, child, start, size in entries:
        raw = name.encode('utf-16le') + b'\0\0'
        directory += raw.ljust(64, b'\0') + struct.pack('<HBBIII', len(raw), kind, 1, left, right, child)
        directory += (clsid if kind == 5 else b'\0' * 16) + b'\0' * 20 + struct.pack('<IQ', start, size)
    directory_at = put(directory)
    fat_n = 1
    while len(fat) + fat_n > fat_n * 128:
        fat_n += 1
    fat_at = len(fat)
    table = fat + [FAT_SECTOR] * fat_n
    raw = b''.join(struct.pack('<I', s) for s in table).ljust(fat_n * 512, b'\xff')
    header = b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' + b'\0' * 16 + struct.pack('<HHHHH', 0x3E, 3, 0xFFFE, 9, 6) + b'\0' * 6
    header += struct.pack('<IIIIIIIIII', 0, fat_n, directory_at, 0, 4096, minifat_at, -(-len(minifat) // 128), END, 0, fat_at)
    header += b''.join(struct.pack('<I', fat_at + i) for i in range(1, fat_n))
    return header.ljust(512, b'\xff') + b''.join(data) + raw


def vba_packed(text):
    """MS-OVBA's compression, literals only."""
    out = b'\x01'
    for at in range(0, len(text), 3500):
        piece = text[at:at + 3500]
        body = b''.join(b'\0' + piece[i:i + 8] for i in range(0, len(piece), 8))
        out += struct.pack('<H', 0xB000 | (len(body) + 2 - 3)) + body
    return out


def project(source, stomped=False, names=b''):
    """The storage of macros: a module whose source is that."""
    text = b'Attribute VB_Name = "Module1"\r\n' + source
    code = b'\x01\x16\x01' + b'\0' * 57
    record = lambda i, d: struct.pack('<HI', i, len(d)) + d
    directory = record(0x1A, b'Module1') + record(0x31, struct.pack('<I', len(code)))
    module = code if stomped else code + vba_packed(text)
    return {'VBA': {'dir': vba_packed(directory), '_VBA_PROJECT': b'\xcc\x61\xff\xff\0\0\0' + names, 'Module1': module}, 'PROJECT': b'ID="{0}"\r\n'}


AUTO = b'Sub AutoOpen()\r\n  MsgBox "hello"\r\nEnd Sub\r\n'
CALLED = b'Sub Total()\r\n  MsgBox "hello" \' AutoOpen\r\nEnd Sub\r\n'


def word(extra=None, flags=0):
    return compound({'WordDocument': (struct.pack('<HHHHHH', 0xA5EC, 0xC1, 0, 0x409, 0, flags) + b'\0' * 500), '1Table': b'\0' * 100, **(extra or {})})


def biff(*records):
    return b''.join(struct.pack('<HH', t, len(d)) + d for t, d in ((0x809, b'\0\6\5\0' + b'\0' * 12), *records, (0x0A, b''))).ljust(4200, b'\0')


def native(name, data, path='C:\\Users\\x\\'):
    p = (path + name).encode() + b'\0'
    body = struct.pack('<H', 2) + name.encode() + b'\0' + p + b'\0\0\3\0' + struct.pack('<I', len(p)) + p + struct.pack('<I', len(data)) + data
    return struct.pack('<I', len(body)) + body


def slides(*objects):
    """PowerPoint's stream with packed storages."""
    out = b''
    for data in objects:
        body = struct.pack('<I', len(data)) + zlib.compress(data)
        out += struct.pack('<HHI', 0x10, 0x1011, len(body)) + body
    return out


def ooxml(kind='word', extra=(), relations='', macro=False):
    main = {'word': 'word/document.xml', 'xl': 'xl/workbook.xml', 'ppt': 'ppt/presentation.xml'}[kind]
    types = ('<?xml version="1.0"?><Types><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
             f'<Override PartName="/{main}" ContentType="application/vnd.' + ('ms-word.document.macroEnabled.main' if macro else 'openxmlformats') + '+xml"/>'
             + ('<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>' if macro else '') + '</Types>')
    rels = f'<?xml version="1.0"?><Relationships xmlns="x">{relations}</Relationships>'
    return zipped([('[Content_Types].xml', types), ('_rels/.rels', '<Relationships/>'), (main, '<?xml version="1.0"?><w:document/>'),
                   (f'{kind}/_rels/{main.split("/")[1]}.rels', rels), (f'{kind}/media/image1.png', b'\x89PNG\r\n\x1a\n' + b'\0' * 40), *extra])


def relation(kind, target, mode=' TargetMode="External"'):
    return f'<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"{mode}/>'


def odf(extra=(), content='<office:document-content/>', manifest=''):
    return zipped([('mimetype', 'application/vnd.oasis.opendocument.text'), ('content.xml', '<?xml version="1.0"?>' + content),
                   ('META-INF/manifest.xml', f'<?xml version="1.0"?><manifest:manifest>{manifest}</manifest:manifest>'), *extra])


def pdf(*objects, trailer=b'', head=b'%PDF-1.7\n'):
    """objects: the text of each, in their order from number 2; 1 is the catalogue."""
    out = head + b'1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n'
    for i, o in enumerate(objects):
        out += b'%d 0 obj\n' % (i + 2) + o + b'\nendobj\n'
    return out + b'xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Root 1 0 R ' + trailer + b'>>\nstartxref\n0\n%%EOF\n'


def stream(data, fields=b'', length=None):
    return b'<< /Length %d ' % (len(data) if length is None else length) + fields + b'>>\nstream\r\n' + data + b'\r\nendstream'


def object_stream(text, fields=b'/Filter /FlateDecode ', pack=zlib.compress):
    return stream(pack(b'7 0 ' + text), b'/Type /ObjStm /N 1 /First 4 ' + fields)
