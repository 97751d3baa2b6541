"""The grammar: from text to AST, and what is refused, at which column."""
from __future__ import annotations

import pytest
from golden import NESTED, nested
from hypothesis import given, settings
from hypothesis import strategies as st

import surftrace
from surftrace import DEEPEST, InputError, parse_probe


def compact(node) -> str:
    """An AST in brackets, each node's own word first: p->a[1] is ([1] (-> p a))."""
    inner = compact(node.inner) if getattr(node, 'inner', None) else ''
    stars = '*' * node.type.stars if getattr(node, 'type', None) else ''
    return {
        'argument': lambda: f'%{node.number}',
        'register': lambda: f'%{node.name}',
        'special': lambda: node.name,
        'name': lambda: node.name,
        'every': lambda: '*',
        'global': lambda: f'@{node.name}{node.number:+}' if node.number else f'@{node.name}',
        'address': lambda: f'@{node.number:#x}',
        'immediate': lambda: node.name,
        'fileoffset': lambda: f'@+{node.number}',
        'offset': lambda: f"({node.number:+}{'u' * node.user} {inner})",
        'memberof': lambda: f"({'->' if node.arrow else '.'} {inner} {node.name})",
        'index': lambda: f'([{node.number}] {inner})',
        'dereference': lambda: f'(* {inner})',
        'addressof': lambda: f'(& {inner})',
        'cast': lambda: f'(({node.type.words}{stars}) {inner})',
        'containerof': lambda: f"(container_of {inner} {node.type.words}{stars} {'.'.join(node.member)})",
        'usermemory': lambda: f'(user {inner})',
        'packet': lambda: f'({node.name}@{node.layer} {inner})',
        'Compare': lambda: f'{node.field}{node.op}{node.value!r}' if node.quoted else f'{node.field}{node.op}{node.value}',
        'Not': lambda: f'(! {inner})',
        'Junction': lambda: f"({node.op} {' '.join(map(compact, node.parts))})",
    }[getattr(node, 'kind', type(node).__name__)]()


def written(arg) -> str:
    """An Arg: its name, its format in <>, its expression, its type."""
    return (f'{arg.name}=' if arg.name else '') + (f'<{arg.format}>' if arg.format else '') + compact(arg.expr) + (
        f':{arg.word}' if arg.word else '') + (f'({compact(arg.length)})' if arg.length else '')


