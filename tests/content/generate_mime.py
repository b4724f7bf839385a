# SPDX-License-Identifier: Apache-2.0
"""Structure: parts, boundaries, encodings, and all that is ambiguous about them."""
import binascii
import quopri

from case import EXE, PDF, TEXT, Case, attached, attachment, b64, crlf, header, multipart, part, raw_part

EXE_PART = attachment(EXE, 'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=a.exe\n')
PDF_PART = attachment(PDF, 'Content-Type: application/pdf; name=a.pdf\n')
HTML_PART = part('Content-Type: text/html; charset=utf-8\n', '<p>Hello <b>there</b>.')
DOS = 'application/x-dosexec'


def uuencode(data, name='a.exe'):
    out = f'begin 644 {name}\n'.encode()
    for i in range(0, len(data), 45):
        out += binascii.b2a_uu(data[i:i + 45])
    return crlf(out + b'`\nend\n')


def well_formed():
    yield Case('text', header() + crlf('\nHello there.\n'), declared=('text/plain',), text=('Hello there.',), exactly=True, files=0, subject='A message')
    yield Case('empty', b'', declared=('text/plain',), parts=1, exactly=True)
    yield Case('empty-line', b'\r\n', parts=1, exactly=True)
    yield Case('header-only', header(), parts=1, exactly=True, fields=(('Subject', 'A message'),))
    yield Case('header-without-line-end', header().rstrip(b'\r\n'), parts=1, exactly=True)
    yield Case('body-only', crlf('\nHello there.\n'), text=('Hello there.',), parts=1)
    yield Case('mixed', header() + multipart([TEXT, PDF_PART, EXE_PART]), declared=('multipart/mixed', 'text/plain', 'application/pdf', 'application/octet-stream'),
               types=('application/pdf', DOS), files=2, findings=('document', 'executable'), exactly=True, text=('Hello there.',))
    yield Case('alternative', header() + multipart([TEXT, HTML_PART], kind='alternative'), declared=('multipart/alternative', 'text/plain', 'text/html'),
               exactly=True, files=0, text=('Hello there.',))
    nested = multipart([multipart([TEXT, HTML_PART], 'in', 'alternative'), PDF_PART], 'out')
    yield Case('nested', header() + nested, parts=5, files=1, findings=('document',), exactly=True)
    yield Case('root-file', header() + EXE_PART, findings=('executable',), types=(DOS,), files=1, parts=1)
    yield Case('lf-only', (header() + nested).replace(b'\r\n', b'\n'), parts=5, findings=('document',), exactly=True)
    yield Case('preamble', header() + multipart([TEXT], preamble=crlf('This is a message in MIME format.\n'), epilogue=crlf('And more.\n')), parts=2, exactly=True,
               no_text=('MIME format', 'And more'))
    yield Case('boundary-folded', header() + multipart([TEXT], '=_c', fields='Content-Type: multipart/mixed;\n\tboundary="=_c"\n'), parts=2, exactly=True)
    yield Case('boundary-sections', header() + multipart([TEXT], 'abcd', fields='Content-Type: multipart/mixed; boundary*0=ab; boundary*1=cd\n'), parts=2, exactly=True)
    yield Case('boundary-blanks-behind', header() + multipart([TEXT, PDF_PART]).replace(b'--=_b\r\n', b'--=_b \t\r\n'), parts=3, findings=('document',), exactly=True)
    yield Case('boundary-prefix', header() + multipart([multipart([TEXT, PDF_PART], 'abc-1', 'related'), PDF_PART], 'abc'), parts=5, files=2,
               findings=('document',), exactly=True)
    yield Case('boundary-prefix-outside', header() + multipart([multipart([TEXT, PDF_PART], 'abc', 'related'), PDF_PART], 'abc-1'), parts=5, files=2,
               findings=('document',), exactly=True)
    message = header('Inner') + multipart([TEXT, EXE_PART], 'inner')
    yield Case('rfc822', header() + multipart([TEXT, raw_part('Content-Type: message/rfc822\n', message)]), findings=('message', 'executable'), exactly=True,
               declared=('multipart/mixed', 'text/plain', 'message/rfc822', 'multipart/mixed', 'text/plain', 'application/octet-stream'))
    yield Case('rfc822-root', header() + raw_part('Content-Type: message/rfc822\n', message), findings=('message', 'executable'), exactly=True, parts=4)
    yield Case('digest', header() + multipart([b'\r\n' + message, b'\r\n' + header('Two') + crlf('\nWords.\n')], kind='digest'), findings=('message', 'executable'),
               exactly=True, parts=7, text=('Words.',))
    yield Case('quoted-printable', header() + raw_part('Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n',
               crlf(quopri.encodestring('Schöne Grüße = mit = Zeichen\n'.encode()))), text=('Schöne Grüße = mit = Zeichen',), exactly=True)
    yield Case('content-id', header() + multipart([HTML_PART, attachment(b'GIF89a' + b'\0' * 30, 'Content-Type: image/gif\nContent-ID: <x@y>\n')], kind='related'),
               findings=('image',), exactly=True, files=1)
    yield Case('text-attached', header() + multipart([TEXT, part('Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n', 'Not shown.')]),
               files=1, no_text=('Not shown',), exactly=True)
    yield Case('eml-attached', attached(message, 'attachment; filename=a.eml'), findings=('message', 'executable'))
    yield Case('mbox-line', b'From someone Sat Nov 21\r\n' + header() + crlf('\nHello there.\n'), text=('Hello there.',), subject='A message', exactly=True)
    yield Case('report', header() + multipart([TEXT, part('Content-Type: message/delivery-status\n', 'Reporting-MTA: dns; a.example\n\nAction: failed\n'),
               part('Content-Type: text/rfc822-headers\n', 'Subject: Old\n')], kind='report'), parts=4)
    for i, e in enumerate(('7bit', '8bit', 'binary', '8BIT', ' 7Bit ', '')):
        yield Case(f'encoding-{i}', header() + raw_part(f'Content-Transfer-Encoding: {e}\n', b'Hello there.\r\n'), text=('Hello there.',), exactly=True)


