# SPDX-License-Identifier: Apache-2.0
"""What is in files: archives, documents, wrappings, names that deceive, bombs, and what is broken."""
import bz2
import gzip
import io
import lzma
import pathlib
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib

import office
from case import EXE, TEXT, Case, attached, b64, crlf, header, multipart, part
from office import zipped

CLAM = pathlib.Path('/usr/share/clamav-testfiles')
LNK = b'\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46' + b'\0' * 60
PNG = b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + b'\0' * 30
HTML = b'<html><body onload="x()"><script>alert(1)</script></body></html>'
HTA = b'<html><head><HTA:APPLICATION ID="a"></head><script language="VBScript">x</script></html>'
EICAR = b'X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'


def file(name, data, *, as_name=None, **expected):
    """A message with that file attached."""
    return Case(name, attached(data, f'attachment; filename="{as_name or name}"'), **expected)


def tarred(entries, mode='w'):
    out = io.BytesIO()
    if mode == 'w:gz':  # without the time
        return gzip.compress(tarred(entries), mtime=0)
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def made(command, entries, result):
    """What an archiver makes of these files; None: it is not installed."""
    if not shutil.which(command[0]):
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, data in entries:
            (pathlib.Path(folder) / name).write_bytes(data)
        run = subprocess.run([*command, result, *[n for n, _ in entries]], cwd=folder, capture_output=True, check=False)
        return (pathlib.Path(folder) / result).read_bytes() if run.returncode == 0 else None


def cpio(entries):
    out = b''
    for name, data in [*entries, ('TRAILER!!!', b'')]:
        n = name.encode() + b'\0'
        h = b'070701' + b''.join(b'%08x' % v for v in (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(n), 0)) + n
        out += h + b'\0' * (-len(h) % 4) + data + b'\0' * (-len(data) % 4)
    return out


def ar(entries):
    out = b'!<arch>\n'
    for name, data in entries:
        out += (name + '/').ljust(16).encode() + b'0           0     0     100644  ' + str(len(data)).ljust(10).encode() + b'`\n' + data + b'\n' * (len(data) % 2)
    return out


# ---- archives
def archives():
    inside = [('setup.exe', EXE)]
    found = {'findings': ('archive', 'executable'), 'names': ('setup.exe',), 'types': ('application/x-dosexec',), 'absent': ('broken', 'encrypted')}
    yield file('zip', zipped(inside), as_name='a.zip', **found)
    yield file('zip-stored', zipped(inside, zipfile.ZIP_STORED), as_name='a.zip', **found)
    yield file('zip-bzip2', zipped(inside, zipfile.ZIP_BZIP2), as_name='a.zip', **found)
    yield file('zip-lzma', zipped(inside, zipfile.ZIP_LZMA), as_name='a.zip', **found)
    yield file('tar', tarred(inside), as_name='a.tar', **found)
    yield file('tar-gz', tarred(inside, 'w:gz'), as_name='a.tar.gz', **found)
    yield file('tar-bz2', tarred(inside, 'w:bz2'), as_name='a.tar.bz2', **found)
    yield file('tar-xz', tarred(inside, 'w:xz'), as_name='a.tar.xz', **found)
    yield file('cpio', cpio(inside), as_name='a.cpio', **found)
    yield file('ar', ar(inside), as_name='a.deb', **found)
    yield file('gzip', gzip.compress(EXE, mtime=0), as_name='setup.exe.gz', **found)
    yield file('bzip2', bz2.compress(EXE), as_name='setup.exe.bz2', **found)
    yield file('xz', lzma.compress(EXE), as_name='setup.exe.xz', **found)
    yield file('lzma', lzma.compress(EXE, format=lzma.FORMAT_ALONE), as_name='setup.exe.lzma', **found)
    for kind in '7z', 'zip':
        data = made(['7z', 'a', f'-t{kind}', '-bd', '-y'], inside, f'x.{kind}')
        if data:
            yield file(f'made-{kind}', data, as_name=f'a.{kind}', **found)
    data = made(['7z', 'a', '-bd', '-y', '-m0=LZMA2'], [('r\u00e9sum\u00e9-\u65e5\u672c.exe', EXE)], 'x.7z')
    if data:
        yield file('7z-name', data, as_name='a.7z', findings=('executable',), names=('r\u00e9sum\u00e9-\u65e5\u672c.exe',))
    deep = zipped(inside)
    for pack, name in ((lambda d, n: zipped([(n, d)]), 'b.zip'), (lambda d, n: tarred([(n, d)], 'w:gz'), 'c.tgz'), (lambda d, n: gzip.compress(d, mtime=0), 'd.gz'),
                       (lambda d, n: tarred([(n, d)]), 'e.tar'), (lambda d, n: bz2.compress(d), 'f.bz2'), (lambda d, n: lzma.compress(d), 'g.xz'),
                       (lambda d, n: cpio([(n, d)]), 'h.cpio')):
        deep = pack(deep, name)
    yield file('in-each-other', deep, as_name='a.zip', **{**found, 'absent': ('broken', 'limit-depth')})
    endless = zipped(inside)
    for i in range(40):
        endless = zipped([(f'{i}.zip', endless)], zipfile.ZIP_STORED)
    yield file('too-deep', endless, as_name='a.zip', findings=('archive', 'limit-depth'), absent=('executable', 'broken'))
    yield file('path', zipped([('..\\..\\Start Menu/../run.exe', EXE)]), as_name='a.zip', findings=('executable',), names=('run.exe',))
    raw = zipped([('XXXXX.txt', b'hello')], zipfile.ZIP_STORED)
    yield file('name-437', raw.replace(b'XXXXX.txt', b'\x81ber\x84.txt'), as_name='a.zip', names=('\u00fcber\u00e4.txt',), absent=('broken',))
    yield file('name-utf8', zipped([('\u65e5\u672c.exe', EXE)]), as_name='a.zip', names=('\u65e5\u672c.exe',), findings=('executable',))
    data = made(['7z', 'a', '-bd', '-y'], [('evil.js', b'var a = 1;')], 'x.7z')
    if data:
        yield file('self-extracting-7z', EXE + b'\0' * 300 + data, as_name='setup.exe', findings=('executable', 'script'), names=('evil.js',))
    yield file('jar', zipped([('META-INF/MANIFEST.MF', 'Manifest-Version: 1.0\n'), ('A.class', b'\xca\xfe\xba\xbe\0\0\0\x34' + b'\0' * 20)]), as_name='a.zip',
               findings=('executable', 'archive'), types=('application/java-archive',))
    yield file('self-extracting', EXE + b'\0' * 100 + zipped([('evil.js', b'var a = 1;')]), as_name='setup.exe', findings=('executable', 'script'),
               names=('evil.js',), absent=('type-conflict',))
    message = header() + multipart([TEXT, part('Content-Type: application/x-msdownload; name=in.exe\n', 'MZ')])
    yield file('message-in-zip', zipped([('a.eml', message)]), as_name='a.zip', findings=('message', 'executable'), names=('in.exe',))
    yield file('message-packed', gzip.compress(message, mtime=0), as_name='a.eml.gz', findings=('message', 'executable'), names=('in.exe',))