ARGUMENTS = [
    # atoms
    ('%0', '%0'), ('%12', '%12'), ('%di', '%di'), ('%x0', '%x0'), ('name', 'name'), ('$retval', '$retval'),
    ('$stack3', '$stack3'),
    ('@jiffies', '@jiffies'), ('@sym+8', '@sym+8'), ('@sym-0x10', '@sym-16'), ('@sym.2', '@sym.2'), ('@0xffff', '@0xffff'),
    ('@1234', '@0x4d2'), ('@+16', '@+16'), ('(p)', 'p'), ('((p))', 'p'), (r'\5', r'\5'), (r'\-0x10', r'\-0x10'), (r'\"text"', r'\"text"'),
    # members and elements bind left to right
    ('%0->mm->mm_users', '(-> (-> %0 mm) mm_users)'), ('p->a.b', '(. (-> p a) b)'), ('p->a[3]', '([3] (-> p a))'),
    ('p->m[1][0x10].x', '(. ([16] ([1] (-> p m))) x)'), ('p[010]', '([8] p)'), ('$retval->x', '(-> $retval x)'),
    ('@sym->x', '(-> @sym x)'), ('@sym.x', '(. @sym x)'), ('p[ 3 ]', '([3] p)'),
    # prefixes bind weaker, as in C
    ('*p', '(* p)'), ('**p->x', '(* (* (-> p x)))'), ('&p->x', '(& (-> p x))'), ('*&p->x[3]', '(* (& ([3] (-> p x))))'),
    ('(*p).x', '(. (* p) x)'), ('(* p)', '(* p)'), ('& p->x', '(& (-> p x))'),
    # casts: in C the cast comes last, in the old spelling first
    ('(struct T *)x->y', '((struct T*) (-> x y))'), ('((struct T *)x)->y', '(-> ((struct T*) x) y)'),
    ('!(struct T *)x->y', '(-> ((struct T*) x) y)'), ('!(struct T *)(x->y)->z', '(-> ((struct T*) (-> x y)) z)'),
    ('(struct T*)(struct U*)x', '((struct T*) ((struct U*) x))'), ('*(u64 *)x', '(* ((u64*) x))'),
    ('(struct T *)&x->y', '((struct T*) (& (-> x y)))'), ('&(struct T *)x', '(& ((struct T*) x))'),
    ('((struct T *)x->y)->z', '(-> ((struct T*) (-> x y)) z)'), ('(unsigned long)x', '((unsigned long) x)'),
    ('(unsigned  long\tint)x', '((unsigned long int) x)'), ('(const char *)x', '((char*) x)'),
    ('(char const *const *)x', '((char**) x)'),
    ('(volatile int)x', '((int) x)'), ('(struct T * *)x', '((struct T**) x)'), ('( struct T * ) x', '((struct T*) x)'),
    # a bracket is a cast where a type's word, a star, or something that begins an expression says so
    ('(T)x', '((T) x)'), ('(T *)x', '((T*) x)'), ('(T)(x)', '((T) x)'), ('(T)*x', '((T) (* x))'), ('(T)&x', '((T) (& x))'),
    ('(T)%0', '((T) %0)'), ('(T)$retval', '((T) $retval)'), ('(T)@sym', '((T) @sym)'), ('(T)!(U*)x->y', '((T) (-> ((U*) x) y))'),
    ('(x)->y', '(-> x y)'), ('(x).y', '(. x y)'), ('(x)[1]', '([1] x)'), ('(x->y)', '(-> x y)'), ('(T)+8(%di)', '((T) (+8 %di))'),
    (r'(T)\5', r'((T) \5)'),
    # the kernel's own
    ('+8(%di)', '(+8 %di)'), ('-8(+240(%di))', '(-8 (+240 %di))'), ('+u0x10(%si)', '(+16u %si)'), ('+8(p->x)', '(+8 (-> p x))'),
    ('+8(p)->x', '(-> (+8 p) x)'), ('+010(%di)', '(+8 %di)'),
    # functions and packet headers
    ('container_of(p, struct T, a.b)', '(container_of p struct T a.b)'),
    ('container_of(p->x,T,m)->y', '(-> (container_of (-> p x) T m) y)'),
    ('user(p)->x', '(-> (user p) x)'), ('user(!(char *)p->x)', '(user (-> ((char*) p) x))'), ('user', 'user'),
    ('container_of', 'container_of'),
    ('@(struct iphdr *)%0->saddr', '(-> (iphdr@l3 %0) saddr)'), ('@(struct iphdr*)l2skb->x', '(-> (iphdr@l3 l2skb) x)'),
    ('@(struct iphdr*)l2%0->x', '(-> (iphdr@l2 %0) x)'), ('@(struct tcphdr *)l4(*p)->dest', '(-> (tcphdr@l4 (* p)) dest)'),
    ('@(struct icmphdr*)l3%0->sdata[1]', '([1] (-> (icmphdr@l3 %0) sdata))'),
    # FORMAT is a letter before what cannot continue a name; else the letter is a name, or begins one
    ('S%0', '<S>%0'), ('U%0->x', '<U>(-> %0 x)'), ('X(p->x)', '<X>(-> p x)'), ('S(name)', '<S>name'), ('X*p', '<X>(* p)'),
    ('X&p->x', '<X>(& (-> p x))'), ('S$retval', '<S>$retval'), ('X@sym', '<X>@sym'),
    ('X@(struct iphdr *)%0->x', '<X>(-> (iphdr@l3 %0) x)'),
    ('X!(struct file*)%ax->f_pos', '<X>(-> ((struct file*) %ax) f_pos)'), ('X+8(%di)', '<X>(+8 %di)'), (r'S\5', r'<S>\5'),
    ('X@0xff', '<X>@0xff'), ('X(struct T *)p', '<X>((struct T*) p)'), ('Sname', 'Sname'), ('Sname->x', '(-> Sname x)'),
    ('S', 'S'),
    ('S->x', '(-> S x)'), ('S.x', '(. S x)'), ('S[1]', '([1] S)'), ('U:u8', 'U:u8'), ('XS%0', None),
    # names and types
    ('a=%0', 'a=%0'), ('a = %0', 'a=%0'), ('a=S%0->x', 'a=<S>(-> %0 x)'), ('S=%0', 'S=%0'), ('X=X%0', 'X=<X>%0'), ('f=f', 'f=f'),
    ('f=f:x64', 'f=f:x64'), ('%0:u32', '%0:u32'), ('p->x:b3@4/32', '(-> p x):b3@4/32'), ('a=p->x:x8[6]', 'a=(-> p x):x8[6]'),
    ('p->x:be16', '(-> p x):be16'), ('%0:text(p->len)', '%0:text((-> p len))'), ('%0:text', '%0:text'), ('%0:text()', None), ('%0:text(%1', None),
    ('%0:text(p->len - 1)', None),
    ('%0:%pd', '%0:%pd'), ('user(p->x):ustring', '(user (-> p x)):ustring'), ('S%0:u32', '<S>%0:u32'),
]


