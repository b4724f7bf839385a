# SPDX-License-Identifier: Apache-2.0
"""Names of attachments, in all the forms they come in and hide in."""
import base64

from case import EXE, PDF, Case, attached, b64

RESUME = 'résumé.pdf'


def word(text, charset='utf-8', form='B'):
    data = text.encode(charset)
    if form == 'B':
        return f'=?{charset}?B?{base64.b64encode(data).decode()}?='
    return f'=?{charset}?Q?' + ''.join(f'={b:02X}' if b > 126 or b in b'=?_ ' else chr(b) for b in data) + '?='


def percent(text, charset='utf-8'):
    return ''.join(chr(b) if chr(b).isascii() and chr(b).isalnum() or b in b'.-' else f'%{b:02X}' for b in text.encode(charset))


def plain():
    for i, d in enumerate(['attachment; filename=a.pdf', 'attachment; filename="a.pdf"', 'ATTACHMENT; FileName="a.pdf"', 'attachment ; filename = "a.pdf" ;',
                           'attachment; size=3; filename=a.pdf; x=y', 'attachment;\r\n filename="a.pdf"', 'attachment;filename=a.pdf',
                           'attachment; filename="a\\.pdf"', "attachment; filename*=utf-8''a.pdf", "attachment; filename*=us-ascii'en'a%2Epdf",
                           'attachment; filename*0=a.; filename*1=pdf', 'attachment; filename*0="a"; filename*1=".pdf"',
                           "attachment; filename*0*=utf-8''a; filename*1=.pdf", 'attachment; filename*1=.pdf; filename*0=a',
                           'attachment; filename="=?us-ascii?Q?a.pdf?="', 'attachment; filename==?utf-8?B?YS5wZGY=?=',
                           'attachment; filename="a.pdf"; filename="a.pdf"']):
        yield Case(f'plain-{i}', attached(PDF, d), names=('a.pdf',), types=('application/pdf',), files=1,
                   absent=('name-conflict', 'executable', 'limit-depth'))
    yield Case('only-name', attached(PDF, 'attachment', 'application/pdf; name="a.pdf"'), names=('a.pdf',), findings=('document',), exactly=True)
    yield Case('both-equal', attached(PDF, 'attachment; filename="a.pdf"', 'application/pdf; name="a.pdf"'), names=('a.pdf',), absent=('name-conflict',))
    yield Case('name-in-disposition', attached(PDF, 'attachment; name="a.pdf"'), names=('a.pdf',))
    yield Case('filename-in-type', attached(PDF, None, 'application/pdf; filename="a.pdf"'), names=('a.pdf',))
    yield Case('none', attached(PDF, 'attachment'), findings=('document',), types=('application/pdf',), files=1)