# ---- ZIP files that readers read differently
def rename_local(data, old, new):
    at = data.index(old)
    return data[:at] + new + data[at + len(old):]


def zip_tricks():
    plain = zipped([('letter.txt', b'Dear all'), ('note.txt', b'Hello')], zipfile.ZIP_STORED)
    yield file('zip-two-names', rename_local(plain, b'letter.txt', b'letter.exe'), as_name='a.zip',
               findings=('name-conflict', 'broken', 'type-conflict', 'executable'), first_names=('letter.exe',))
    hidden = zipped([('evil.exe', EXE)], zipfile.ZIP_STORED)
    hidden = hidden[:hidden.index(b'PK\1\2')]
    z = zipped([('letter.txt', b'Dear all')], zipfile.ZIP_STORED)
    yield file('zip-before', hidden + z, as_name='a.zip', findings=('broken', 'type-conflict', 'executable'), names=('evil.exe', 'letter.txt'))
    yield file('zip-behind', z + zipped([('evil.exe', EXE)]), as_name='a.zip', findings=('broken', 'type-conflict', 'executable'), names=('evil.exe', 'letter.txt'))
    yield file('zip-data-behind', z + EXE, as_name='a.zip', findings=('broken', 'executable'), types=('application/x-dosexec',))
    at = z.index(b'PK\1\2')
    end = struct.pack('<IHHHHIIH', 0x06054b50, 0, 0, 1, 1, len(z) - 22 - at, at + len(hidden), 0)
    yield file('zip-between', z[:at] + hidden + z[at:-22] + end, as_name='a.zip', findings=('broken', 'executable'), names=('evil.exe',))
    yield file('zip-no-directory', zipped([('evil.exe', EXE)])[:-60], as_name='a.zip', findings=('broken', 'executable'), names=('evil.exe',), absent=('type-conflict',))
    yield file('zip-cut-off', zipped([('evil.exe', EXE * 20)], zipfile.ZIP_STORED)[:400], as_name='a.zip', findings=('broken', 'executable'))
    missing = bytearray(z)
    missing[0:4] = b'XXXX'
    yield file('zip-no-local', bytes(missing), as_name='a.zip', findings=('broken',))
    crc = bytearray(zipped([('a.txt', b'hello' * 10)]))
    at = crc.index(b'PK\1\2')
    crc[at + 16] ^= 1
    yield file('zip-crc', bytes(crc), as_name='a.zip', findings=('broken',))
    # A picture with a ZIP file behind it.
    yield file('picture-and-zip', PNG + zipped([('evil.exe', EXE)]), as_name='a.png', findings=('type-conflict', 'archive', 'executable', 'image'), names=('evil.exe',))
    yield file('picture-and-pdf', b'GIF89a' + b'\0' * 30 + office.pdf(b'<< /S /JavaScript /JS (app.alert\\(1\\)) >>'), as_name='a.gif',
               findings=('type-conflict', 'image', 'pdf-script'))
    # Entries that share the same bytes.
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = kernel.compress(b'\0' * 2000000) + kernel.flush()
    one = zipped([('0', b'\0' * 2000000)])
    local = one[:one.index(b'PK\1\2')]
    central = one[one.index(b'PK\1\2'):-22]
    many = b''.join(central[:46] + bytes([65 + i % 26]) + central[47:] for i in range(3000))
    end = struct.pack('<IHHHHIIH', 0x06054b50, 0, 0, 3000, 3000, len(many), len(local), 0)
    assert len(body) < 10000
    yield file('zip-overlapping', local + many + end, as_name='a.zip', findings=('broken', 'limit-ratio'))