def boundaries():
    two = [TEXT, EXE_PART]
    broken = ('mime-broken', 'executable')
    yield Case('no-close', header() + multipart(two, close=False), findings=broken, parts=3)
    yield Case('no-boundary-parameter', header() + multipart(two, fields='Content-Type: multipart/mixed\n'), findings=broken, types=(DOS,))
    yield Case('wrong-boundary-parameter', header() + multipart(two, fields='Content-Type: multipart/mixed; boundary=other\n'), findings=broken, types=(DOS,))
    yield Case('empty-boundary', header() + multipart(two, fields='Content-Type: multipart/mixed; boundary=""\n'), findings=broken, types=(DOS,))
    yield Case('two-boundaries', header() + multipart(two, 'one', fields='Content-Type: multipart/mixed; boundary=two; boundary=one\n'), findings=broken, types=(DOS,))
    both = multipart([TEXT, b'Content-Type: text/plain\r\n\r\n--two\r\n' + EXE_PART + b'\r\n--two--'], 'one',
                     fields='Content-Type: multipart/mixed; boundary=one; boundary=two\n')
    yield Case('two-boundaries-both', header() + both, findings=broken, types=(DOS,))
    yield Case('two-type-fields', header() + multipart(two, 'one', fields='Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=one\n'),
               findings=broken, types=(DOS,))
    yield Case('two-type-fields-back', header() + multipart(two, 'one', fields='Content-Type: multipart/mixed; boundary=one\nContent-Type: text/plain\n'),
               findings=broken, types=(DOS,))
    yield Case('same-boundary-nested', header() + multipart([TEXT, multipart([TEXT, EXE_PART], 'same')], 'same'), findings=broken, types=(DOS,))
    yield Case('text-behind-boundary', header() + multipart(two).replace(b'--=_b\r\n', b'--=_b junk\r\n'), findings=broken, types=(DOS,))
    # a delimiter to some: the file is whole by the other reading only
    split = EXE_PART[:200] + b'\r\n--=_bjunk\r\n' + EXE_PART[200:]
    yield Case('junk-boundary-in-file', header() + multipart([TEXT, split]), findings=('mime-broken',), types=(DOS,))
    yield Case('boundary-comment', header() + multipart(two, 'one', fields='Content-Type: multipart/mixed; boundary=(x)one\n'), findings=('executable',), types=(DOS,))
    yield Case('boundary-blank', header() + multipart(two, 'one two', fields='Content-Type: multipart/mixed; boundary=one two\n'), findings=broken, types=(DOS,))
    yield Case('boundary-quote-open', header() + multipart(two, 'one', fields='Content-Type: multipart/mixed; boundary="one\n'), findings=broken, types=(DOS,))
    yield Case('boundary-percent', header() + multipart(two, 'on1', fields="Content-Type: multipart/mixed; boundary*=us-ascii''on%31\n"), types=(DOS,),
               findings=('executable',))
    yield Case('boundary-long', header() + multipart(two, 'x' * 300), findings=broken, types=(DOS,))
    yield Case('file-behind-close', header() + multipart([TEXT], epilogue=b'--=_b\r\n' + EXE_PART + b'\r\n--=_b--\r\n'), findings=broken, types=(DOS,))
    yield Case('file-in-preamble', header() + multipart([TEXT], preamble=EXE_PART + b'\r\n'), findings=broken, types=(DOS,))
    yield Case('file-in-epilogue', header() + multipart([TEXT], epilogue=EXE_PART + b'\r\n'), findings=broken, types=(DOS,))
    yield Case('uuencode-in-preamble', header() + multipart([TEXT], preamble=uuencode(EXE)), findings=('uuencode', 'executable'), types=(DOS,))
    yield Case('uuencode-in-epilogue', header() + multipart([TEXT], epilogue=uuencode(EXE)), findings=('uuencode', 'executable'), types=(DOS,))
    yield Case('boundary-behind-cr', header() + multipart(two).replace(b'\r\n--=_b\r\n', b'\r--=_b\r\n'), findings=broken, types=(DOS,), cut=False)
    yield Case('no-delimiters', header() + crlf('Content-Type: multipart/mixed; boundary=x\n\nHello there.\n'), findings=('mime-broken',), text=('Hello there.',))
    yield Case('nested-unclosed', header() + multipart([multipart([TEXT, PDF_PART], 'in', close=False), EXE_PART], 'out'), findings=broken, types=(DOS,))
    yield Case('close-first', header() + crlf('Content-Type: multipart/mixed; boundary=x\n\n--x--\n--x\n') + EXE_PART + b'\r\n--x--\r\n', findings=broken, types=(DOS,))
    yield Case('part-without-header', header() + multipart([b'\r\nHello there.', EXE_PART]), text=('Hello there.',), findings=('executable',), exactly=True)
    yield Case('part-without-empty-line', header() + multipart([b'Hello there.', EXE_PART]), text=('Hello there.',), findings=('executable',))
    yield Case('type-without-slash', header() + multipart(two, 'one', fields='Content-Type: multipart; boundary=one\n'), types=(DOS,), findings=('executable',))
    yield Case('type-quoted', header() + multipart(two, 'one', fields='Content-Type: "multipart/mixed"; boundary=one\n'), types=(DOS,), findings=broken)
    yield Case('type-comment', header() + multipart(two, 'one', fields='Content-Type: multi(x)part/mixed (y); boundary=one\n'), types=(DOS,), findings=('executable',))
    yield Case('type-no-semicolon', header() + multipart(two, 'one', fields='Content-Type: multipart/mixed boundary=one\n'), types=(DOS,), findings=('executable',))


