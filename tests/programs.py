"""The programs that are traced, and what nm and readelf have of them."""
from __future__ import annotations

import functools
import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from helpers import need, output

import surftrace

Compile = Callable[..., Path]


APP = r'''
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#define NOINLINE __attribute__((noinline, noclone))
#define KEEP __asm__ volatile("" ::: "memory")
struct inner { int a; unsigned b:3; signed c:5; long d; union { int i; unsigned char t[8]; float f; } u; };
struct outer { const char *name; struct inner *in; struct inner own; short arr[4]; char word[8]; struct outer *next; };
enum color { RED, GREEN = 5, BLUE = -1 };
struct pair { long a, b; };
struct big { long a, b, c; };
struct mixed { double d; long n; };
struct small { short x, y; };
typedef struct { unsigned lo:4, hi:12; unsigned long wide:40; } bits_t;
int counter = 3;
static const char *volatile greeting = "hello";
static struct outer global_one = { "glob", 0, { 7, 1, -2, 9, {0} }, {1, 2, 3, 4}, "abcdefg", 0 };
static int counted_twice = 9;
__thread int mine = 8;
volatile long sink;
int call_other(int x);

NOINLINE long handle(int id, struct outer *o) { KEEP; counter++; return id + o->own.a; }
NOINLINE long eight(int8_t a, uint16_t b, int c, long d, unsigned char e, short f, int g, enum color h) {
  KEEP; return a + b + c + d + e + f + g + h; }
NOINLINE long withpair(struct pair p, int after) { KEEP; return p.a + p.b + after; }
NOINLINE long withsmall(struct small s, int after) { KEEP; return s.x + s.y + after; }
NOINLINE long withbig(int before, struct big p, int after) { KEEP; return p.c + before + after; }
NOINLINE long withfloat(double d, int after, float f, long last) { KEEP; return d + f + after + last; }
NOINLINE long withmixed(struct mixed m, int after) { KEEP; return m.n + after; }
NOINLINE struct big retbig(int n) { struct big b = { n, 2 * n, 3 * n }; KEEP; return b; }
NOINLINE struct pair retpair(int n) { struct pair p = { n, 2 * n }; KEEP; return p; }
NOINLINE double retdouble(int n) { KEEP; return n; }
NOINLINE void nothing(void) { KEEP; }
NOINLINE int withbits(bits_t *b, bits_t by) { KEEP; return b->lo + by.hi; }
NOINLINE void text(const char *p, size_t n) { __asm__ volatile("" :: "r"(p), "r"(n) : "memory"); }
NOINLINE void signedtext(const char *p, int n) { __asm__ volatile("" :: "r"(p), "r"(n) : "memory"); }
NOINLINE int variadic(const char *f, ...) { __asm__ volatile("" :: "r"(f) : "memory"); return 0; }
NOINLINE enum color paint(enum color c) { KEEP; return c; }
NOINLINE long wide(__int128 w, int after) { KEEP; return (long)w + after; }
static NOINLINE int same(int x) { KEEP; return x; }

int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 2;
  struct inner in = { 42, 5, -3, 1L << 40, { 0x41424344 } };
  struct outer last = { "last", 0, { 1, 2, 3, 4, {0} }, { -1, -2, -3, -4 }, "LAST", 0 };
  struct outer o = { "bob", &in, { 11, 2, -1, 5, { 99 } }, { 10, 20, 30, -40 }, "eightchr", &last };
  bits_t b = { 9, 0xabc, 0x123456789aUL };
  char big[400]; memset(big, 'y', sizeof big);
  global_one.in = &in;
  for (int i = 0; i < n; i++) {
    if (argc > 2) usleep(atoi(argv[2]));
    o.in = i == 1 ? 0 : i == 2 ? (struct inner *)0x7ead00000000 : &in;
    o.next = i == 1 ? (struct outer *)16 : &last;
    sink = ++counted_twice + handle(i, &o) + eight(-1, 65535, -70000, 1L << 33, 255, -2, -7, i ? BLUE : GREEN);
    sink += withpair((struct pair){ 1, -2 }, 3) + withbig(4, (struct big){ 5, 6, 7 }, 8) + withfloat(2.5, 9, 1.5f, 10);
    sink += withmixed((struct mixed){ 1.5, 6 }, 7) + retbig(3).b + retpair(i + 1).b + (long)retdouble(3);
    sink += withsmall((struct small){ -3, 300 }, 4);
    sink += withbits(&b, b) + paint(i ? BLUE : GREEN) + wide(1, 2) + variadic("v", 1, 2) + same(5) + call_other(6);
    nothing();
    text("hello world", 5); text(0, 0); text(0, 3); text((char *)0x1234567000, 8); text(big, 400); text("ab\0cd", 5); text("", 0);
    signedtext("negative", -4);
  }
  printf("%s %d %s %d %ld\n", greeting, counter, global_one.name, mine, sink);
  return 0;
}
'''
OTHER = r'''
static __attribute__((noinline, noclone)) int same(int x) { __asm__ volatile("" ::: "memory"); return x + 1; }
static int counted_twice = 4;
int call_other(int x) { counted_twice++; return same(x) + counted_twice; }
'''
BUILDS = {                      # the flags
    '-O0': ('-g', '-O0'), '-O2': ('-g', '-O2'), 'not PIE': ('-g', '-O2', '-no-pie'), 'not PIE -O0': ('-g', '-O0', '-no-pie'),
    'DWARF 4': ('-gdwarf-4', '-O2'), 'DWARF 5 -O0': ('-gdwarf-5', '-O0'), 'compressed': ('-g', '-O2', '-gz'),
    'compressed the GNU way': ('-g', '-O2', '-gz=zlib-gnu'), 'static': ('-g', '-O2', '-static'),
    'text apart': ('-g', '-O2', '-Wl,-z,separate-code,-z,max-page-size=0x200000'), 'one text': ('-g', '-O2', '-Wl,-z,noseparate-code'),
    'no types': ('-O2',),
}