# ---- encrypted
def rar5_header(kind, flags, body):
    def vint(n):
        out = b''
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])
    h = vint(kind) + vint(flags) + body
    h = vint(len(h)) + h
    return struct.pack('<I', zlib.crc32(h)) + h


def rar5_file(name, extra):
    fields = b'\0' + b'\x05' + b'\x20' + b'\0' + b'\0' + bytes([len(name)]) + name
    return rar5_header(2, 3, bytes([len(extra)]) + b'\x05' + fields + extra) + b'12345'


def rar4_block(kind, flags, body):
    raw = struct.pack('<BHH', kind, flags, 7 + len(body)) + body
    return struct.pack('<H', zlib.crc32(raw) & 0xFFFF) + raw


def encrypted():
    found = {'findings': ('encrypted',), 'absent': ('broken',)}
    inside = [('secret.exe', EXE)]
    for name, command, kind in (('zip-traditional', ['zip', '-q', '-P', 'secret'], 'zip'), ('zip-aes', ['7z', 'a', '-tzip', '-mem=AES256', '-psecret', '-bd'], 'zip'),
                                ('7z', ['7z', 'a', '-psecret', '-bd'], '7z'), ('7z-headers', ['7z', 'a', '-mhe=on', '-psecret', '-bd'], '7z')):
        data = made(command, inside, f'x.{kind}')
        if data:
            yield file(f'encrypted-{name}', data, as_name=f'a.{kind}', **found, names=() if name == '7z-headers' else ('secret.exe',))
    flagged = bytearray(zipped([('open.txt', b'x'), ('secret.exe', EXE)], zipfile.ZIP_STORED))
    for mark, at in ((b'PK\3\4', 6), (b'PK\1\2', 8)):
        flagged[flagged.rindex(mark) + at] |= 1
    yield file('encrypted-zip-one', bytes(flagged), as_name='a.zip', **found, names=('open.txt', 'secret.exe'))
    flagged = bytearray(zipped(inside, zipfile.ZIP_STORED))
    flagged[flagged.index(b'PK\1\2') + 8] |= 1
    yield file('encrypted-zip-lie', bytes(flagged), as_name='a.zip', findings=('encrypted', 'broken', 'executable'), types=('application/x-dosexec',))
    sig5, main5 = b'Rar!\x1a\x07\x01\0', rar5_header(1, 0, b'\0')
    yield file('encrypted-rar5-headers', sig5 + rar5_header(4, 0, b'\0\0\x0f' + b'\1' * 16) + b'\x55' * 100, as_name='a.rar', **found)
    yield file('encrypted-rar5', sig5 + main5 + rar5_file(b'secret.exe', b'\x05\x01\0\0\x0f\0'), as_name='a.rar', **found, names=('secret.exe',))
    main4 = rar4_block(0x73, 0, b'\0' * 6)
    fields = struct.pack('<IIBIIBBHI', 5, 500, 2, 0, 0, 29, 0x33, 10, 0x20) + b'secret.exe'
    yield file('encrypted-rar4', b'Rar!\x1a\x07\0' + main4 + rar4_block(0x74, 0x8004, fields) + b'12345', as_name='a.rar', **found, names=('secret.exe',))
    yield file('encrypted-rar4-headers', b'Rar!\x1a\x07\0' + rar4_block(0x73, 0x80, b'\0' * 6) + b'\x33' * 60, as_name='a.rar', **found)
    yield file('encrypted-pdf', office.pdf(b'<< /Type /Pages >>', trailer=b'/Encrypt 5 0 R '), as_name='a.pdf', **found)
    yield file('encrypted-docx', office.compound({'EncryptionInfo': b'\4\0\4\0' + b'x' * 100, 'EncryptedPackage': b'\0' * 5000}), as_name='a.docx', **found)
    yield file('encrypted-xls', office.compound({'Workbook': office.biff((0x2F, b'\1\0\1\0\1\0' + b'x' * 48))}), as_name='a.xls', **found)
    yield file('encrypted-doc', office.word(flags=0x100), as_name='a.doc', **found)
    yield file('encrypted-ppt', office.compound({'Current User': struct.pack('<HHIIII', 0, 0xFF6, 24, 20, 0xF3D1C4DF, 0) + b'\0' * 20,
                                                 'PowerPoint Document': b'\0' * 5000}), as_name='a.ppt', **found)
    yield file('encrypted-odt', office.odf(manifest='<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>'), as_name='a.odt', **found)


