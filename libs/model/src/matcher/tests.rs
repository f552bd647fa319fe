use super::*;

fn regex(pattern: &str) -> Matcher {
    match Matcher::new(MatchOp::Regex, "label", pattern) {
        Ok(matcher) => matcher,
        Err(error) => panic!("{pattern}: {error}"),
    }
}

fn error_of(pattern: &str) -> String {
    match Matcher::new(MatchOp::Regex, "label", pattern) {
        Ok(_) => panic!("{pattern} was accepted"),
        Err(error) => error.to_string().replace("error parsing regexp: ", ""),
    }
}

/// Asserts which of the values fit, and that the shortcuts and the automaton say the same.
fn fits(pattern: &str, yes: &[&str], no: &[&str]) {
    let automaton = compile_anchored(pattern).expect("the pattern compiles");
    let matcher = regex(pattern);
    let inverse = Matcher::new(MatchOp::NotRegex, "label", pattern).expect("the pattern compiles");
    for (values, want) in [(yes, true), (no, false)] {
        for value in values {
            assert_eq!(matcher.matches(value), want, "{pattern} on {value:?}");
            assert_eq!(inverse.matches(value), !want, "not {pattern} on {value:?}");
            assert_eq!(automaton.is_match(value), want, "the automaton of {pattern} on {value:?}");
            assert!(!want || matcher.prefix().is_none_or(|p| value.starts_with(p)), "the prefix of {pattern} on {value:?}");
            assert!(matcher.set_matches().is_none_or(|set| set.iter().any(|v| v == value) == want), "the set of {pattern} on {value:?}");
        }
    }
}

#[test]
fn patterns_are_anchored_and_dots_match_newlines() {
    fits("a|b", &["a", "b"], &["", "ab", "xa", "a\n"]);
    fits("foo.bar", &["foo\nbar", "foo.bar"], &["foobar", "xfoo.bar"]);
    fits(".+", &["\n", "a"], &[""]);
    fits("(?-s:a.b)", &["axb"], &["a\nb"]);
    fits("(?m:^a$)", &["a"], &["a\nb", "b\na"]);
    assert_eq!(error_of("a)|(b"), "unexpected ): `a)|(b`");
}

#[test]
fn classes_are_ascii() {
    fits(r"\d+", &["12"], &["١٢", ""]);
    fits(r"\w", &["a", "_"], &["é", "-"]);
    fits(r"\s", &[" ", "\t"], &["\u{a0}", "\x0b"]);
    fits(r"[\W]", &["é", "-"], &["a"]);
    fits(r"a\b.*", &["a", "aé"], &["ab"]);
    fits(r"\pN", &["1", "١"], &["a"]);
    fits(r"\p{^Greek}", &["a"], &["α"]);
    fits("[[:alpha:]]", &["a"], &["1", "é", ":"]);
}

#[test]
fn brackets_have_no_set_operations() {
    fits("[a&&b]", &["a", "b", "&"], &["", "&&"]);
    fits("[a~~b]", &["a", "b", "~"], &["-"]);
    fits("[[a]", &["[", "a"], &["]"]);
    fits("[]a]", &["]", "a"], &["["]);
    fits("[a-]", &["a", "-"], &["b"]);
    fits("[+--]", &["+", ",", "-"], &["."]);
}

#[test]
fn escapes_are_those_of_re2() {
    fits(r"\Q.*\E", &[".*"], &["ab"]);
    fits(r"\Qa+", &["a+"], &["aa"]);
    fits(r"\101\x42\x{43}", &["ABC"], &["abc"]);
    fits(r"\_\-\ \.", &["_- ."], &["_- x"]);
    fits("a{,2}", &["a{,2}"], &["a", ""]);
    fits("a{01}", &["a{01}"], &["a"]);
    fits("a(?i)+b", &["aaB", "ab"], &["Aab"]);
    fits(r"^foo$|\Abar\z", &["foo", "bar"], &["^foo$", ""]);
}

#[test]
fn errors_are_those_of_go() {
    for (pattern, error) in [
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Foo}x", r"invalid character class range: `\p{Foo}`"),
        (r"\p{Alphabetic}", r"invalid character class range: `\p{Alphabetic}`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*?+", "invalid nested repetition operator: `*?+`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|+", "missing argument to repetition operator: `+`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("(a{40}){40}", "invalid repeat count: `{40}`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\xgh", r"invalid escape sequence: `\xgh`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?<!a)b", "invalid named capture: `(?<!a)b`"),
        ("(?P<>a)", "invalid named capture: `(?P<>`"),
    ] {
        assert_eq!(error_of(pattern), error, "{pattern}");
    }
}