def build(compile_c: Compile, name: str) -> Path:
    """The program of APP and OTHER with the flags of that name."""
    flags = BUILDS[name]
    other = compile_c(OTHER, '-c', *(flag for flag in flags if flag not in ('-no-pie', '-static') and not flag.startswith('-Wl')))
    return compile_c(APP, str(other), *flags)


@functools.lru_cache(None)
def symbols(program: Path) -> dict[str, list[int]]:
    """The addresses of each name, as nm has them."""
    found: dict[str, list[int]] = {}
    for address, name in re.findall(r'^([0-9a-f]+) \w (\S+)$', output('nm', program), re.M):
        found.setdefault(name, []).append(int(address, 16))
    return found


@functools.lru_cache(None)
def loads(program: Path) -> list[tuple[int, int, int]]:
    """(offset, address, size) of what is loaded, as readelf has it."""
    found = re.findall(r'LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)', output('readelf', '-lW', program))
    return [(int(offset, 16), int(address, 16), int(size, 16)) for offset, address, size in found]


def offset(program: Path, name: str) -> int:
    """Where in the file that function is."""
    address, = set(symbols(program)[name])
    return next(address - start + at for at, start, size in loads(program) if start <= address < start + size)


def behind(program: Path, function: str, name: str) -> int:
    """N of @+N for a global: what the kernel adds to where the file would begin (trace_uprobe.c, translate_user_vaddr)."""
    return symbols(program)[name][0] - (symbols(program)[function][0] - offset(program, function))


def stripped(program: Path, folder: Path, how: str) -> Path:
    """A copy without symbols, its debug file beside it, by build-id, or packed into it."""
    copy, debug = folder / 'app', folder / 'app.debug'
    output('objcopy', '--only-keep-debug', program, debug)
    link = [f'--add-gnu-debuglink={debug}'] if 'link' in how else []
    if how == 'packed':
        names = folder / 'names'
        names.write_text(''.join(f'{name}\n' for name in symbols(program)))
        output('objcopy', '-S', '--remove-section=.gnu_debuglink', f'--keep-symbols={names}', debug, folder / 'mini')
        output('xz', '-k', folder / 'mini')
        link = ['--add-section', f'.gnu_debugdata={folder / "mini.xz"}']
    output('objcopy', '-S', *link, program, copy)
    if how == 'build-id':
        id_ = surftrace.Executable(str(program)).build_id
        place = folder / 'debug/.build-id' / id_[:2]
        place.mkdir(parents=True)
        debug.rename(place / f'{id_[2:]}.debug')
    elif 'folder' in how:
        (folder / '.debug').mkdir()
        debug.rename(folder / '.debug' / 'app.debug')
    elif how == 'packed':
        debug.unlink()
    return copy