# ---- documents
def documents():
    clean = {'findings': ('document',), 'absent': ('macro', 'macro-auto', 'broken', 'executable', 'archive', 'type-conflict', 'external-link', 'encrypted')}
    yield file('docx', office.ooxml(), as_name='a.docx', **clean, types=('application/vnd.openxmlformats-officedocument.wordprocessingml.document',), files=1)
    yield file('xlsx', office.ooxml('xl'), as_name='a.xlsx', **clean)
    yield file('pptx', office.ooxml('ppt'), as_name='a.pptx', **clean)
    yield file('doc', office.word(), as_name='a.doc', **clean, types=('application/msword',))
    yield file('xls', office.compound({'Workbook': office.biff()}), as_name='a.xls', **clean, types=('application/vnd.ms-excel',))
    yield file('odt', office.odf(), as_name='a.odt', **clean)
    yield file('rtf', b'{\\rtf1\\ansi Hello}', as_name='a.rtf', **clean)
    yield file('rtf-as-doc', b'{\\rtf1\\ansi Hello}', as_name='a.doc', **clean)
    auto, called = office.compound(office.project(office.AUTO)), office.compound(office.project(office.CALLED))
    runs, holds = {'findings': ('document', 'macro', 'macro-auto')}, {'findings': ('document', 'macro'), 'absent': ('macro-auto', 'broken')}
    yield file('docm-auto', office.ooxml(extra=[('word/vbaProject.bin', auto)], macro=True), as_name='a.docm', **runs)
    yield file('docm', office.ooxml(extra=[('word/vbaProject.bin', called)], macro=True), as_name='a.docm', **holds)
    yield file('docm-as-docx', office.ooxml(extra=[('word/vbaProject.bin', auto)], macro=True), as_name='a.docx', **runs)
    yield file('docm-renamed', office.ooxml(extra=[('word/notes.xml', auto)], relations=office.relation('vbaProject', 'notes.xml', '')), as_name='a.docx', **runs)
    yield file('doc-auto', office.word({'Macros': office.project(office.AUTO)}), as_name='a.doc', **runs)
    yield file('doc-macro', office.word({'Macros': office.project(office.CALLED)}), as_name='a.doc', **holds)
    yield file('doc-stomped', office.word({'Macros': office.project(b'', stomped=True, names=b'\0\x0c\0Document_Open\0')}), as_name='a.doc', **runs)
    yield file('doc-long-macro', office.word({'Macros': office.project(b"' filling\r\n" * 2000 + b'Private Sub  Workbook_Open()\r\nEnd Sub\r\n')}), as_name='a.doc', **runs)
    yield file('xls-excel4', office.compound({'Workbook': office.biff((0x85, struct.pack('<IBB', 100, 2, 1) + b'\5\0Macro'), (0x18, struct.pack('<HBBHHHBBBB', 0x20, 0, 1, 5, 0, 1, 0, 0, 0, 0) + b'\0\1'))}), as_name='a.xls', **runs)
    yield file('xls-excel4-called', office.compound({'Workbook': office.biff((0x85, struct.pack('<IBB', 100, 2, 1) + b'\5\0Macro'))}), as_name='a.xls', **holds)
    yield file('xlsm-excel4', office.ooxml('xl', extra=[('xl/macrosheets/sheet1.xml', '<xm:macrosheet/>')]), as_name='a.xlsm', findings=('macro',))
    yield file('odt-macro', office.odf([('Basic/Standard/Module1.xml', '<script:module>Sub Main\nEnd Sub</script:module>')]), as_name='a.odt', **holds)
    yield file('odt-auto', office.odf([('Basic/Standard/Module1.xml', '<script:module/>')], '<script:event-listener script:event-name="dom:load"/>'), as_name='a.odt', **runs)
    yield file('ppt-auto', office.compound({'PowerPoint Document': office.slides(auto)}), as_name='a.ppt', **runs)
    yield file('docx-template', office.ooxml(relations=office.relation('attachedTemplate', 'https://example.com/t.dotm')), as_name='a.docx', findings=('external-link',), absent=('macro',))
    yield file('docx-share', office.ooxml(relations=office.relation('oleObject', 'file:///\\\\example.com\\x')), as_name='a.docx', findings=('external-link',))
    yield file('docx-link', office.ooxml(relations=office.relation('hyperlink', 'https://example.com/')), as_name='a.docx', **clean)
    embedded = {'findings': ('document', 'executable'), 'names': ('run.exe',), 'types': ('application/x-dosexec',)}
    yield file('doc-object', office.word({'ObjectPool': {'_1': {'\1Ole10Native': office.native('run.exe', EXE)}}}), as_name='a.doc', **embedded)
    yield file('docx-object', office.ooxml(extra=[('word/embeddings/oleObject1.bin', office.compound({'\1Ole10Native': office.native('run.exe', EXE)}))]), as_name='a.docx', **embedded)
    yield file('docx-file', office.ooxml(extra=[('word/embeddings/run.exe', EXE)]), as_name='a.docx', **embedded)
    yield file('docx-file-as-xml', office.ooxml(extra=[('word/theme.xml', EXE)]), as_name='a.docx', findings=('executable', 'type-conflict'))
    yield file('xlsx-in-docx', office.ooxml(extra=[('word/embeddings/b.xlsm', office.ooxml('xl', extra=[('xl/vbaProject.bin', auto)], macro=True))]), as_name='a.docx', **runs)
    package = office.native('run.exe', EXE)
    ole1 = struct.pack('<III', 0x501, 2, 8) + b'Package\0' + struct.pack('<II', 0, 0) + package
    yield file('rtf-object', b'{\\rtf1{\\object\\objemb{\\*\\objdata ' + ole1.hex().encode() + b'}}}', as_name='a.rtf', **embedded, absent=('macro-auto',))
    spaced = b' \r\n'.join(ole1.hex().encode()[i:i + 7] for i in range(0, len(ole1) * 2, 7))
    yield file('rtf-object-spaced', b'{\\rt{\\object\\objupdate{\\*\\objdata\\mac12 ' + spaced + b'}}}', as_name='a.doc', findings=('executable', 'macro-auto'), names=('run.exe',))
    yield file('rtf-template', b'{\\rtf1{\\*\\template http://example.com/a}}', as_name='a.rtf', findings=('external-link',))
    onenote = bytes.fromhex('e4525c7b8cd8a74daeb15378d02996d3') + b'\0' * 100 + bytes.fromhex('e716e3bd65261145a4c48d4d0b7a9eac') + struct.pack('<QIQ', len(HTA), 0, 0) + HTA
    yield file('onenote', onenote, as_name='a.one', findings=('document', 'executable', 'script'), types=('application/hta',))
    msg = office.compound({'__properties_version1.0': b'\0' * 64, '__attach_version1.0_#00000000': {
        '__substg1.0_3707001F': 'run.exe'.encode('utf-16le'), '__substg1.0_37010102': EXE}})
    yield file('outlook', msg, as_name='a.msg', findings=('message', 'executable'), names=('run.exe',))
    msi = office.compound({'x': b'y'}, bytes.fromhex('84100c0000000000c000000000000046'))
    yield file('msi', msi, as_name='a.dat', findings=('executable',), types=('application/x-msi',), absent=('document',))
    yield file('mso', b'ActiveMime\0\0\1\xf0' + b'\0' * 36 + zlib.compress(auto), as_name='editdata.mso', findings=('macro', 'macro-auto'))
    broken = bytearray(office.word())
    broken[48:52] = b'\xff\xff\xff\x0f'
    xml = '<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument w:macrosPresent="yes"><w:binData w:name="editdata.mso">'
    mso = b'ActiveMime\0\0\1\xf0' + b'\0' * 36 + zlib.compress(auto)
    yield file('word-xml', xml.encode() + b64(mso) + b'</w:binData></w:wordDocument>', as_name='a.xml', **runs)
    yield file('docx-printer', office.ooxml(extra=[('word/printerSettings/printerSettings1.bin', EXE)]), as_name='a.docx', findings=('executable',))
    yield file('xlsm-excel4-auto', office.ooxml('xl', extra=[('xl/macrosheets/sheet1.xml', '<x/>')]), as_name='a.xlsm', findings=('macro',), absent=('macro-auto',))
    yield file('doc-broken', bytes(broken), as_name='a.doc', findings=('broken',))
    looped = bytearray(office.compound({'WordDocument': b'x' * 6000}))
    looped[len(looped) - 512:len(looped) - 508] = b'\0\0\0\0'
    yield file('doc-looped', bytes(looped), as_name='a.doc', findings=('document',))