#[test]
fn sizes_are_bounded() {
    regex(".{1000}");
    assert_eq!(Matcher::new(MatchOp::Regex, "l", r"(?:\pL{500}){2}"), Err(MatcherError::TooLarge));
    assert_eq!(Matcher::new(MatchOp::Regex, "l", &"\\pL".repeat(100_000)), Err(MatcherError::TooLarge));
    assert_eq!(error_of(&"(".repeat(10_000)), format!("missing closing ): `{}`", "(".repeat(10_000)));
    let nested = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(error_of(&nested), format!("expression nests too deeply: `{nested}`"));
    assert!(regex("(ab|c).*d").cost() > 0);
    assert_eq!(regex("ab|c").cost(), 0);
}

#[test]
fn sets_are_exact() {
    let set = |pattern| regex(pattern).set_matches().map(<[String]>::to_vec);
    let list = |values: &[&str]| Some(values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
    assert_eq!(set("foo"), list(&["foo"]));
    assert_eq!(set("foo|bar|foo"), list(&["bar", "foo"]));
    assert_eq!(set("(^foo$|^bar$)"), list(&["bar", "foo"]));
    assert_eq!(set("a(b|c)?d"), list(&["abd", "acd", "ad"]));
    assert_eq!(set("x[1-3]"), list(&["x1", "x2", "x3"]));
    assert_eq!(set("(?i)ab"), list(&["AB", "Ab", "aB", "ab"]));
    assert_eq!(set("(?i:k)"), list(&["K", "k", "\u{212a}"]));
    assert_eq!(set(""), list(&[""]));
    assert_eq!(set("a^b"), None);
    assert_eq!(set("a.b"), None);
    assert_eq!(set("[^a]"), None);
    assert_eq!(set("[0-9]{3}[0-9]"), None);
    let copies = format!("{}{}", "(a|b)".repeat(9), "(c)".repeat(10_000));
    assert_eq!(set(&copies), None);
    let many: Vec<String> = (0..20_000).map(|n| format!("pod-{n}")).collect();
    let matcher = regex(&many.join("|"));
    assert_eq!(matcher.set_matches().map(<[String]>::len), Some(20_000));
    assert!(matcher.matches("pod-19999") && !matcher.matches("pod-20000"));
}

#[test]
fn shortcuts_cover_what_dashboards_send() {
    fits(".*", &["", "a\nb"], &[]);
    fits("foo.*", &["foo", "foobar"], &["fo", "xfoo"]);
    fits("foo.+", &["foobar"], &["foo"]);
    fits(".*foo", &["foo", "xfoo"], &["foox"]);
    fits(".+foo", &["xfoo"], &["foo"]);
    fits(".*foo.*", &["foo", "xfoox"], &["fo"]);
    fits("foo(-[a-z]+)?", &["foo", "foo-a"], &["foo-", "fo"]);
    assert_eq!(regex("foo.*").prefix(), Some("foo"));
    assert_eq!(regex("^foo(-[a-z]+)?").prefix(), Some("foo"));
    assert_eq!(regex("(?i)foo.*").prefix(), None);
    assert_eq!(regex(".*foo").prefix(), None);
    assert!(regex("|a").matches_empty() && !regex("a+").matches_empty());
}

#[test]
fn prefixes_are_exact() {
    fits("(a|bc|b)-.*", &["a-", "a-x\n", "bc-b", "b-"], &["", "a", "bd-", "xa-"]);
    fits("a.*|b1.*|ab.*|c(d|e).*", &["a", "abc", "b1", "cd", "cex"], &["", "b", "b2", "cf", "c"]);
    fits("(a|).*", &["", "a", "x"], &[]);
    fits("(a$|b).*", &["a", "b", "bc"], &["ab"]);
    fits("(a|b.*)", &["a", "b", "bx"], &["ax"]);
    fits("(?i:x)y.*", &["xy", "Xyz"], &["xY"]);
    fits("a.*|b.+", &["a", "bx"], &["b"]);
    fits("(a.*)b.*", &["ab", "axb"], &["a"]);
    assert_eq!(regex("service-(1|2).*|job-.*").cost(), 0);
    let many = (0..300).map(|i| format!("pod-{i}-.*")).collect::<Vec<_>>().join("|");
    fits(&many, &["pod-0-x", "pod-299-", "pod-17-pod-x"], &["pod-300-x", "pod-17", "pod-170"]);
}

#[test]
fn groups_can_be_captured() {
    let regex = compile_anchored(r"(?P<host>[^:]+):(?<port>\d+)").expect("the pattern compiles");
    let captures = regex.captures("db:5432").expect("it matches");
    assert_eq!((&captures["host"], &captures["port"], &captures[2]), ("db", "5432", "5432"));
}

#[test]
fn prints_like_prometheus() {
    assert_eq!(Matcher::equal("job", "a\"b\\\n\u{7f}ü").to_string(), r#"job="a\"b\\\n\x7fü""#);
    assert_eq!(Matcher::equal("a.b", "").to_string(), r#""a.b"="""#);
    assert_eq!(Matcher::equal("0", "").to_string(), r#""0"="""#);
    assert_eq!(regex("a|b").to_string(), r#"label=~"a|b""#);
}