@pytest.mark.parametrize(('text', 'tree'), ARGUMENTS, ids=[text for text, _ in ARGUMENTS])
def test_an_argument_is_parsed(text, tree):
    if tree is None:
        with pytest.raises(InputError):
            parse_probe(f'p f {text}')
    else:
        assert [written(arg) for arg in parse_probe(f'p f {text}').args] == [tree]


@pytest.mark.parametrize(('text', 'trees'), [
    pytest.param('p->x q', ['(-> p x)', 'q'], id='a blank ends an argument'),
    pytest.param('a *b', ['a', '(* b)'], id='a star begins the next one'),
    pytest.param('* p *p', ['*', 'p', '(* p)'], id='a star and a blank is every parameter'),
    pytest.param('p *', ['p', '*'], id='at the end too'),
    pytest.param('a &b->c', ['a', '(& (-> b c))'], id='an ampersand begins the next one'),
    pytest.param('a (struct T *)b', ['a', '((struct T*) b)'], id='a cast begins the next one'),
    pytest.param('(a) b', ['a', 'b'], id='a name in brackets and a blank is no cast'),
    pytest.param('(a *) b', ['((a*) b)'], id='with a star it is one'),
    pytest.param('S%0 U(a) X', ['<S>%0', '<U>a', 'X'], id='formats'),
    pytest.param('a=p->x:u8 b=q', ['a=(-> p x):u8', 'b=q'], id='a blank ends a type'),
    pytest.param('a:text(p->x ) b', ['a:text((-> p x))', 'b'], id='but not in its brackets'),
    pytest.param('\ta  \t b ', ['a', 'b'], id='blanks of all kinds'),
    pytest.param('container_of(a, struct T , m . n)->x *b', ['(-> (container_of a struct T m.n) x)', '(* b)'],
                 id='blanks in brackets'),
    pytest.param('X @a X@a', ['X', '@a', '<X>@a'], id='a letter, a blank, a global; a global in hexadecimal'),
    pytest.param('', [], id='none'),
])
def test_arguments_are_told_apart(text, trees):
    assert [written(arg) for arg in parse_probe(f'p f {text}').args] == trees


@pytest.mark.parametrize(('text', 'tree'), [(text, tree) for text, tree in ARGUMENTS if tree], ids=[t for t, r in ARGUMENTS if r])
def test_an_argument_is_the_same_among_others(text, tree):
    before, it, after = parse_probe(f'p f first {text}  (last) f:first==1').args
    assert (written(it), written(after)) == (tree, 'last')