# ---- PDF
def lzw(data):
    """9-bit codes with a clear code before each 200 bytes."""
    bits = ''.join(('100000000' if i % 200 == 0 else '') + format(b, '09b') for i, b in enumerate(data)) + '100000001'
    bits += '0' * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def ascii85(data):
    import base64
    return base64.a85encode(data) + b'~>'


def pdfs():
    clean = {'findings': ('document',), 'absent': ('pdf-script', 'broken', 'encrypted', 'type-conflict'), 'types': ('application/pdf',)}
    runs = {'findings': ('document', 'pdf-script'), 'absent': ('broken', 'encrypted')}
    js = b'<< /S /JavaScript /JS (app.alert\\(1\\)) >>'
    page = b'BT /F1 12 Tf (Hello) Tj ET ' * 50
    yield file('pdf', office.pdf(b'<< /Type /Pages /Kids [] /Count 0 >>', office.stream(zlib.compress(page), b'/Filter /FlateDecode ')), as_name='a.pdf', **clean)
    yield file('pdf-link', office.pdf(b'<< /A << /S /URI /URI (https://example.com/JS/Launch/JavaScript) >> /OpenAction [ 3 0 R /Fit ] >>'), as_name='a.pdf', **clean)
    yield file('pdf-bytes', office.pdf(office.stream(b'\x01\x02/JS (x) /Launch >> stream')), as_name='a.pdf', **clean)
    yield file('pdf-comment', office.pdf(b'<< /Type /Pages % /JS (\n >>', office.object_stream(b'<< /A 1 >>')), as_name='a.pdf', **clean)
    yield file('pdf-script', office.pdf(b'<< /OpenAction ' + js + b' >>'), as_name='a.pdf', **runs)
    yield file('pdf-script-coded', office.pdf(b'<</S/#4aavaS#63ript/J#53(x)>>'), as_name='a.pdf', **runs)
    yield file('pdf-script-stream', office.pdf(b'<< /S /JavaScript /JS 3 0 R >>', office.stream(zlib.compress(b'app.alert(1)'), b'/Filter /FlateDecode ')), as_name='a.pdf', **runs)
    yield file('pdf-launch', office.pdf(b'<< /AA << /O << /S /Launch /F (cmd.exe) >> >> >>'), as_name='a.pdf', **runs)
    yield file('pdf-objects', office.pdf(office.object_stream(js)), as_name='a.pdf', **runs)
    yield file('pdf-objects-coded', office.pdf(office.object_stream(b'<</S/Java#53cript/#4A#53 5 0 R>>')), as_name='a.pdf', **runs)
    yield file('pdf-objects-type-coded', office.pdf(office.stream(zlib.compress(js), b'/Type /Obj#53tm /Filter [ /Fl#61teDecode ] ')), as_name='a.pdf', **runs)
    yield file('pdf-objects-plain', office.pdf(office.object_stream(js, b'', bytes)), as_name='a.pdf', **runs)
    for name, fields, pack in (('hex', b'/Filter /ASCIIHexDecode ', lambda d: d.hex().encode() + b'>'), ('85', b'/Filter /A85 ', ascii85), ('lzw', b'/Filter /LZWDecode ', lzw),
                               ('twice', b'/Filter [/ASCIIHexDecode /FlateDecode] ', lambda d: zlib.compress(d).hex().encode() + b'>'),
                               ('predictor', b'/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 5 >> ',
                                lambda d: zlib.compress(b''.join(b'\0' + d[i:i + 5] for i in range(0, len(d), 5))))):
        yield file(f'pdf-objects-{name}', office.pdf(office.object_stream(js, fields, pack)), as_name='a.pdf', **runs)
    yield file('pdf-wrong-length', office.pdf(office.stream(zlib.compress(js), b'/Type /ObjStm /Filter /FlateDecode ', length=3)), as_name='a.pdf', **runs)
    yield file('pdf-no-end', office.pdf(b'<< /A (never closed >>', b'<< /S /JavaScript /JS (x) >>'), as_name='a.pdf', findings=('pdf-script',))
    hidden = b'<< >>\nstream\n6 0 obj\n' + js + b'\nendobj\nendstream'  # found by who goes by the table of contents
    yield file('pdf-hidden', office.pdf(hidden), as_name='a.pdf', **runs)
    yield file('pdf-hidden-no-end', office.pdf(b'<< >>\nstream\n', js), as_name='a.pdf', findings=('pdf-script',))
    yield file('pdf-late', b'\n' * 900 + office.pdf(js), as_name='a.pdf', **runs)
    yield file('pdf-objects-broken', office.pdf(office.stream(b'no such thing', b'/Type /ObjStm /Filter /FlateDecode ')), as_name='a.pdf', findings=('broken',))
    embedded = {'findings': ('document', 'executable'), 'names': ('run.exe',), 'types': ('application/x-dosexec',)}
    yield file('pdf-file', office.pdf(b'<< /Type /Filespec /F (x.bin) /UF (run.exe) /EF << /F 3 0 R >> >>', office.stream(zlib.compress(EXE), b'/Type /EmbeddedFile /Filter /FlateDecode ')), as_name='a.pdf', **embedded)
    yield file('pdf-file-no-type', office.pdf(office.object_stream(b'<</EF<</UF 3 0 R>>/UF<FEFF00720075006e002e006500780065>>>'), office.stream(EXE)), as_name='a.pdf', **embedded)
    yield file('pdf-file-no-name', office.pdf(office.stream(EXE, b'/Type /EmbeddedFile ')), as_name='a.pdf', findings=('executable',))
    yield file('pdf-none', b'%PDF-1.4\nnothing here', as_name='a.pdf', findings=('document', 'broken'))