CPP = r'''
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#define NOINLINE __attribute__((noinline, noclone))
#define KEEP asm volatile("" ::: "memory")
namespace shop {
struct Point { int x, y; };
struct Base { virtual ~Base() {} long tag = 77; };
struct Cart : Base {
  int items; std::string owner; const Point &where;
  Cart(int n, const char *o, const Point &w) : items(n), owner(o), where(w) {}
  NOINLINE int add(int count, std::string_view what) { asm volatile("" :: "r"(this), "r"(what.data()) : "memory"); return items += count; }
  NOINLINE std::string label() const { KEEP; return owner + "!"; }
  NOINLINE bool operator==(const Cart &other) const { KEEP; return items == other.items; }
  static NOINLINE int made(int n) { KEEP; return n + 1; }
};
NOINLINE int total(std::string s, int n) { asm volatile("" :: "r"(&s) : "memory"); return s.size() + n; }
NOINLINE int total(const Point &p, int n) { asm volatile("" :: "r"(&p) : "memory"); return p.x + n; }
NOINLINE int byvalue(Point p, int n) { asm volatile("" :: "r"(p.x) : "memory"); return p.y + n; }
NOINLINE std::unique_ptr<int> make(int n) { KEEP; return std::make_unique<int>(n); }
NOINLINE int owned(std::unique_ptr<int> p, int n) { KEEP; return *p + n; }
template <typename T> NOINLINE T twice(T v) { asm volatile("" :: "r"(&v) : "memory"); return v + v; }
enum class Colour : unsigned char { Red = 1, Green = 200 };
NOINLINE int paint(Colour c, bool shiny, char16_t wide) { KEEP; return int(c) + shiny + wide; }
}
namespace { NOINLINE int hidden(int n) { KEEP; return n; } }
int main() {
  shop::Point p{5, 6};
  shop::Cart c(3, "alice", p);
  for (int i = 0; i < 2; i++) {
    int r = c.add(i + 10, std::string_view("apples and pears, and more", 16));
    std::string l = c.label();
    printf("%d %s %d %d %d %d %d %ld %d %d %d %d %d\n", r, l.c_str(), shop::total(std::string("a long string that is on the heap"), 4),
           shop::total(p, 1), shop::byvalue(p, 2), *shop::make(9), shop::twice<int>(21), shop::twice<long>(22), c == c,
           shop::owned(std::make_unique<int>(1), 8), shop::paint(shop::Colour::Green, true, u'\u20ac'), hidden(3), shop::Cart::made(1));
    try { throw std::runtime_error("x"); } catch (std::exception &) {}
  }
}
'''
SCOPES = r'''
#include <cstdio>
#include <memory>
#include <vector>
#define NOINLINE __attribute__((noinline))
#define SAY(x) asm volatile("" :: "r"(p) : "memory"); printf("%d\n", int(x)); return x
struct A { int v = 1; int only = 11; };
struct B { int w = 2; int v = 3; };
struct D : A { int v = 5; };
struct M : A, B { int x = 6; };
struct Mid : M { int only = 12; };
struct Static : A { static int v; int q = 7; };
int Static::v = 70;
struct Method : A { int v() { return 8; } };
struct V { int seen = 9; virtual ~V() {} };
struct V1 : virtual V { int a = 10; };
struct V2 : virtual V { int b = 11; int seen = 12; };
struct VD : V1, V2 { int c = 13; };
struct L : A {}; struct R : A {}; struct Twice : L, R {};
template <typename T, int N> struct Box { int pad[N]; T held = 14; };
namespace a { struct Node { int pad; int x = 21; }; struct Later;
  NOINLINE int fa(void *p) { SAY(((Node *)p)->x); } NOINLINE int later(Later *p) { asm volatile("" :: "r"(p) : "memory"); return 1; } }
namespace b { struct Node { int x = 22; int pad; }; struct Later { int z = 4; };
  struct Cls { struct Node { int pad[2], x = 23; }; NOINLINE int m(void *p); };
  int Cls::m(void *p) { SAY(((Node *)p)->x); }
  NOINLINE int fb(void *p) { SAY(((Node *)p)->x); }
  NOINLINE int local(void *p) { struct Node { int pad[5], x; }; SAY(((Node *)p)->x); }
  inline namespace v2 { struct Fresh { int n = 24; }; } NOINLINE int fresh(void *p) { SAY(((Fresh *)p)->n); } }
using Name = b::Node;
NOINLINE int derived(D *p) { SAY(p->v); }
NOINLINE int both(M *p) { SAY(p->B::v); }
NOINLINE int middle(Mid *p) { SAY(p->only); }
NOINLINE int back(B *p) { SAY(((M *)p)->x); }
NOINLINE int hidden(Static *p) { SAY(p->q); }
NOINLINE int method(Method *p) { SAY(p->only); }
NOINLINE int diamond(VD *p) { SAY(p->seen); }
NOINLINE int virt(V1 *p) { SAY(p->a); }
NOINLINE int twice(Twice *p) { SAY(p->L::v); }
NOINLINE int unique(std::unique_ptr<D> *p) { SAY((*p)->v); }
NOINLINE int shared(std::shared_ptr<D> *p) { SAY((*p)->v); }
NOINLINE int vector(std::vector<int> *p) { SAY((*p)[1]); }
NOINLINE int box(void *p) { SAY(((Box<int, 3> *)p)->held); }
NOINLINE int alias(Name *p) { SAY(p->x); }
#define SAYREF(x) asm volatile("" :: "r"(&p) : "memory"); printf("%d\n", int(x)); return x
struct Refs { VD &whole; A *&pointer; const int &number; };
NOINLINE int object(D &p) { SAYREF(p.v); }
NOINLINE int pointer(B *&p) { SAYREF(p->w); }
NOINLINE int number(const int &p) { SAYREF(p); }
NOINLINE int moved(M &&p) { SAYREF(p.x); }
NOINLINE int refs(Refs &p) { SAYREF(p.pointer->v + p.number - p.number); }
NOINLINE int part(Refs &p) { SAYREF(p.whole.c); }
NOINLINE int element(int (&p)[6]) { SAYREF(p[5]); }
int main() {
  D d; M m; Mid mid; Static s; Method me; VD vd; Twice tw; a::Node an; b::Node bn; b::Cls c; b::Cls::Node cn; Box<int, 3> bx; b::Fresh fr;
  b::Later la; auto u = std::make_unique<D>(); auto sh = std::make_shared<D>();
  std::vector<int> ve{ 31, 32 }; int in[6] = { 0, 0, 0, 0, 0, 25 };
  derived(&d); both(&m); middle(&mid); back(&m); hidden(&s); method(&me); diamond(&vd); virt(&vd); twice(&tw); unique(&u); shared(&sh);
  A *pa = &d; B *pb = &m; Refs re{ vd, pa, in[5] };
  vector(&ve); object(d); pointer(pb); number(in[5]); moved(M()); refs(re); part(re); element(in);
  box(&bx); a::fa(&an); b::fb(&bn); c.m(&cn); b::local(in); b::fresh(&fr); alias(&bn);
  return a::later((a::Later *)&la) + s.v + me.v();
}
'''
SCOPED = {      # what is asked; all the program prints one number each, and the probe has to show that
    'derived': 'p->v', 'both': '((struct B *)p)->v', 'middle': 'p->only', 'back': '((M *)p)->x', 'hidden': 'p->q', 'method': 'p->only',
    'diamond': 'p->seen', 'virt': 'p->a', 'twice': '((A *)(L *)p)->v', 'unique': 'p->_M_t._M_t._M_head_impl->v', 'shared': 'p->_M_ptr->v',
    'vector': 'p->_M_impl._M_start[1]', 'object': 'p.v', 'pointer': 'p->w',
    'number': 'p', 'moved': 'p.x', 'refs': 'p.pointer->v', 'part': 'p.whole.c', 'element': 'p[5]',
    'box': '((Box<int,3> *)p)->held', 'a::fa': '((Node *)p)->x', 'b::fb': '((struct Node *)p)->x',
    'b::Cls::m': '((Node *)p)->x', 'b::local': '((Node *)p)->x', 'b::fresh': '((b::Fresh *)p)->n', 'alias': '((Name *)p)->x',
}
NAMES = [
    ('main', ''),  ('_ZN2rs4shop3buyE', 'rs::shop::buy'), ('_ZN2rs4shop3buy17h0123456789abcdefE', 'rs::shop::buy'),
    ('_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE',
     '<alloc::string::String as core::fmt::Display>::fmt'),
    ('_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE', 'core::ptr::drop_in_place<alloc::string::String>'),
    ('_ZN5alloc3vec12Vec$LT$T$GT$4push17h0123456789abcdefE', 'alloc::vec::Vec<T>::push'),
    ('_ZN37_$RF$$BP$const$u20$$u5b$u8$u3b$4$u5d$3foo17h0123456789abcdefE', '&*const [u8;4]::foo'),
    ('_RNvNtCs1234_2rs4shop3buy', 'rs::shop::buy'), ('_RNvC2rs4main', 'rs::main'), ('_RNvCs1234_7mycrate3foo', 'mycrate::foo'),
    ('_RNvNtC2rs4shops_3buy', ''), ('_RINvC2rs3fooxE', ''), ('_RNvXs_C2rs3fooNtB4_3bar', ''),
    ('_Znonsense', ''), ('_R', ''), ('_RNvC9', ''),
    ('_ZN4shop4Cart4madeEi', 'shop::Cart::made(int)'), ('_ZNK4shop4Cart5labelB5cxx11Ev', 'shop::Cart::label[abi:cxx11]() const'),
]
RUST = '''
pub mod shop {
    pub struct Item { pub name: String, pub price: u32, pub neg: i16 }
    fn keep<T: Copy>(x: T) -> T { unsafe { std::ptr::read_volatile(&x) } }
    #[inline(never)] pub fn buy(item: &Item, count: u64, who: &str) -> u64 { keep(item.price as u64 * count + who.len() as u64) }
    #[inline(never)] pub fn plain(a: i32, b: u8, c: bool) -> i32 { keep(a + b as i32 + c as i32) }
    impl Item { #[inline(never)] pub fn bump(&mut self, by: u32) -> u32 { self.price += by; keep(self.price) } }
}
fn main() {
    let mut it = shop::Item { name: "lamp".to_string(), price: 7, neg: -3 };
    let n = std::env::args().count() as i32;
    for i in 0..2u64 { println!("{} {} {}", shop::buy(&it, i + 2, "customer"), shop::plain(-4 - n, 5 + n as u8, n == 1), it.bump(3)); }
    println!("{} {}", it.name, it.neg);
}
'''
RUST_ENUMS = '''
use std::num::NonZeroU32;
#[derive(Clone, Copy)] pub enum Shape { Circle(u32), Rect { w: u16, h: u16 }, Empty }
pub struct Item { pub price: u32 }
pub struct Node { pub next: Option<Box<Node>>, pub val: u64, pub opt: Option<u32>, pub name: Option<String>, pub shape: Shape }
fn keep<T: Copy>(x: T) -> T { unsafe { std::ptr::read_volatile(&x) } }
#[inline(never)] pub fn opt_u32(o: Option<u32>) -> u32 { keep(o.unwrap_or(9)) }
#[inline(never)] pub fn opt_ref(o: Option<&Item>) -> u32 { keep(match o { Some(i) => i.price, None => 77 }) }
#[inline(never)] pub fn result(r: Result<u32, u32>) -> u32 { keep(match r { Ok(v) => v, Err(e) => e + 100 }) }
#[inline(never)] pub fn unlike(u: Result<u32, u64>) -> u64 { keep(match u { Ok(v) => v as u64, Err(e) => e + 100 }) }
#[inline(never)] pub fn node(n: &Node) -> u64 { keep(n.val + n.opt.unwrap_or(1) as u64) }
#[inline(never)] pub fn small(b: Option<bool>, c: Option<char>, p: Option<NonZeroU32>) -> bool {
    keep(b.is_some() || c.is_some() || p.is_some()) }
#[inline(never)] pub fn twice(n: u32) -> Option<u32> { keep(if n > 1 { Some(2 * n) } else { None }) }
#[inline(never)] pub fn word(n: u32) -> &'static str { if keep(n) > 1 { "big" } else { "small" } }
fn main() {
    let it = Item { price: 7 };
    let inner = Node { next: None, val: 1, opt: None, name: Some("inner".to_string()), shape: Shape::Rect { w: 3, h: 4 } };
    let n = Node { next: Some(Box::new(inner)), val: 5, opt: Some(6), name: None, shape: Shape::Circle(8) };
    let empty = Node { next: None, val: 2, opt: None, name: None, shape: Shape::Empty };
    let sum = opt_u32(Some(5)) + opt_u32(None) + opt_ref(Some(&it)) + opt_ref(None) + result(Ok(3)) + result(Err(4)) + word(2).len() as u32;
    let more = node(&n) + node(n.next.as_ref().unwrap()) + node(&empty) + unlike(Ok(1)) + unlike(Err(2));
    let yes = small(Some(true), Some('x'), None) ^ small(None, None, NonZeroU32::new(4)) ^ twice(3).is_some() ^ twice(0).is_some();
    println!("{} {} {}", sum, more, yes);
}
'''
GO = '''package main

import "fmt"

type Req struct {
	Name string
	Id   int32
	Tags []string
	Next *Req
}

//go:noinline
func handle(r *Req, n int, s string, b byte) int { return len(r.Name) + n + len(s) + int(b) }

//go:noinline
func (r *Req) Method(x int64) int64 { return x + int64(r.Id) }

func main() {
	r := &Req{Name: "gopher", Id: -9}
	for i := 0; i < 2; i++ {
		fmt.Println(handle(r, i, "some text", 200), r.Method(int64(i)))
	}
}
'''