FILTERS = [
    ('x==1', 'x==1'), ('x == 1', 'x==1'), ('x<=-5', 'x<=-5'), ('x&0x10', 'x&0x10'), ('x~*a?', 'x~*a?'), ('x=="a b"', "x=='a b'"),
    ('p->x==1', 'p->x==1'), ('*p&4', '*p&4'), ('&p->x!=1', '&p->x!=1'), ('(struct T *)p->x<2', '(struct T *)p->x<2'),
    ('((struct T *)%0)->x>=-1', '((struct T *)%0)->x>=-1'), ('(B<i> *)x->y>1', '(B<i> *)x->y>1'), ('(p)->x==1', '(p)->x==1'),
    ('!(p->x==1)', '(! p->x==1)'), ('(p->x>1)&&%1->y[2].z~ab*', '(&& p->x>1 %1->y[2].z~ab*)'),
    ('user(f):string==a&&S(p->x)<3', '(&& user(f):string==a S(p->x)<3)'), ('+8(%di):u32&3', '+8(%di):u32&3'),
    ('(a->b==1||(c)->d==2)&&e<3', '(&& (|| a->b==1 (c)->d==2) e<3)'), ('!@g==1', '(! @g==1)'), ('$retval<-1', '$retval<-1'),
    ('(a<4)&&c>1', '(&& a<4 c>1)'),
    ('x==(1|2)<<3&&y<4', '(&& x==(1|2)<<3 y<4)'), ('x==1 << 2', 'x==1 << 2'), ('x<2*(3+4)||y>1>>2', '(|| x<2*(3+4) y>1>>2)'), ('(x==(1))', 'x==(1)'),
    ("x=='a\"b'", "x=='a\"b'"), ('x==a.b-c:d/e*', 'x==a.b-c:d/e*'), ('x==::1', 'x==::1'), ('x==CPUS{1-3,5}', 'x==CPUS{1-3,5}'),
    ('x.ustring=="a"', "x.ustring=='a'"), ('x.function==schedule', 'x.function==schedule'), ('!x==1', '(! x==1)'),
    ('!!x==1', '(! (! x==1))'),
    ('a==1&&b==2||c==3', '(|| (&& a==1 b==2) c==3)'), ('a==1&&(b==2||c==3)', '(&& a==1 (|| b==2 c==3))'),
    ('a==1||b==2&&!c==3', '(|| a==1 (&& b==2 (! c==3)))'), ('a==1||b==2||c==3', '(|| a==1 b==2 c==3)'),
    ('!(a==1||b==2)', '(! (|| a==1 b==2))'), ('((a==1))', 'a==1'), ('a==f:1', 'a==f:1'),
    ('a=="x f:y"&&b==1', "(&& a=='x f:y' b==1)"),
    ('a=="#! b"', "a=='#! b'"), ('a==")("', "a==')('"), ('a==été', 'a==été'),
]


@pytest.mark.parametrize(('text', 'tree'), FILTERS, ids=[text for text, _ in FILTERS])
def test_a_filter_is_parsed(text, tree):
    for line in (f'p f f:{text}', f'p f a b f: {text} ', f'p f a #! a:ip f:{text}', f'e s/e f:{text}'):
        assert compact(parse_probe(line).filter) == tree