# ---- wrappings
def uu(data, head='begin 644 run.exe', end='end'):
    import binascii
    lines = [head] + [binascii.b2a_uu(data[i:i + 45]).decode().rstrip('\n') for i in range(0, len(data), 45)]
    return '\n'.join(lines + ['`', end])


def binhex(name, data):
    alphabet = '!"#$%&\'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr'
    raw = bytes([len(name)]) + name.encode() + b'\0APPL????' + struct.pack('>HIIH', 0, len(data), 0, 0) + data + b'\0\0' + b'\0\0'
    raw = raw.replace(b'\x90', b'\x90\0')
    bits = ''.join(format(b, '08b') for b in raw)
    bits += '0' * (-len(bits) % 6)
    text = ''.join(alphabet[int(bits[i:i + 6], 2)] for i in range(0, len(bits), 6))
    return '(This file must be converted with BinHex 4.0)\n\n:' + '\n'.join(text[i:i + 64] for i in range(0, len(text), 64)) + ':\n'


def tnef(*attributes):
    out = struct.pack('<IH', 0x223E9F78, 1)
    for level, kind, data in attributes:
        out += struct.pack('<BII', level, kind, len(data)) + data + struct.pack('<H', sum(data) & 0xFFFF)
    return out


def properties(*values):
    out = struct.pack('<I', len(values))
    for kind, number, data in values:
        out += struct.pack('<HHII', kind, number, 1, len(data)) + data + b'\0' * (-len(data) % 4)
    return out


def text_message(text):
    return header() + crlf('Content-Type: text/plain\n\n' + text + '\n')