STATICS = '''static NOINLINE int helper(int x) { static int calls = FROM, inside = FROM; { static int inside; inside++; }
    calls += STEP; inside--; return x * calls; }
int HERE(int x) { return helper(x) + helper(x + 1); }
'''
USES = '#define HERE one\n#define FROM 7\n#define STEP 1\n' + STATICS
MAIN = '''#include <stdio.h>
#define HERE two\n#define FROM 100\n#define STEP 2
''' + STATICS + '''int one(int);
#line 10 "gram.y"
NOINLINE int reduce(int rule) {
  int twice = rule * 2;
  printf("%d\\n", twice);
  return twice + 1;
}
#line 20 "main.zig"
int main(void) { reduce(3);
  return printf("%d %d\\n", one(1), two(2)) < 0; }
'''


def of_two_files(folder: Path, compiler: str) -> Path:
    """A program of two files, each with a helper() of its own; it prints what one() and two() return."""
    for name, text in (('main.c', MAIN), ('uses.c', USES)):
        (folder / name).write_text(text)
    output(compiler, '-g', '-O1', '-DNOINLINE=__attribute__((noinline))', *folder.glob('*.c'), '-o', folder / 'two')
    return folder / 'two'


def go(folder: Path, source: str) -> Path:
    """A Go program, made once for a source."""
    need('go')
    place = folder / hashlib.sha256(source.encode()).hexdigest()[:16]
    if not (place / 'prog').exists():
        place.mkdir(parents=True, exist_ok=True)
        (place / 'prog.go').write_text(source)
        subprocess.run(['go', 'build', '-o', 'new', 'prog.go'], cwd=place, check=True)
        (place / 'new').rename(place / 'prog')
    return place / 'prog'