PLACES = [
    ('p f', {'function': 'f'}), ('p f+10', {'offset': 10}), ('p f+0x10', {'offset': 16}), ('p f+010', {'offset': 8}),
    ('p f:3', {'line': 3}),
    ('p f:0', {'line': None}), ('p f+0', {'offset': 0}), ('p mod:f', {'function': 'f', 'module': 'mod'}), ('p m-o:f+4', {'module': 'm_o', 'offset': 4}),
    ('p f@net/a-b.c', {'file': 'net/a-b.c'}), ('p f@a.c+4', {'file': 'a.c', 'offset': 4}),
    ('p f@a.c:3', {'file': 'a.c', 'line': 3}),
    ('p tcp_*', {'function': 'tcp_*', 'glob': True}), ('p m:[a-c]?', {'function': '[a-c]?', 'module': 'm', 'glob': True}),
    ('p f.isra.0', {'function': 'f.isra.0'}), ('p f.constprop.0+8', {'function': 'f.constprop.0', 'offset': 8}),
    ('r f', {'function': 'f'}), ('r mod:f', {'module': 'mod'}), ('r tcp_*', {'glob': True}),
    ('e sched/sched_switch', {'system': 'sched', 'function': 'sched_switch'}), ('e sched:sched_switch', {'system': 'sched'}),
    ('e sched/*', {'glob': True}),
    ('P bash:readline', {'object': 'bash', 'function': 'readline'}), ('R libc:f*', {'object': 'libc', 'function': 'f*', 'glob': True}),
    ('P ./a:0x40(0x60)', {'object': './a', 'offset': 64, 'semaphore': 96}), ('P a:ns::f+4', {'function': 'ns::f', 'offset': 4}),
    ('P a:"f(int*)"', {'function': 'f(int*)'}), ('P "a b":f', {'object': 'a b', 'function': 'f'}), ('P a:b.rs:7', {'file': 'b.rs', 'line': 7}),
    ('P "a:f g"', {'object': 'a', 'function': 'f g'}), ('u a:b:c', {'object': 'a', 'system': 'b', 'function': 'c'}),
]


@pytest.mark.parametrize(('text', 'parts'), PLACES, ids=[text for text, _ in PLACES])
def test_a_place_is_parsed(text, parts):
    place = parse_probe(f'{text} $comm').place
    wanted = {'module': '', 'offset': None, 'line': None, 'file': '', 'glob': False, **parts}
    assert {name: getattr(place, name) for name in wanted} == wanted


@pytest.mark.parametrize(('text', 'parts'), [
    ('p f', ('p', '', '')), ('p: f', ('p', '', '')), ('p:name f', ('p', 'name', '')), ('p:group/name f', ('p', 'name', '')),
    ('r16:name f', ('r', 'name', '16')), ('  e:name s/e', ('e', 'name', '')), ('#! e s/e', ('e', '', '')),
])
def test_a_kind_is_parsed(text, parts):
    probe = parse_probe(text)
    assert (probe.kind, probe.event, probe.maxactive) == parts


def test_what_surftrace_told_itself_is_read():
    probe = parse_probe('p:f0 f a=+0(%di):u32 b=%si:x64 b_2=%dx:x64 #! a:ip b+b_2:ip6 f:a==1')
    assert [(names, word) for names, word, _ in probe.words] == [(('a',), 'ip'), (('b', 'b_2'), 'ip6')]
    assert [probe.text[slice(*at)] for _, _, at in probe.words] == ['a:ip', 'b+b_2:ip6']


