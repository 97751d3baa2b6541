"""The imitated kernel is right where the kernel's own words or its documentation say what is."""
import pytest
from imitation import Machine, Old, passes, printed, record

MACHINE = Machine({'di': 0x1000, 'sp': 0x1008, 'ax': (1 << 64) - 2},
                  {0x1000: bytes.fromhex('efcdab8967452301 0010000000000000 6162630000000000'.replace(' ', ''))})


@pytest.mark.parametrize(('text', 'shown'), [
    ('%di:x64', b'0x1000'), ('%ax:s32', b'-2'), ('%ax:u8', b'254'), ('$retval:s64', b'-2'), ('\\-5:s16', b'-5'),
    ('+0(%di):x32', b'0x89abcdef'), ('+0(%di):s8', b'-17'), ('+4(%di):u16', b'17767'),
    ('+0(%di):b4@4/32', b'14'), ('+0(%di):b12@20/32', b'2202'), ('+0(%di):b64@0/64', b'81985529216486895'),
    ('+4(+8(%di)):x16', b'0x4567'), ('-8(+8($stack)):x8', None), ('+0($stack):x64', b'0x1000'), ('$stack1:x64', b'0x636261'),
    ('+16(%di):string', b'"abc"'), ('+u17(%di):string', b'"bc"'), ('+0(%di):x8[3]', b'{0xef,0xcd,0xab}'),
    ('@0x1010:string', b'"abc"'), ('+0(%di):string[2]', b'{(fault),"\xef\xcd\xab\x89gE#\x01"}'), ('+8(%di):string[1]', b'{"\xef\xcd\xab\x89gE#\x01"}'),
    ('$comm', b'"bash"'), ('%di:symstr', b'"0x1000"'), ('+9999(%di):string', b'(fault)'), ('+9999(%di):s64', b'-8137409'), ('+9999(%di):b4@0/8', b'15'),
])
def test_a_fetch_arg_is_read_and_printed(text, shown):
    kind = text.rpartition(':')[2]
    if shown is None:
        assert MACHINE.fetch(text) is None
    else:
        assert printed(kind, MACHINE.fetch(text)) == shown


def test_of_a_string_with_an_earlier_fault_the_next_is_shown_and_compared():
    """As seen on 6.1, 6.12 and 7, and in programs on 6.18."""
    assert [MACHINE.fetch(text) for text in ('+0(+9999(%di)):string', '+9999(%di):string[2]', '+9999(%di):%pd')] == [None] * 3
    assert isinstance(MACHINE.fetch('+9999(%di):string'), Old)
    fields = [('a', 'string', None), ('b', 'string[2]', None), ('c', 'string', Old(b'x')), ('d', 'string', b'y'), ('e', 'string', None)]
    assert record('f0', fields).endswith(b'a="y" b={"y","y"} c=(fault) d="y" e="/next"\n')
    values = {name: (kind, value) for name, kind, value in fields}
    assert passes('a=="y"&&a~"*"&&c=="x"&&c!="y"&&!(c~"*")&&e~"*"', values)


def test_a_line_looks_like_the_kernels():
    assert record('f0', [('a', 'x8', 3), ('b', 'string', b'x y')]) == (
        b'            bash-77      [001]   421.123456: f0: (f+0x0/0x40) a=0x3 b="x y"\n')


@pytest.mark.parametrize(('text', 'result'), [
    ('n==-5', True), ('n==4294967291', True), ('n<0', True), ('u==0xff', True), ('u==511', True), ('u<4', False),
    ('n==1||u==255&&n==-5', True), ('(n==1||u==255)&&n==1', False), ('!(n==1)&&!!u>3', True), ('u&128', True), ('u&0x0', False),
    ('s=="a b"', True), ("s~'a*'", True), ('s!="x"', True), ('lost=="(fault)"', False), ('lost~"*"', False), ('lost!="x"', True),
    ('lost=="old"', True), ('lost~"o*"', True),
])
def test_a_filter_is_evaluated(text, result):
    values = {'n': ('s32', -5), 'u': ('u8', 255), 's': ('string', b'a b'), 'lost': ('string', Old(b'old'))}
    assert passes(text, values) == result