def wrapped():
    found = {'findings': ('executable',), 'names': ('run.exe',), 'types': ('application/x-dosexec',), 'absent': ('broken',)}
    wrap = lambda kind: {**found, 'findings': ('executable', kind)}
    yield Case('uu-text', text_message('Hello\n' + uu(EXE) + '\nBye'), **wrap('uuencode'))
    yield Case('uu-no-mode', text_message(uu(EXE, 'begin run.exe')), **wrap('uuencode'))
    yield Case('uu-base64', text_message('begin-base64 644 run.exe\n' + b64(EXE).decode().strip() + '\n===='), **wrap('uuencode'))
    yield Case('uu-no-end', text_message(uu(EXE, end='')), findings=('executable', 'uuencode', 'broken'))
    yield Case('uu-none', text_message('begin the day with a run.exe\nand more text\nend'), absent=('uuencode', 'executable'), files=0)
    yield Case('uu-two', text_message(uu(EXE) + '\n' + uu(b'hello', 'begin 600 b.txt')), findings=('uuencode',), names=('run.exe', 'b.txt'))
    yield file('uu-file', uu(EXE).encode(), as_name='a.uue', **wrap('uuencode'))
    yield Case('binhex-text', text_message(binhex('run.exe', EXE)), **wrap('binhex'))
    yield file('binhex-file', binhex('run.exe', EXE).encode(), as_name='a.hqx', **wrap('binhex'))
    title, data, rend = 0x00018010, 0x0006800F, 0x00069002
    yield file('tnef', tnef((1, 0x00089006, b'\0\0\1\0'), (2, rend, b'\0' * 14), (2, title, b'run.exe\0'), (2, data, EXE)), as_name='winmail.dat', **wrap('tnef'))
    long = properties((0x1F, 0x3707, 'run.exe'.encode('utf-16le') + b'\0\0'), (0x1E, 0x370E, b'text/plain\0'))
    yield file('tnef-long-name', tnef((2, rend, b'\0' * 14), (2, title, b'RUN~1.TXT\0'), (2, data, EXE), (2, 0x00069005, long)), as_name='winmail.dat', **wrap('tnef'))
    inner = tnef((2, rend, b'\0' * 14), (2, title, b'run.exe\0'), (2, data, EXE))
    nested = properties((0x0D, 0x3701, b'\0' * 16 + inner))
    yield file('tnef-nested', tnef((2, rend, b'\0' * 14), (2, title, b'message\0'), (2, 0x00069005, nested)), as_name='winmail.dat', **wrap('tnef'))
    yield file('tnef-two', tnef((2, rend, b'\0' * 14), (2, title, b'a.zip\0'), (2, data, zipped([('run.exe', EXE)])), (2, rend, b''), (2, title, b'b.txt\0'), (2, data, b'x')),
               as_name='winmail.dat', findings=('tnef', 'executable'), names=('run.exe', 'a.zip', 'b.txt'))
    yield file('tnef-cut-off', tnef((2, rend, b'\0' * 14), (2, title, b'run.exe\0'), (2, data, EXE))[:-40], as_name='winmail.dat', findings=('tnef', 'broken', 'executable'))
    page = b'<html><a href="data:application/octet-stream;base64,' + b64(EXE).replace(b'\r\n', b'') + b'" download=a.exe>x</a></html>'
    yield file('html-data', page, as_name='a.html', findings=('executable',), types=('application/x-dosexec',))
    yield file('html-picture', b'<html><img src="data:image/png;base64,' + b64(PNG).replace(b'\r\n', b'') + b'"></html>', as_name='a.html', absent=('executable',), files=1)
    szdd = b'SZDD\x88\xf0\x27\x33A\0' + struct.pack('<I', len(EXE)) + b''.join(b'\xff' + EXE[i:i + 8] for i in range(0, len(EXE), 8))
    yield file('szdd', szdd, as_name='run.ex_', findings=('executable', 'archive'), types=('application/x-dosexec',), absent=('broken',))


# ---- names and types
def names():
    yield file('double', EXE, as_name='invoice.pdf.exe', findings=('double-extension', 'executable'), absent=('type-conflict',))
    yield file('double-blanks', EXE, as_name='invoice.pdf' + ' ' * 60 + '.exe', findings=('double-extension', 'executable'))
    yield file('double-script', b'x', as_name='photo.jpg.js', findings=('double-extension', 'script', 'executable'))
    yield file('double-none', zipped([('a.txt', b'x')]), as_name='backup.tar.zip', absent=('double-extension', 'executable'))
    yield file('double-version', office.pdf(b'<< >>'), as_name='report.v1.2.final.pdf', absent=('double-extension', 'executable', 'broken'))
    yield file('double-host', office.pdf(b'<< >>'), as_name='example.com.pdf', absent=('double-extension', 'executable'))
    yield file('double-in-zip', zipped([('a.docx.lnk', LNK)]), as_name='a.zip', findings=('double-extension', 'executable'))
    yield file('bidi-in-zip', zipped([('invoice\u202efdp.exe', EXE)]), as_name='a.zip', findings=('name-bidi', 'executable'), names=('invoicefdp.exe',))
    yield file('control-in-zip', zipped([('run.exe. ', EXE)]), as_name='a.zip', findings=('name-control', 'executable'), names=('run.exe',))
    yield file('control-in-tar', tarred([('a\x01b.exe', EXE)]), as_name='a.tar', findings=('name-control', 'executable'), names=('ab.exe',))
    yield file('exe-as-pdf', EXE, as_name='invoice.pdf', findings=('type-conflict', 'executable'))
    yield file('exe-as-text', EXE, as_name='readme.txt', findings=('type-conflict', 'executable'))
    yield file('exe-as-png', EXE, as_name='a.png', findings=('type-conflict', 'executable'))
    yield Case('exe-declared-picture', attached(EXE, 'attachment', 'image/png'), findings=('type-conflict', 'executable'))
    yield file('exe-no-extension', EXE, as_name='setup', findings=('executable',), absent=('type-conflict',))
    yield file('html-as-pdf', HTML, as_name='invoice.pdf', findings=('type-conflict',))
    yield file('html', HTML, as_name='page.html', absent=('type-conflict', 'executable'))
    yield file('hta-as-html', HTA, as_name='page.html', findings=('type-conflict', 'executable', 'script'), types=('application/hta',))
    yield file('png-as-jpg', PNG, as_name='a.jpg', absent=('type-conflict', 'broken'), types=('image/png',))
    yield file('text-as-zip', b'this is no archive at all', as_name='a.zip', findings=('broken',), absent=('type-conflict',))
    yield file('lnk', LNK, as_name='a.dat', findings=('executable',), types=('application/x-ms-shortcut',))
    yield file('url', b'[InternetShortcut]\r\nURL=file://example.com/x.exe\r\n', as_name='a.url', findings=('executable',))
    yield file('script', b'#!/bin/sh\necho hello\n', as_name='a.pdf', findings=('script', 'type-conflict'))
    yield file('script-as-text', b'#!/bin/sh\necho hello\n', as_name='a.txt', findings=('script',), absent=('type-conflict',))
    yield file('wsf', b'<job id="a"><script language="JScript">x</script></job>', as_name='a.wsf', findings=('script', 'executable'))
    yield file('batch', b'@echo off\r\ndel x\r\n', as_name='a.txt', findings=('script', 'executable', 'type-conflict'))
    yield file('vbs', b'MsgBox 1\r\n', as_name='a.vbs', findings=('script', 'executable'))
    yield file('ps1', b'Write-Host 1\r\n', as_name='a.ps1', findings=('script',))
    yield file('eicar', EICAR, as_name='eicar.com', findings=('executable',))
    yield file('elf', b'\x7fELF\2\1\1' + b'\0' * 60, as_name='tool', findings=('executable',))
    yield file('text', b'Only text.\r\n', as_name='a.txt', absent=('executable', 'script', 'archive', 'type-conflict', 'broken'), types=('text/plain',))
    yield file('utf16-html', '\ufeff<html><script>x</script></html>'.encode('utf-16le'), as_name='a.pdf', findings=('type-conflict',), types=('text/html',))
    yield file('vhd', b'conectix' + b'\0' * 600, as_name='a.vhd', findings=('archive', 'broken'))