ERRORS = [
    # the ^ stands before the column that the caret has to be at
    ('p f a=%0->^', "a member's name expected after '->', but nothing follows"), ('p f a=%0.^', 'but nothing follows'),
    ('p f a=%0->^ f:a==1', 'but nothing follows'), ('p f a=%0->^1', "a member's name expected"),
    ('p f a=%0-> ^x', "a member's name"),
    ('p f p ^->x', 'no blank before it'), ('p f p ^[1]', 'no blank before it'), ('p f p ^.x', 'no blank before it'),
    ('p f p[^i]', 'a number expected as index'), ('p f p[^-1]', 'a number expected'), ('p f p[^]', 'a number'),
    ('p f p[1^', "']' expected"),
    ('p f p[^08]', "'08' is no number"), ('p f a=^', 'an expression expected'), ('p f ^=%0', 'behind f:'),
    ('p f a=^)', 'an expression'), ('p f (p^', "')' expected to close"), ('p f (p ^f:x==1', "')' expected"),
    ('p f p^)', 'complete before this'),
    ('p f (^)', 'an expression'), ('p f %0^%1', 'complete before this'), ('p f a^-b=%0', 'computes nothing'), ('p f a^+1', 'computes nothing'),
    ('p f a^,b', 'a blank separates'), ('p f a^, b', 'a blank separates'), ('p f ^, b', 'a blank separates'), ('p f a^/2', 'computes nothing'), ('p f a^@user', 'user(x)'), ('p f ^{ print }', 'no actions'), ('p f a^;b', 'means nothing here'), ('p f a^?b:c', 'means nothing'),
    ('p f ^"x"', 'in the filter alone'), ('p f ^é=%0', 'means nothing'), ('p f a^\0b', 'means nothing'),
    ('p f a^\udcffb', 'means nothing'),
    ('p f ^1a=%0', 'an expression'), ('p f ^->x', 'an expression'), ('p f ^-p', 'an expression'), ('p f a=^\\', 'means nothing'),
    ('p f %0:^', 'a type expected behind the colon'), ('p f %0: ^u32', 'a type expected'), ('p f %0 ^:u32', 'an expression'),
    ('p f %0:^x8[6', 'a type expected'), ('p f (^struct)p', 'the name of the struct expected'),
    ('p f (^struct *)p', 'the name of the struct'),
    ('p f (^struct a b)p', 'the name of the struct'), ('p f (const^)p', 'a type expected'),
    ('p f (struct T^', "')' expected after the type"),
    ('p f (struct T *)^', 'an expression'), ('p f (u32)^3', 'complete before this'), ('p f !^p', "'(' expected after '!'"),
    ('p f !(T *^p)', "')' expected"),
    ('p f ^foo(p)', "'foo' is no function"), ('p f ^sizeof(p)', 'container_of'), ('p f container_of(p^)', "',' expected"),
    ('p f container_of(p, ^)', 'a type expected'), ('p f container_of(p, T^)', "',' expected"),
    ('p f container_of(p, T, ^)', "a member's name"),
    ('p f container_of(p, T, m^', "')' expected"), ('p f user(p^', "')' expected"), ('p f user(^)', 'an expression'),
    ('p f @(^iphdr *)%0->x', 'a pointer to a packet header'), ('p f @(^struct iphdr)%0->x', 'a pointer to a packet header'),
    ('p f @^', "'(' expected after '@'"), ('p f @(struct foo *)l5^%0->x', 'complete'),
    ('p f +8(%di^', "')' expected"), ('p f ^+8', 'an expression'), ('p f ^+ 8(%di)', 'an expression'),
    ('p f ^+8 (%di)', 'an expression'),
    ('p f a=%0 ^a=%1', "'a' is there already"), ('p f ^common_pid=%0', 'a field every event has'),
    (f"p f ^{'a' * 32}=%0", '31 characters'),
    ('p f a ^%', 'means nothing'), ('p f a=^$', 'means nothing'), ('p f ^%08', "'08' is no number"),
    (f"p f ^%{'9' * 5000}", 'is no number'),
    (f"p f a[^{'9' * 5000}]", 'is no number'), (f"p f +{'9' * 5000}(%di)", 'is no number'),
    (f"p f @{'9' * 5000}", 'is no number'),
    # stacks
    ('p f a ^+stack h:a', 'h:stack counts'), ('P /bin/sh:f ^+stack', "+ustack is the program's"), ('p f ^+stacks', 'an expression'),
    ('p f a #! ^+stack h:a', 'h:stack counts'),
    # filters
    ('p f f:^', "a field's name, or an expression"), ('p f f:x^', 'an operator expected'), ('p f f:x==^', 'a value expected'),
    ('p f f:x^=1', "'==' compares"), ('p f f:x==1&&y==^"', "the string is not closed"),
    ('p f f:x==1 ^y==2', 'join comparisons with && or ||'), ('p f f:x==1 ^f:y==2', 'join comparisons'),
    ('p f f:x==1&&^', "a field's name"),
    ('p f f:(x==1^', "')' expected"), ('p f f:x==1^)', 'complete before this'), ('p f f:x==^"abc', 'not closed'), ("p f f:x==^'a b", 'not closed'),
    # what other tools write so
    ('p f %0^>comm', "'->' leads to a member"), ('p f %0^-->comm', "'->' leads to a member"), ('p f a^>3', 'behind f:'),
    ('p f a^<3', 'behind f:'), ('p f a^!=3', 'behind f:'), ('p f a=^=3', 'behind f:'), ('p f if a=^=x', 'behind f:'),
    ('p f ^/a==x/', 'behind f:'), ('p:^f', "'f' is the event's name here, and its place is missing: p f, or p:NAME FUNC"),
    ('p:^f %0->x', 'p f, or'), ('p:^f a=%0', 'p f, or'), ('e:^x', 'e:NAME SYSTEM/EVENT'), ('P:^x', 'P:NAME OBJ:FUNC'),
    ('p^', "'p FUNC ...', in quotes"), ('e^ ', "'e SYSTEM/EVENT ...', in quotes"),
    ('p f f:^1==x', 'an expression expected'), ('p f f:a->^==x', "a member's name"),
    ('p f f:a->b ^c==1', 'an operator'), ('p f f:^!(struct T *)p->a==1', "'!' negates"),
    ('p f f:(^struct )p->a==1', 'the name of the struct'), ('p f f:a->b:^==1', 'a type expected'),
    ('p f f:^"x"==1', "a field's name"), ('p f f:x==^==1', 'a value'), ('p f f:!^', "a field's name"),
    ('p f f:x ^y', 'an operator'),
    ('p f f:x==1^|y==1', 'join comparisons with'), ('p f f:x==^~0', 'a value'), ('p f f:x==1<<^', 'a value'), ('p f f:x<^>1', 'a value'), ('p f f:x^-y==1', 'computes nothing'),
    ('p f f:x==1 ^&y', 'complete before this'), ('p f f:x==^&&y==1', 'a value'),
    # kinds and places
    ('^', 'begins with the kind'), ('^x f', 'begins with the kind'), ('  ^pf', 'begins with the kind'),
    ('^p/f', 'begins with the kind'),
    ('p ^a,b', 'a function'), ('p ^f+x', 'a function'),
    ('p ^f+', 'a function'),
    ('p:^1ev f', "an event's name"), ('p:^enable f', "an event's name"), ('p:^a.b f', "an event's name"),
    ('p:^é f', "an event's name"),
    (f"p:^{'a' * 64} f", "an event's name"), ('p^5 f', 'only r takes a number'), ('e^5 s/e', 'only r takes a number'),
    ('p ^f+10:3', 'an offset or a line'), ('p ^tcp_*+4', 'a pattern'), ('p ^tcp_*:4', 'a pattern'), ('p ^f@*:4', 'whole functions'), ('p ^f@*+4', 'whole functions'),
    ('r ^f+4', 'no offset or line'),
    ('r ^f:4', 'no offset or line'), ('e ^a/b/c', 'SYSTEM/EVENT'), ('e^', 'SYSTEM/EVENT'),
    ('p ^f+08', 'no number'), (f"p ^f+{'9' * 5000}", 'no number'), (f"p ^f:{'9' * 5000}", 'no number'),
    # the words behind #!
    ('p f a #! ^a', 'NAME:FORMAT expected'), ('p f a #! a:ip ^:ip', 'NAME:FORMAT expected'), ('p f a ^#!x', 'means nothing'),
]