USDT = r'''
#include <stdlib.h>
#include <sys/sdt.h>
struct pair { long a, b; } kept = { 71, -72 };
volatile int sink;
__attribute__((noinline)) void one(int a, unsigned char b, long c, const char *s) {
  STAP_PROBE4(shop, four, a, b, c, s);
  STAP_PROBE2(shop, constants, 5, -9L);
  STAP_PROBE1(shop, memory, kept.b);
}
__attribute__((noinline)) void two(short a, long i) {
  STAP_PROBE1(shop, several, a);
  sink += 1;
  STAP_PROBE1(shop, several, i);
  sink += 2;
  STAP_PROBE1(shop, several, (int)i);
  STAP_PROBE(shop, none);
  STAP_PROBE1(other, none, i);
}
int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 2;
  for (int i = 0; i < n; i++) { one(-5 + i, 200, -1L << 40, "text"); two(-7, (1L << 33) + i); }
  return 0;
}
'''


class Note(NamedTuple):
    """A note as readelf prints it."""
    provider: str
    name: str
    address: int
    base: int
    semaphore: int
    operands: str


def notes(program: Path) -> list[Note]:
    """The notes, as readelf has them, without the base's movement."""
    pattern = (r'Provider: (\S+)\n\s+Name: (\S+)\n\s+Location: (0x\w+), Base: (0x\w+), Semaphore: (0x\w+)\n\s+Arguments:(.*)')
    return [Note(p, n, int(a, 0), int(b, 0), int(s, 0), text.strip())
            for p, n, a, b, s, text in re.findall(pattern, output('readelf', '-nW', program))]