def encodings():
    def message(encoding, body, name='a.exe'):
        return header() + multipart([TEXT, raw_part(f'Content-Type: application/octet-stream; name={name}\nContent-Transfer-Encoding: {encoding}\n', body)])
    exe = b64(EXE)
    for i, e in enumerate(('base64', 'BASE64', ' Base64 ')):
        yield Case(f'base64-{i}', message(e, exe), types=(DOS,), starts=(b'MZ',), absent=('mime-broken',))
    for i, e in enumerate(('base64 (comment)', '"base64"', 'x-base64', 'base64 junk', '8bit, base64', 'base64;', 'ba(x)se64', 'base64=')):
        yield Case(f'base64-strange-{i}', message(e, exe), types=(DOS,), starts=(b'MZ',), findings=('mime-broken',))
    yield Case('unknown-encoding-base64', message('x-own', exe), types=(DOS,), findings=('mime-broken',))
    yield Case('two-encodings', message('7bit\nContent-Transfer-Encoding: base64', exe), types=(DOS,), findings=('mime-broken',))
    yield Case('two-encodings-back', message('base64\nContent-Transfer-Encoding: 7bit', exe), types=(DOS,), findings=('mime-broken',))
    yield Case('two-encodings-qp', message('quoted-printable\nContent-Transfer-Encoding: base64', exe), types=(DOS,), findings=('mime-broken',))
    yield Case('base64-junk', message('base64', exe[:20] + b'!#%*-' + exe[20:]), types=(DOS,), starts=(EXE[:16],), findings=('mime-broken',))
    yield Case('base64-no-padding', message('base64', exe.replace(b'=', b'')), types=(DOS,))
    yield Case('base64-one-line', message('base64', exe.replace(b'\r\n', b'')), types=(DOS,))
    yield Case('base64-behind-padding', message('base64', b64(b'some words!') + exe), types=(DOS,), findings=('mime-broken',))
    yield Case('base64-padding-first', message('base64', b'====\r\n' + exe), types=(DOS,), findings=('mime-broken',))
    yield Case('base64-cut', message('base64', exe[:79]), findings=('broken',))
    yield Case('base64-none', header() + raw_part('Content-Type: text/plain\nContent-Transfer-Encoding: base64\n', b'These are words, as anybody can see.\r\n'),
               text=('These are words',), findings=('broken', 'mime-broken'))
    yield Case('base64-text', header() + raw_part('Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n', b64('Schöne Grüße http://a.example/')),
               text=('Schöne Grüße',), links=('http://a.example/',), exactly=True)
    qp = crlf(quopri.encodestring(EXE))
    yield Case('quoted-printable-file', message('quoted-printable', qp), types=(DOS,), starts=(b'MZ\x90',))
    yield Case('quoted-printable-lower', header() + raw_part('Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8\n',
               b'Gr=c3=bc=C3=9Fe =\r\n=zz = x=\r\n'), text=('Grüße =zz = x',))
    yield Case('quoted-printable-blanks', header() + raw_part('Content-Transfer-Encoding: quoted-printable\n', b'a  \r\nb=20\r\nc= \r\nd\r\n'), text=('a\nb \ncd',))
    yield Case('uuencode-encoding', message('x-uuencode', uuencode(EXE)), types=(DOS,), findings=('executable',))
    yield Case('uuencode-text', header() + b'\r\nHello there.\r\n' + uuencode(EXE, 'invoice.exe'), findings=('uuencode', 'executable'), names=('invoice.exe',))
    inner = header('Inner') + multipart([TEXT, EXE_PART], 'inner')
    yield Case('rfc822-base64', header() + multipart([TEXT, attachment(inner, 'Content-Type: message/rfc822\n')]), types=(DOS,),
               findings=('message', 'mime-broken', 'executable'))
    yield Case('multipart-base64', header() + crlf('Content-Transfer-Encoding: base64\nContent-Type: multipart/mixed; boundary=inner\n\n') +
               b64(inner.split(b'\r\n\r\n', 1)[1]), types=(DOS,), findings=('mime-broken', 'executable'))
    yield Case('multipart-says-base64', header() + crlf('Content-Transfer-Encoding: base64\n') + multipart([TEXT, EXE_PART]), types=(DOS,),
               findings=('mime-broken', 'executable'))
    yield Case('partial', header() + crlf('Content-Type: message/partial; number=1; total=2; id="x"\n\nSubject: Inner\nContent-Type: application/octet-stream; name=a.exe\n'
               '\nTVqQ\n'), findings=('message', 'mime-broken', 'executable'))
    yield Case('external-body', header() + crlf('Content-Type: message/external-body; access-type=URL; URL="http://a.example/a.exe"\n\n'
               'Content-Type: application/octet-stream; name=a.exe\n\n'), findings=('message', 'external-link', 'executable'))