@pytest.mark.parametrize(('marked', 'message'), ERRORS, ids=[marked[:60] for marked, _ in ERRORS])
def test_an_error_is_told_at_its_column(marked, message):
    line = marked.replace('^', '')
    with pytest.raises(InputError) as caught:
        parse_probe(line)
    assert message in caught.value.message
    if '^' in marked:                                           # else only the message is looked at
        assert caught.value.at[0] == marked.index('^'), caught.value.message
    assert caught.value.at[0] < caught.value.at[1] and caught.value.at[0] <= len(line)


def test_the_caret_stands_below_the_text_it_is_about():
    for marked in ('p f a=%0->^', '\tp f a=%0 ^a=%1', f"p f {'x' * 200} ^a=\x1b", f"p f ^1a {'x' * 200}"):
        line = marked.replace('^', '')
        with pytest.raises(InputError) as caught, surftrace.located(line):
            parse_probe(line)
        message, shown, marks = str(caught.value).split('\n')
        column = marks.index('^')
        around = line[caught.value.at[0]:][:10]
        assert shown[column:].startswith(surftrace.printable(around)) and set(marks) <= set(' ^~'), message
        assert len(shown) <= 102 and shown.isprintable()


@pytest.mark.parametrize('kind', NESTED)
def test_what_is_nested_too_deeply_is_refused(kind):
    parse_probe(nested(kind, DEEPEST // 2))
    for depth in (DEEPEST + 1, 10_000):
        with pytest.raises(InputError, match=f'more than {DEEPEST}'):
            parse_probe(nested(kind, depth))


def test_a_filter_may_be_long():
    parts = parse_probe('p f f:' + '||'.join(f'(x=={i})' for i in range(400))).filter.parts
    assert len(parts) == 400 and compact(parts[399]) == 'x==399'


NAMES = st.sampled_from(['p', 'q', 'S', 'X', 'U', 'user', 'comm', 'struct_x'])
TYPES = st.sampled_from(['struct T *', 'unsigned long', 'u32', 'char *', 'T*', 'const struct T*', 'union U **'])
BLANKS = st.sampled_from(['', ' '])
ATOMS = st.one_of(NAMES, st.sampled_from(['%0', '%di', '$retval', '@sym', '@0x10', r'\5', '+8(%di)']))


def larger(inner):
    """Texts that contain a text, each with what its tree is, as a pair; a pair's text may be put in brackets."""
    return st.one_of(
        st.builds(lambda x, name: (f'({x[0]})->{name}', f'(-> {x[1]} {name})'), inner, NAMES),
        st.builds(lambda x, name: (f'({x[0]}).{name}', f'(. {x[1]} {name})'), inner, NAMES),
        st.builds(lambda x, n: (f'({x[0]})[{n}]', f'([{n}] {x[1]})'), inner, st.integers(0, 99)),
        st.builds(lambda x: (f'*{x[0]}', f'(* {x[1]})'), inner),
        st.builds(lambda x, blank: (f'&{blank}{x[0]}', f'(& {x[1]})'), inner, BLANKS),
        st.builds(lambda x, t: (f'({t}){x[0]}', f"(({bare(t)}) {x[1]})"), inner, TYPES),
        st.builds(lambda x: (f'user({x[0]})', f'(user {x[1]})'), inner),
        st.builds(lambda x, blank: (f'container_of({x[0]},{blank}struct T, a.b)', f'(container_of {x[1]} struct T a.b)'), inner,
                  BLANKS),
        st.builds(lambda x, n: (f'-{n}({x[0]})', f'({-n:+} {x[1]})' if n else f'(+0 {x[1]})'), inner, st.integers(0, 99)))


def bare(type_: str) -> str:
    """A type's text as compact() has it."""
    return type_.replace('const ', '').replace(' *', '*')


TREES = st.recursive(st.builds(lambda atom: (atom, compact(parse_probe(f'p f ({atom})').args[0].expr)), ATOMS), larger,
                     max_leaves=6)


@settings(deadline=None)             # other processes take time, too
@given(TREES)
def test_any_expression_gives_the_tree_it_was_written_from(pair):
    text, tree = pair
    assert [written(arg) for arg in parse_probe(f'p f a=({text}) b=%0').args] == [f'a={tree}', 'b=%0']


@settings(deadline=None)             # other processes take time, too
@given(TREES)
def test_every_node_knows_its_columns(pair):
    line = f'p f a=%0 {pair[0]}:u64 b=%1'
    arg = parse_probe(line).args[1]
    assert line[slice(*arg.at)] == f'{pair[0]}:u64'
    node = arg.expr
    while True:
        assert line[slice(*node.at)].strip() == line[slice(*node.at)] != ''
        if not node.inner:
            break
        node = node.inner
