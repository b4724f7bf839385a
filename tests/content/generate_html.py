# SPDX-License-Identifier: Apache-2.0
"""HTML: what is seen, what is hidden, where it leads; and addresses in text."""
from case import Case, b64, crlf, header, multipart, part, raw_part


def html(body, charset='utf-8', **expected):
    def make(name):
        data = body.encode(charset) if isinstance(body, str) else body
        return Case(name, header() + raw_part(f'Content-Type: text/html; charset={charset}\nContent-Transfer-Encoding: base64\n', b64(data)), **expected)
    return make


def text(body, **expected):
    return lambda name: Case(name, header() + raw_part('Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n', b64(body)), **expected)


HIDES = {
    'display': 'style="display:none"', 'display-blanks': 'style=" DISPLAY : None ! important ; "', 'visibility': "style='visibility:hidden'",
    'size': 'style="font-size:0"', 'size-px': 'style="color:red;font-size:0px"', 'size-1px': 'style="font-size: 1px"', 'opacity': 'style=opacity:0',
    'colour': 'style="color:#fff"', 'colour-near': 'style="color:#fefefe"', 'colour-rgb': 'style="color: rgb(255, 255, 255)"', 'colour-name': 'style="color:white"',
    'colour-clear': 'style="color:transparent"', 'background': 'style="color:#123456;background-color:#123456"', 'background-short':
    'style="background:#000 none;color:black"', 'mso': 'style="mso-hide:all"', 'height': 'style="max-height:0;overflow:hidden"', 'hidden': 'hidden',
    'indent': 'style="text-indent:-9999px"', 'away': 'style="position:absolute;left:-5000px"', 'entity': 'style="display&#58;none"', 'em': 'style="font-size:0.1em"',
}
SHOWS = {
    'plain': '', 'size': 'style="font-size:12px"', 'colour': 'style="color:#333"', 'white-on-black': 'style="color:#fff;background:#000"', 'block': 'style="display:block"',
    'opacity': 'style="opacity:1"', 'percent': 'style="font-size:100%"', 'image': 'style="background-image:url(x.png);color:#fff"', 'em': 'style="font-size:1.2em"',
    'indent': 'style="text-indent:-20px"', 'height': 'style="max-height:0"',
}