def headers():
    exe = multipart([TEXT, EXE_PART], 'one', fields='')
    lead = crlf('From: a@example.com\nSubject: A message\n')
    field = b'Content-Type: multipart/mixed; boundary=one\r\n'
    assert exe.startswith(b'\r\n')
    yield Case('line-that-is-no-field', lead + b'this is no field\r\n' + field + exe, findings=('mime-broken', 'executable'), types=(DOS,))
    yield Case('continuation-first', b' continued\r\n' + lead + field + exe, findings=('executable',), types=(DOS,))
    yield Case('blank-before-colon', lead + field.replace(b':', b' :') + exe, findings=('mime-broken', 'executable'), types=(DOS,))
    yield Case('line-of-blanks', lead + b'Content-Type: multipart/mixed;\r\n \r\n boundary=one\r\n' + exe, findings=('executable',), types=(DOS,))
    yield Case('line-of-blanks-hides', lead + b'X: y\r\n \t\r\n' + field + exe, findings=('mime-broken', 'executable'), types=(DOS,))
    yield Case('nul-in-field', lead + field.replace(b'mixed', b'mi\0xed') + exe, findings=('mime-broken', 'executable'), types=(DOS,))
    yield Case('cr-hides-field', lead + b'X: y\r' + field + exe, findings=('mime-broken', 'executable'), types=(DOS,))
    yield Case('no-empty-line', lead + b'Hello there, this is text.\r\nMore.\r\n', text=('Hello there, this is text.',), findings=('mime-broken',))
    yield Case('raw-utf-8', crlf('Subject: Grüße\n\n'), subject='Grüße', exactly=True)
    yield Case('raw-windows-1252', 'Subject: Grüße – x\r\n\r\n'.encode('cp1252'), subject='Grüße – x', exactly=True)
    yield Case('raw-iso-2022-jp', 'Subject: 請求書\r\n\r\n'.encode('iso-2022-jp'), subject='請求書', exactly=True)
    yield Case('many-fields', b''.join(b'X-%d: y\r\n' % i for i in range(2500)) + b'\r\nHello there.\r\n', findings=('limit-parts',), text=('Hello there.',))
    yield Case('folded-subject', crlf('Subject: one\n two\n\tthree\n\n'), subject='one two\tthree')
    for i, (raw, want) in enumerate([
            ('=?utf-8?B?R3LDvMOfZQ==?=', 'Grüße'), ('=?iso-8859-1?Q?Gr=FC=DFe?= x', 'Grüße x'), ('=?utf-8?Q?a?= =?utf-8?Q?b?=', 'ab'), ('=?utf-8?Q?a?= b', 'a b'),
            ('=?utf-8?Q?a_b?=', 'a b'), ('=?utf-8?B?R3LDvMOfZQ?=', 'Grüße'), ('=?utf-8?Q?open', '=?utf-8?Q?open'), ('=?gb2312?B?xOO6ww==?=', '你好'),
            ('=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=', 'こんにちは'), ('=?shift_jis?B?grGC8YLJgr+CzQ==?=', 'こんにちは'), ('=?koi8-r?B?8NLJ18XU?=', 'Привет'),
            ('=?big5?B?p0Gmbg==?=', '你好'), ('=?utf-8?X?a?=', '=?utf-8?X?a?='), ('=?utf-8?Q?=FF?=', '\ufffd'), ('=??Q?a?=', 'a'), ('=?utf-7?Q?+AGE-?=', 'a')]):
        yield Case(f'subject-{i}', crlf(f'Subject: {raw}\n\nText.\n'), subject=want)


def limits():
    yield Case('many-parts', header() + multipart([b'\r\nx'] * 20000), findings=('limit-parts',))
    deep = TEXT
    for i in range(150):
        deep = multipart([deep], f'b{i}')
    yield Case('deep', header() + deep, findings=('limit-depth',))
    deep = header() + b'\r\nHello there.\r\n'
    for i in range(40):
        deep = header(str(i)) + crlf('Content-Type: message/rfc822\n\n') + deep
    yield Case('deep-messages', deep, findings=('limit-depth', 'message'))
    same = TEXT
    for i in range(60):
        same = multipart([same], 'x')
    yield Case('deep-same-boundary', header() + same, findings=('mime-broken',))


def cases():
    for family in (well_formed, boundaries, encodings, headers, limits):
        yield from family()