def encoded():
    for charset in ('utf-8', 'iso-8859-1', 'windows-1252', 'iso-8859-15'):
        for form in 'BQ':
            yield Case(f'word-{charset}-{form}', attached(PDF, f'attachment; filename="{word(RESUME, charset, form)}"'), names=(RESUME,))
        yield Case(f'percent-{charset}', attached(PDF, f"attachment; filename*={charset}''{percent(RESUME, charset)}"), names=(RESUME,),
                   absent=('name-conflict', 'mime-broken'))
    japanese = '請求書.pdf'
    for charset in ('iso-2022-jp', 'shift_jis', 'euc-jp', 'utf-8', 'gb18030'):
        yield Case(f'word-{charset}', attached(PDF, f'attachment; filename="{word(japanese, charset)}"'), names=(japanese,))
        yield Case(f'percent-{charset}-cjk', attached(PDF, f"attachment; filename*={charset}'ja'{percent(japanese, charset)}"), names=(japanese,))
    yield Case('big5', attached(PDF, f'attachment; filename="{word("發票.pdf", "big5")}"'), names=('發票.pdf',))
    yield Case('koi8-r', attached(PDF, f'attachment; filename="{word("счёт.pdf", "koi8-r", "Q")}"'), names=('счёт.pdf',))
    yield Case('euc-kr', attached(PDF, f'attachment; filename="{word("송장.pdf", "euc-kr")}"'), names=('송장.pdf',))
    yield Case('windows-1251', attached(PDF, f'attachment; filename="{word("счет.pdf", "windows-1251")}"'), names=('счет.pdf',))
    data = '請求書'.encode()
    halves = f'=?utf-8?B?{base64.b64encode(data[:4]).decode()}?= =?utf-8?B?{base64.b64encode(data[4:] + b".exe").decode()}?='
    yield Case('word-cut-in-character', attached(EXE, f'attachment; filename="{halves}"'), names=('請求書.exe',), findings=('executable',))
    yield Case('words-folded', attached(EXE, 'attachment;\r\n filename="=?utf-8?Q?a=2E?=\r\n =?utf-8?Q?exe?="'), names=('a.exe',), findings=('executable',))
    yield Case('words-without-blank', attached(EXE, 'attachment; filename="=?utf-8?Q?a=2E?==?utf-8?Q?exe?="'), names=('a.exe',), findings=('executable',))
    yield Case('word-language', attached(EXE, 'attachment; filename="=?utf-8*en?Q?a=2Eexe?="'), names=('a.exe',), findings=('executable',))
    yield Case('word-blank-in-it', attached(EXE, 'attachment; filename="=?utf-8?Q?a b.exe?="'), names=('a b.exe',), findings=('executable',))
    yield Case('word-unknown-charset', attached(EXE, 'attachment; filename="=?x-none?Q?a=2Eexe?="'), names=('a.exe',), findings=('executable',))
    yield Case('word-within', attached(EXE, 'attachment; filename="in=?utf-8?Q?voice=2Ee?=xe"'), names=('invoice.exe',), findings=('executable',))
    yield Case('raw-utf-8', attached(PDF, f'attachment; filename="{RESUME}"'), names=(RESUME,))
    message = attached(PDF, 'attachment; filename="r@sum@.pdf"').replace(b'r@sum@', b'r\xe9sum\xe9')
    yield Case('raw-windows-1252', message, names=(RESUME,))
    yield Case('percent-without-charset', attached(EXE, 'attachment; filename*=a%2Eexe'), names=('a.exe',), findings=('executable',))
    yield Case('percent-bad', attached(EXE, "attachment; filename*=utf-8''a%zz%2Eexe"), names=('a%zz.exe',), findings=('executable',))
    yield Case('word-in-sections', attached(EXE, 'attachment; filename*0="=?utf-8?B?YS5l"; filename*1="eGU=?="'), names=('a.exe',), findings=('executable',))
    many = ''.join(f' filename*{i}="{c}";' for i, c in enumerate('an_invoice_in_many_sections.exe'))
    yield Case('many-sections', attached(EXE, 'attachment;' + many), names=('an_invoice_in_many_sections.exe',), findings=('executable',))
    cut = percent('請')
    yield Case('sections-cut-in-character', attached(EXE, f"attachment; filename*0*=utf-8''{cut[:6]}; filename*1*={cut[6:]}.exe"), names=('請.exe',))


def conflicts():
    conflict = {
        'name-filename': ('attachment; filename="a.txt"', 'application/octet-stream; name="a.exe"'),
        'filename-name': ('attachment; filename="a.exe"', 'application/octet-stream; name="a.txt"'),
        'two-filenames': ('attachment; filename="a.txt"; filename="a.exe"', 'application/octet-stream'),
        'two-filenames-back': ('attachment; filename="a.exe"; filename="a.txt"', 'application/octet-stream'),
        'two-names': (None, 'application/octet-stream; name=a.txt; name=a.exe'),
        'plain-and-percent': ("attachment; filename=a.txt; filename*=utf-8''a.exe", 'application/octet-stream'),
        'percent-and-plain': ("attachment; filename*=utf-8''a.txt; filename=a.exe", 'application/octet-stream'),
        'plain-and-sections': ('attachment; filename=a.txt; filename*0=a.; filename*1=exe', 'application/octet-stream'),
        'two-dispositions': ('attachment; filename=a.txt\r\nContent-Disposition: attachment; filename=a.exe', 'application/octet-stream'),
        'two-types': (None, 'application/octet-stream; name=a.txt\r\nContent-Type: application/octet-stream; name=a.exe'),
    }
    for name, (disposition, content_type) in conflict.items():
        yield Case(f'conflict-{name}', attached(EXE, disposition, content_type), first_names=('a.exe',), names=('a.txt', 'a.exe'),
                   findings=('name-conflict', 'executable'))
    yield Case('fallback', attached(PDF, f"attachment; filename=\"r?sum?.pdf\"; filename*=utf-8''{percent(RESUME)}"), names=(RESUME, 'r?sum?.pdf'),
               absent=('name-conflict', 'mime-broken'))
    yield Case('conflict-same-extension', attached(PDF, 'attachment; filename=a.pdf', 'application/pdf; name=b.pdf'), findings=('name-conflict',))