HAND = r'''
#include <stdlib.h>
#define PROBE(name, args, sema) "990: nop\n.pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n" \
  ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b\n.8byte BASE\n.8byte " sema "\n" \
  ".asciz \"hand\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n994: .balign 4\n.popsection\n"
unsigned short counter __attribute__((section(".probes"))) = 0;
long table[4] = { 100, -200, 300, -400 };
void probed(long);
__asm__(".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n.weak _.stapsdt.base\n.hidden _.stapsdt.base\n"
  "_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n"
  ".text\n.globl probed\n.type probed, @function\nprobed: movq %rdi, %rax\n movb $0x9a, %ah\n movl $-3, %ecx\n leaq table(%rip), %rdx\n"
  " movq $2, %rsi\n movq $77, -8(%rsp)\n"
  PROBE("ah", "1@%ah", "0") PROBE("signedah", "-1@%ah", "0") PROBE("low", "1@%al -1@%cl 2@%cx -4@%ecx 8@%rcx", "0")
  PROBE("rip", "-8@table+8(%rip) 8@16+table(%rip) 8@table(%rip) -8@8+table+16(%rip)", "0")
  PROBE("sib", "8@(%rdx,%rsi,8)", "0") PROBE("fs", "8@%fs:0x28", "0") PROBE("xmm", "8f@%xmm0", "0") PROBE("x87", "10@%st", "0")
  PROBE("memory", "-8@24(%rdx) 8@(%rdx) 4@+8(%rdx) -8@-8(%rsp)", "0") PROBE("constant", "4@$1 -4@$-9 8@$0x10 -1@$255 1@$-1", "0")
  PROBE("empty", "", "0") PROBE("colon", ":", "0") PROBE("counted", "8@%rdi", "counter") PROBE("address", "8@$table", "0")
  PROBE("mixed", "8@%rdi 8@(%rdx,%rsi,8)", "0") PROBE("nosymbol", "8@nosuch(%rip)", "0") PROBE("ip", "8@16(%rip)", "0")
  PROBE("sixteen", "16@(%rdx)", "0") PROBE("noindex", "8@(,%rsi,8)", "0") PROBE("extra", "2@%r9w 1@%r10b 4@%r11d 8@%r12 1@%sil", "0")
  "ret\n.size probed, .-probed\n");
int main(int argc, char **argv) { int n = argc > 1 ? atoi(argv[1]) : 2; for (int i = 0; i < n; i++) probed(0x1100 + i); return counter; }
'''