def shown():
    for name, attribute in HIDES.items():
        for tag in ('span', 'div', 'td'):
            yield f'hides-{name}-{tag}', html(f'<html><body>Before <{tag} {attribute}>secret <b>words</b></{tag}> behind', text=('Before', 'behind'), hidden=('secret words',),
                                              no_text=('secret', 'words'), exactly=True)
    for name, attribute in SHOWS.items():
        yield f'shows-{name}', html(f'<body>Before <span {attribute}>open words</span> behind', text=('Before open words behind',))
    yield 'cell-without-size', html('<table><tr><td style="font-size:0">hid<span style="font-size:14px">open</span></td></tr></table>', text=('open',), hidden=('hid',),
                                    no_text=('hid',))
    yield 'font-colour', html('<body bgcolor=#112233>a<font color="#112233">hid</font>b', text=('ab',), hidden=('hid',))
    yield 'table-colour', html('<table bgcolor=red><td><font color=red>hid</font></td><td>open</td></table>', text=('open',), hidden=('hid',))
    for i, css in enumerate(('.x{display:none}', 'p.y, span.x { font-size:0 }', '/* c */ @import "a"; .x{color:#fff}', '<!-- .x{visibility:hidden} -->', '#z{display:none}')):
        yield f'sheet-{i}', html(f'<style>{css}</style><p>open <span class="a x b" id=z>hid</span>', text=('open',), hidden=('hid',), no_text=('hid',))
    for i, css in enumerate(('@media print{.x{display:none}}', '.x{color:red}', '.x:hover{display:none}', '.w .x {display:none}', '.x', '.x{', '@media{.x{display:none}')):
        yield f'sheet-shows-{i}', html(f'<style>{css}</style><p>open <span class="x">too</span>', text=('open too',))
    yield 'marks', html('<h1>One</h1><p>Two<br>Three<ul><li>Four<li>Five</ul><table><tr><td>Six<td>Seven<tr><td>Eight</table>Nine',
                        text=('One\nTwo\nThree\nFour\nFive\nSix Seven\nEight\nNine',))
    yield 'entities', html('a&amp;b &lt;c&gt; &eacute;&#233;&#xE9; &euro;&#128; &nbsp;x &copy &unknown; &amp;lt; &#0; &zwnj;.', text=('a&b <c> ééé €€ x © &unknown; &lt; \ufffd .',))
    yield 'no-width', html('V\u200bi\u00ada&#8203;g\u2060ra', text=('Viagra',))
    yield 'script', html('<script>var x = "</p>no";</script><style>p {no}</style><title>no</title>yes<!-- no --><!-->yes2<!--no--!>yes3<![if x]>yes4<?no?>', text=('yesyes2yes3yes4',),
                         no_text=('no',))
    yield 'comment-open', html('yes<!-- no', text=('yes',), no_text=('no',))
    yield 'tag-open', html('yes<p no', text=('yes',), no_text=('no',))
    yield 'less', html('1 < 2 and 3<4 <3', text=('1 < 2 and 3<4 <3',))
    yield 'unknown-colours', html('<body bgcolor=black text=white><td bgcolor=palegoldenrod><font color=darkslateblue>open', text=('open',))
    yield 'link-colour', html('<body bgcolor=black><a href=x>open</a><img src=x alt=too>', text=('opentoo',))
    yield 'unclosed-p', html('<p style="display:none">hid<p>open', text=('open',), hidden=('hid',), no_text=('hid',))
    yield 'alt', html('<img src=x.gif alt="An image">', text=('An image',), no_links=True)
    yield 'windows-1251', html('Привет', 'windows-1251', text=('Привет',))
    yield 'meta-charset', lambda name: Case(name, header() + raw_part('Content-Type: text/html\nContent-Transfer-Encoding: base64\n', b64(
        '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">Привет'.encode('koi8-r'))), text=('Привет',))
    for charset, words in (('iso-2022-jp', '日本語の本文'), ('shift_jis', '日本語の本文'), ('euc-jp', '日本語の本文'), ('gb18030', '中文正文'), ('gb2312', '中文正文'), ('big5', '中文正文'),
                           ('euc-kr', '한국어'), ('koi8-r', 'Привет'), ('iso-8859-2', 'Žluťoučký'), ('iso-8859-7', 'Καλημέρα'), ('windows-1256', 'مرحبا'), ('utf-16', 'Grüße'),
                           ('utf-7', 'Grüße'), ('windows-1252', '„Grüße“ – €'), ('cp932', '①㈱')):
        yield f'charset-{charset}', lambda name, c=charset, w=words: Case(name, header() + raw_part(
            f'Content-Type: text/plain; charset="{c}"\nContent-Transfer-Encoding: base64\n', b64(w.encode(c))), text=(w,), exactly=True)
    for i, (raw, words) in enumerate(((b'\x1b$B-!-j\x1b(B ok', '①㈱ ok'), (b'\x1b(I1\x1b(B', 'ｱ'), (b'\x1b$@F|K\\\x1b(J', '日本'), (b'\x1b$BF|', '日'), (b'\x1b$BF|\r\nok', '日\nok'))):
        yield f'iso-2022-jp-{i}', lambda name, r=raw, w=words: Case(name, header() + raw_part('Content-Type: text/plain; charset=iso-2022-jp\n', r), text=(w,))
    for charset in ('x-unknown', '', 'us-ascii', 'utf-8//IGNORE'):
        yield f'charset-wrong-{charset[:5].strip("/") or "none"}', lambda name, c=charset: Case(name, header() + raw_part(
            f'Content-Type: text/plain; charset="{c}"\n', 'Grüße – x'.encode('cp1252')), text=('Grüße – x',))
        yield f'charset-wrong-utf8-{charset[:5].strip("/") or "none"}', lambda name, c=charset: Case(name, header() + raw_part(
            f'Content-Type: text/plain; charset="{c}"\n', 'Grüße – x'.encode()), text=('Grüße – x',))
    yield 'charset-lies', lambda name: Case(name, header() + raw_part('Content-Type: text/plain; charset=iso-2022-jp\n', 'Grüße äöüß 日本'.encode()), text=('Grüße äöüß 日本',))
    yield 'utf8-bad', lambda name: Case(name, header() + raw_part('Content-Type: text/plain; charset=utf-8\n', b'a\xffb\xc3'), text=('a\ufffdb\ufffd',))


URLS = {
    'http://example.com/': 'example.com', 'HTTP://EXAMPLE.COM/': 'example.com', 'http://user:pw@example.com/': 'example.com', 'http://a@b@example.com/': 'example.com',
    'http://example.com:8080/x': 'example.com', 'http:example.com': 'example.com', 'http:/example.com': 'example.com', 'http:\\\\example.com\\x': 'example.com',
    '//example.com/x': 'example.com', '\\\\example.com': 'example.com', ' http://example.com ': 'example.com', 'ht\ntp://exam\tple.com': 'example.com',
    'http://example.com.': 'example.com', 'http://exa%6dple.com/': 'example.com', 'http://bücher.example/': 'xn--bcher-kva.example', 'http://BÜCHER.example/': 'xn--bcher-kva.example',
    'http://ｅｘａｍｐｌｅ.com/': 'example.com', 'http://example。com/': 'example.com', 'http://127.1/': '127.0.0.1', 'http://2130706433/': '127.0.0.1',
    'http://0x7f000001/': '127.0.0.1', 'http://0177.0.0.1/': '127.0.0.1', 'http://0x7f.0.0.0x1/': '127.0.0.1', 'http://[::1]/': '::1', 'http://[2001:DB8::0001]:80/': '2001:db8::1',
    'http://example.com?x': 'example.com', 'http://example.com#x': 'example.com', 'http://good.example\\@example.com/': 'good.example',
    'http://good.example@example.com/': 'example.com', 'https://example.com/@good.example': 'example.com', '&#104;ttp://example.com': 'example.com',
    'http&colon;//example.com': 'example.com', 'http://exam\u00adple.com/': 'example.com', 'ftp://example.com/x': 'example.com', 'www.example.com/x': 'www.example.com',
    'http://example.com%2f.good.example/': 'example.com', 'http:///example.com/': 'example.com', 'http://256.1.1.1/': '256.1.1.1', 'http://xn--bcher-kva.example/':
    'xn--bcher-kva.example', 'http://a_b.example.com/': 'a_b.example.com',
}


