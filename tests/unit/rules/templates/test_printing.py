"""`print`, `printf` and how values look, letter by letter as Go prints them (figures from Prometheus' promtool)."""

import math

import pytest

from supervisor.rules.templates import Template


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (100000.0, "100000"),
        (1000000.0, "1e+06"),
        (123456789.0, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (5e-324, "5e-324"),
        (1e100, "1e+100"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_floats(value: float, wanted: str) -> None:
    assert Template.parse("{{ $value }}").expand({}, value) == wanted


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ('"%v %g %G %e" 1e20 1e6 1e21 1.5', "1e+20 1e+06 1E+21 1.500000e+00"),
        (
            '"%x %X %b %.3x %#g %#v" 1.5 2.5 1.5 1.999 2.0 3.0',
            "0x1.8p+00 0X1.4P+01 6755399441055744p-52 0x1.ffcp+00 2.00000 3",
        ),
        ('"%x %X %x %b" 0.0 -1.0 1e-310 1e-310', None),
        (
            '"%5.1f|%-7.2f|%+.2e|%07.2f|% .3f|%+07.1f" -1.25 2.5 12345.678 -3.14159 2.0 2.5',
            " -1.2|2.50   |+1.23e+04|-003.14| 2.000|+0002.5",
        ),
        ('"%8v|%-8v|%08v" 1.5 1.5 1.5', "     1.5|1.5     |000001.5"),
        ('"%.2g %.10g" 123456.0 123456.0', "1.2e+05 123456"),
        (
            '"%x %X %b %c %U %#U %o %O %#o %#x %#b" 255 255 5 65 65 65 8 8 8 255 5',
            "ff FF 101 A U+0041 U+0041 'A' 10 0o10 010 0xff 0b101",
        ),
        (
            '"%+d % d %08b %.5d %8.3d|%-8.3d|%+.3d %x" 5 5 5 42 42 42 42 -255',
            "+5  5 00000101 00042      042|042     |+042 -ff",
        ),
        ('"%06d|%-06d|%+05d|% 05d|%.0d" -5 5 42 42 0', "-00005|5     |+0042| 0042|"),
        ('"%.3s|%5.2s|%06s|%-4s|%4s" "héllo" "abc" "ab" "x" "é"', "hél|   ab|0000ab|x   |   é"),
        (
            r'"%q %+q %#q %x % X %#x % #x" "h\"é\n" "hé" "a" "hé" "hé" "hé" "h"',
            r'"h\"é\n" "h\u00e9" `a` 68c3a9 68 C3 A9 0x68c3a9 0x68',
        ),
        (r'"%q %q %q" "\x00\x7f\u200b" "\xff" 120', r'"\x00\x7f\u200b" "\xff" ' + "'x'"),
        ('"%t %-6t|%6t|%v" true false true false', "true false |  true|false"),
        ('"%d %s %t %z" 1.5 2 "x" true', "%!d(float64=1.5) %!s(int=2) %!t(string=x) %!z(bool=true)"),
        ('"%5d|%.2f" "x" "abcd"', "%!d(string=    x)|%!f(string=ab)"),
        ('"%s %d" "a"', "a %!d(MISSING)"),
        ('"x" 1 "y" nil', "x%!(EXTRA int=1, string=y, <nil>)"),
        ('"%[2]d %[1]d" 1 2', "2 1"),
        ('"%*d|%-*d|%.*f" 4 1 3 2 1 1.25', "   1|2  |1.2"),
        ('"%[3]d %[x]d %[" 1', "%!d(BADINDEX) %!d(BADINDEX) %!(NOVERB)"),
        ('"%*d" "x" 1', "%!(BADWIDTH)1"),
        ('"%6.2f%%|%5%|%" 1.0', "  1.00%|%|%!(NOVERB)"),
        ('"%v %s %d %t" nil nil nil nil', "<nil> %!s(<nil>) %!d(<nil>) %!t(<nil>)"),
        ('"%v %v" (args 1 "a" nil 1.5) (args)', "map[arg0:1 arg1:a arg2:<nil> arg3:1.5] map[]"),
        (
            '"%s %d %x" $labels $labels $labels',
            "map[a:b c:d] map[%!d(string=a):%!d(string=b) %!d(string=c):%!d(string=d)] map[61:62 63:64]",
        ),
        ('"%#v %#v %#v %+v" $labels "x" nil $labels', 'map[string]string{"a":"b", "c":"d"} "x" <nil> map[a:b c:d]'),
        ('"%T %T %T %T %T %T" 1 1.0 "" true $labels (index "a" 0)', "int float64 string bool map[string]string uint8"),
        ('"%T %T" nil (safeHtml "x")', "<nil> template.HTML"),
        ('"%v %d %v" ($value|toTime).Month ($value|toTime).Month ($value|toTime).Weekday', "June 6 Tuesday"),
        (
            '"%s|%-30v|%q" ($value|toTime) (toDuration 90.5) (toDuration 0.25)',
            '2015-06-23 13:19:44.128 +0000 UTC|1m30.5s                       |"250ms"',
        ),
        ('"%.999999999999d|" 1', None),
    ],
)
def test_printf(call: str, wanted: str | None) -> None:
    said = Template.parse("{{ printf " + call + " }}").expand({"c": "d", "a": "b"}, 1435065584.128)
    if wanted is not None:
        assert said == wanted
    elif "e-310" in call:
        assert said == "0x0p+00 -0X1P+00 0x1.2688b70e62bp-1030 20240225330731p-1074"
    else:
        assert said == "%!(NOVERB)%!(EXTRA int=1)"


def test_print_puts_a_space_where_no_string_is_near() -> None:
    expand = Template.parse('{{ print 1 2 "a" "b" 3 4.5 true nil }}|{{ println "a" 1 nil }}|{{ print }}').expand
    assert expand({}, 0.0) == "1 2ab3 4.5 true <nil>|a 1 <nil>\n|"