# ---- bombs
def zeros(n, level=9):
    c = zlib.compressobj(level, zlib.DEFLATED, 31)
    return b''.join(c.compress(b'\0' * (1 << 20)) for _ in range(n >> 20)) + c.flush()


def bombs():
    yield file('bomb-gzip', zeros(100 << 20), as_name='a.gz', findings=('archive', 'limit-ratio'), absent=('broken',))
    level = zipped([('0.dll', b'\0' * (8 << 20))])
    for depth in range(5):
        level = zipped([(f'{depth}-{i}.zip', level) for i in range(16)])
    yield file('bomb-nested', level, as_name='a.zip', findings=('archive', 'limit-ratio'))
    xz = bytearray(lzma.compress(EXE))
    at = xz.index(b'\x21\x01')
    xz[at + 2] = 40
    yield file('bomb-dictionary', bytes(xz), as_name='a.xz', findings=('limit-size',))
    alone = bytearray(lzma.compress(EXE, format=lzma.FORMAT_ALONE))
    alone[1:5] = b'\0\0\0\xf0'
    yield file('bomb-dictionary-lzma', b'\x5d\0\0' + bytes(alone[3:]), as_name='a.lzma', findings=('limit-size',))
    zip_lzma = bytearray(zipped([('run.exe', EXE)], zipfile.ZIP_LZMA))
    zip_lzma[zip_lzma.index(b'\x05\0\x5d') + 6] = 0x80
    yield file('bomb-dictionary-zip', bytes(zip_lzma), as_name='a.zip', findings=('limit-size',))
    yield file('bomb-names', zipped([(f'{i}.txt', b'') for i in range(6000)], zipfile.ZIP_STORED), as_name='a.zip', findings=('limit-parts',))
    sparse = bytearray(tarred([('a.bin', b'x')]))
    sparse[124:136] = b'%011o\0' % (1 << 32)
    sparse[148:156] = b' ' * 8
    sparse[148:156] = b'%06o\0 ' % sum(sparse[:512])
    yield file('bomb-tar-size', bytes(sparse), as_name='a.tar', findings=('broken',))


# ---- broken
def broken():
    yield file('broken-gzip', gzip.compress(EXE, mtime=0)[:40], as_name='a.gz', findings=('archive', 'broken'))
    yield file('broken-7z', b'7z\xbc\xaf\x27\x1c\0\4' + b'\1' * 60, as_name='a.7z', findings=('archive', 'broken'))
    yield file('broken-rar', b'Rar!\x1a\x07\0' + b'\x05' * 60, as_name='a.rar', findings=('archive', 'broken'))
    yield file('broken-cab', b'MSCF\0\0\0\0' + b'\2' * 60, as_name='a.cab', findings=('archive', 'broken'))
    yield file('broken-tar', tarred([('run.exe', EXE * 4)])[:600], as_name='a.tar', findings=('archive', 'broken', 'executable'))
    yield file('broken-iso', b'\0' * 32769 + b'CD001' + b'\3' * 3000, as_name='a.iso', findings=('archive', 'broken'))


def samples():
    """Debian's clamav-testfiles: each holds a program."""
    for path in sorted(CLAM.glob('clam*')) if CLAM.is_dir() else ():
        unreadable = path.name in ('clam.arj',)
        yield file('clam-' + path.name, path.read_bytes(), as_name='x' + ''.join(path.suffixes if '.exe' not in path.name else path.suffixes[-1:]),
                   findings=('broken',) if unreadable else ('executable',))


def cases():
    for group in (archives, zip_tricks, encrypted, documents, pdfs, wrapped, names, bombs, broken, samples):
        yield from group()