def links():
    for i, (url, host) in enumerate(URLS.items()):
        yield f'href-{i}', html(f'<a href="{url}">Click</a>', hosts=(host,), shown=('Click',), text=('Click',))
    for i, tag in enumerate(('img src', 'body background', 'iframe src', 'form action', 'area href', 'link href', 'input type=image src', 'button formaction', 'embed src',
                             'object data', 'video poster', 'td background', 'a xlink:href', 'script src', 'frame src')):
        yield f'tag-{i}', html(f'<{tag}="http://example.com/x">', links=('http://example.com/x',))
    for i, content in enumerate(('0;url=http://example.com/x', '0; URL = "http://example.com/x"', "5;url='http://example.com/x'", 'url=http://example.com/x')):
        yield f'refresh-{i}', html(f"<meta http-equiv=refresh content=\"{content.replace(chr(34), '&quot;')}\">", links=('http://example.com/x',))
    yield 'base', html('<base href="http://example.com/a/"><a href="x.html">Click</a>', hosts=('example.com',))
    yield 'relative', html('<a href="x.html">a</a><a href="#x">b</a><img src="cid:1@b">', no_links=True)
    yield 'mailto', html('<a href="mailto:a@example.com">Write</a>', links=('mailto:a@example.com',))
    yield 'javascript', html('<a href="javascript:alert(1)">Click</a>', links=('javascript:alert(1)',))
    yield 'percent', html('<a href="http://example.com/a%2fb%20c%41">x</a>', links=('http://example.com/a/b%20cA',))
    yield 'nested-label', html('<a href=http://example.com/>Click <b>here</b> <img src=http://example.org/i alt=now></a>', shown=('Click here now',), hosts=('example.com', 'example.org'))
    yield 'unclosed-anchor', html('<a href=http://example.com/>One <a href=http://example.org/>Two', shown=('One', 'Two'))
    yield 'unquoted', html('<a href=http://example.com/x?y=z class=a>x</a>', links=('http://example.com/x?y=z',))
    yield 'quote-open', html('<a href="http://example.com/x>y', no_text=('y',))
    yield 'text-in-html', html('<p>See http://example.com/a&amp;b now', links=('http://example.com/a&b',))
    yield 'attached', lambda name: Case(name, header() + multipart([part('Content-Type: text/html\nContent-Disposition: attachment; filename=a.html\n',
                                        '<p>Form<form action="http://example.com/steal">')]), links=('http://example.com/steal',), no_text=('Form',))
    for i, (words, url) in enumerate([
            ('See http://example.com.', 'http://example.com'), ('(http://example.com/a)', 'http://example.com/a'), ('http://example.com/a_(b) x', 'http://example.com/a_(b)'),
            ('<http://example.com/a>', 'http://example.com/a'), ('www.example.com, and', 'http://www.example.com'), ('HTTPS://Example.Com/A', 'https://example.com/A'),
            ('"http://example.com/a"', 'http://example.com/a'), ('http://example.com/a?b=c&d=e#f!', 'http://example.com/a?b=c&d=e#f'),
            ('こちらhttp://example.comをクリック', 'http://example.com'), ('http://example.com/あ。', 'http://example.com/'), ('「http://example.com/a」', 'http://example.com/a'),
            ('http://bücher.example/x', 'http://xn--bcher-kva.example/x'), ('url=http://example.com/a', 'http://example.com/a'), ('http://1.2.3.4/x;y', 'http://1.2.3.4/x;y')]):
        yield f'text-{i}', text(words, links=(url,))
    for i, words in enumerate(('http://', 'www.', 'xhttp://', 'a@www.example.com', 'http:// example.com', 'awww.example.com')):
        yield f'text-none-{i}', text(words, no_links=True)
    yield 'many', html('<a href="http://example.com/">x</a>' * 5000, hosts=('example.com',))


def cases():
    for family in (shown, links):
        for name, make in family():
            yield make(name)