def hidden():
    """What readers understand differently: the executable is found by any reading."""
    for i, d in enumerate([
            'attachment; filename=a.exe(.txt)', 'attachment; filename=(x)a.exe', 'attachment; filename="a.exe', 'attachment; filename="a".exe',
            'attachment; filename="a.txt".exe', 'attachment; filename=a.txt;.exe', 'attachment; filename=a;b.exe', 'attachment; filename=a b.exe',
            'attachment; filename=a.exe b', 'attachment (; filename=no); filename=a.exe', 'attachment; filename="a.ex\\e"', 'attachment; filename=a.exe;;;',
            'attachment filename=a.exe', 'attachment; ; filename=a.exe', 'attachment; x; filename=a.exe', 'attachment; "x; filename=a.exe',
            'attachment; x="; filename=a.exe', 'attachment; filename*0=a.; filename*2=exe', 'attachment; filename*1=a.; filename*2=exe',
            'attachment; filename*0=a.; filename*0=b.; filename*1=exe', "attachment; filename*0*=utf-8''a%2E; filename*1*=ex%65",
            'attachment; filename*01=a.exe', "attachment; filename*='a.exe", "attachment; filename*=''a.exe", 'attachment; filename="a.txt" x="y"; filename="b.exe"',
            'filename=a.exe', '; filename=a.exe', 'attachment; filename=\ta.exe', 'attachment; filename="a.exe "', 'attachment; filename="a.exe."',
            'attachment; filename=a.exe\x0c', "attachment; filename='a.exe'"]):
        yield Case(f'hidden-{i}', attached(EXE, d), findings=('executable',), types=('application/x-dosexec',))
    for i, d in enumerate(['attachment; filename="a.txt".exe', 'attachment; filename=a.txt;.exe', 'attachment; filename=a b.exe', 'attachment; filename=a;b.exe',
                           'attachment; filename*1=a.; filename*2=exe', 'attachment; filename*0=a.; filename*2=exe', 'attachment; filename="a.exe',
                           'attachment; x; filename=a.exe', 'attachment (; filename=no); filename=a.exe', 'attachment filename=a.exe']):
        yield Case(f'hidden-text-{i}', attached(b'just words\r\n', d), findings=('executable',))
    yield Case('control', attached(EXE, 'attachment; filename="a\x01b.exe"'), names=('ab.exe',), findings=('name-control', 'executable'))
    yield Case('nul', attached(EXE, 'attachment; filename="a.exe\0.txt"'), names=('a.exe', 'a.exe.txt'), findings=('name-control', 'executable', 'mime-broken'))
    yield Case('nul-encoded', attached(EXE, "attachment; filename*=utf-8''a.exe%00.txt"), names=('a.exe', 'a.exe.txt'), findings=('name-control', 'executable'))
    yield Case('bidi', attached(EXE, "attachment; filename*=utf-8''" + percent('a\u202etxt.exe')), findings=('name-bidi', 'executable'))
    yield Case('double', attached(EXE, 'attachment; filename="a.pdf.exe"'), findings=('double-extension', 'executable'))
    yield Case('windows-path', attached(EXE, 'attachment; filename="C:\\\\temp\\\\a.exe"'), findings=('executable',))
    yield Case('long', attached(b'x', 'attachment; filename="' + 'a' * 5000 + '.exe"'), findings=('name-conflict', 'executable'))
    yield Case('long-then', attached(b'x', 'attachment; filename="a.txt' + ' ' * 3000 + '.exe"'), findings=('executable',))
    yield Case('many-params', attached(b'x', 'attachment; ' + '; '.join(f'x{i}=y' for i in range(300)) + '; filename=a.exe'), findings=('mime-broken',))
    yield Case('cr-in-field', attached(b'x', 'attachment\rContent-Disposition: attachment; filename=a.exe'), findings=('mime-broken', 'executable'))


def cases():
    for family in (plain, encoded, conflicts, hidden):
        yield from family()
