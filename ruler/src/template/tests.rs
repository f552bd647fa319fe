use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::Labels;
use promql::{InstantSeries, Point, PointValue};

use super::{Expansion, QueryResults, Surroundings, Template, TemplateData};

fn series(labels: &[(&str, &str)], v: f64) -> InstantSeries {
    InstantSeries { labels: Labels::from_pairs(labels.iter().copied()), point: Point { t: 0, value: PointValue::Float(v) } }
}

fn results(query: &str, series: Vec<InstantSeries>) -> QueryResults {
    HashMap::from([(query.to_owned(), Ok(series))])
}

fn expand_with(text: &str, v: f64, queries: &QueryResults) -> Result<String, Expansion> {
    let sample = series(&[("job", "node"), ("instance", "a:9100")], v);
    let external = Arc::new(BTreeMap::from([("cluster".to_owned(), "eu".to_owned())]));
    let data = TemplateData::new(&sample, &external, &"http://host:9090/pre".into());
    let surroundings = Surroundings { now_ms: 1_353_755_652_000, external_url: "http://host:9090/pre", queries };
    Template::of_alert("A", text).map_err(Expansion::Failed)?.expand(&data, surroundings)
}

fn expand(text: &str) -> String {
    expand_with(text, 1.0, &QueryResults::new()).unwrap_or_else(|e| format!("{e:?}"))
}

fn failure(text: &str) -> String {
    match expand_with(text, 1.0, &results("up", Vec::new())) {
        Err(Expansion::Failed(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn data_of_the_alert() {
    for (text, want) in [
        ("plain } text", "plain } text"),
        ("{{ $labels.job }} {{ $labels.nope }}| {{ .Labels.instance }}", "node | a:9100"),
        ("{{ $value }} {{ .Value }} {{ $externalLabels.cluster }} {{ $externalURL }}", "1 1 eu http://host:9090/pre"),
        ("{{ externalURL }} {{ pathPrefix }} {{ now }}", "http://host:9090/pre /pre 1.353755652e+09"),
        ("{{ . }}", "{map[instance:a:9100 job:node] map[cluster:eu] http://host:9090/pre 1}"),
        ("a {{- 1 -}} b {{/* nothing */}}c {{- /* x */ -}} d", "a1b cd"),
        ("{{ with $x := 5 }}{{ $x }}{{ end }}{{ with \"\" }}x{{ else }}y{{ end }}", "5y"),
        ("{{ if eq 1 2 }}a{{ else if true }}b{{ else }}c{{ end }}", "b"),
        ("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "instance=a:9100;job=node;"),
        ("{{ range $i := 3 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}", "02"),
        ("{{ range 9 }}{{ if gt . 1 }}{{ break }}{{ end }}{{ . }}{{ else }}none{{ end }}", "01"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ define \"t\" }}<{{ .arg0 }} {{ .arg1 }}>{{ end }}{{ template \"t\" (args 1 \"2\") }}", "<1 2>"),
        ("{{ block \"b\" 7 }}[{{ . }}]{{ end }}", "[7]"),
        ("{{ index $labels \"job\" }} {{ len $labels }} {{ slice \"abcdef\" 1 3 }}", "node 2 bc"),
        (
            "{{ and 1 0 }} {{ or 0 \"x\" }} {{ not 0 }} {{ eq 3 1 2 3 }} {{ ne 1 2 }} {{ le 1.5 1.5 }} {{ lt \"a\" \"b\" }}",
            "0 x true true true true true",
        ),
        ("{{ print 1 2 \"a\" \"b\" 3 }}|{{ println 1 \"a\" }}", "1 2ab3|1 a\n"),
        ("{{ html \"<a&b>\" }} {{ urlquery \"a b/c\" }} {{ js \"it's\" }} {{ \"<\" | safeHtml }}", "&lt;a&amp;b&gt; a+b%2Fc it\\'s <"),
        ("{{ true }} {{ 'a' }} {{ 0x1F }} {{ 1_000 }} {{ `raw` }} {{ \"\\u00e9\\n\" }}", "true 97 31 1000 raw é\n"),
    ] {
        assert_eq!(expand(text), want, "{text}");
    }
}

#[test]
fn numbers_print_as_in_go() {
    for (text, want) in [
        ("{{ 1000000.0 }} {{ 123456789.5 }} {{ 1e20 }} {{ 12345678 }} {{ 0.00001 }}", "1e+06 1.234567895e+08 1e+20 12345678 1e-05"),
        (
            "{{ printf \"%d %s %v %8.3f|%-8s|%x|%t\" 1.5 1 2.0 3.14159 \"ab\" 255 true }}",
            "%!d(float64=1.5) %!s(int=1) 2    3.142|ab      |ff|true",
        ),
        ("{{ printf \"%+d|%e|%g|%5d|%05d|%T|%q\" 5 12345.678 1e21 42 42 1.5 \"x\" }}", "+5|1.234568e+04|1e+21|   42|00042|float64|\"x\""),
        (
            "{{ printf \"%d\" }} {{ printf \"x\" 1 }} {{ printf \"%z\" 3 }} {{ printf \"%\" }}",
            "%!d(MISSING) x%!(EXTRA int=1) %!z(int=3) %!(NOVERB)",
        ),
        ("{{ printf \"%.4g %.2f%% %6.2f|%-6.1f|%06.1f\" 123.456 99.5 1.0 2.0 -3.0 }}", "123.5 99.50%   1.00|2.0   |-003.0"),
        ("{{ printf \"%s %v\" $labels $labels.job }}", "map[instance:a:9100 job:node] node"),
        ("{{ printf \"%*d\" 5 42 }} {{ printf \"%.1f\" 0.25 }} {{ printf \"%.0f\" 2.5 }}", "   42 0.2 2"),
    ] {
        assert_eq!(expand(text), want, "{text}");
    }
}

#[test]
fn functions_of_prometheus() {
    for (text, want) in [
        ("{{ humanize 0.0 }}:{{ humanize 1.0 }}:{{ humanize 1234567.0 }}:{{ humanize .12 }}", "0:1:1.235M:120m"),
        ("{{ humanize1024 0.12 }}:{{ humanize1024 1048576.0 }}:{{ humanize1024 1234567 }}", "0.12:1Mi:1.177Mi"),
        ("{{ humanizeDuration 899.99 }}:{{ humanizeDuration 0.0001 }}:{{ humanizeDuration 90000 }}", "14m 59s:100us:1d 1h 0m 0s"),
        ("{{ humanizeDuration 1.2345 }}:{{ humanizeDuration -5 }}:{{ \"43200\" | humanizeDuration }}", "1.234s:-5s:12h 0m 0s"),
        ("{{ -0.22222 | humanizePercentage }}:{{ 1234567 | humanizePercentage }}", "-22.22%:1.235e+08%"),
        ("{{ 1435065584.128 | humanizeTimestamp }} {{ humanizeTimestamp \"NaN\" }}", "2015-06-23 13:19:44.128 +0000 UTC NaN"),
        (
            "{{ (1435065584.128 | toTime).Format \"2006\" }} {{ (now | toTime).Format \"Mon Jan 2 15:04:05 2006\" }}",
            "2015 Sat Nov 24 11:14:12 2012",
        ),
        ("{{ (\"-30m\" | parseDuration | toDuration | (now | toTime).Add).UnixMilli }}", "1353753852000"),
        ("{{ (1800 | toDuration).String }} {{ toDuration 1.5 }} {{ parseDuration \"1h2m10ms\" }}", "30m0s 1.5s 3720.01"),
        ("{{ \"aa bb CC\" | title }} {{ toUpper \"a\" }} {{ toLower \"B\" }} {{ match \"a+\" \"xaay\" }}", "Aa Bb CC A b true"),
        ("{{ reReplaceAll \"(a)b\" \"x$1\" \"abab\" }} {{ reReplaceAll \"^a.\" \"\" \"a\\nb\" }}", "xaxa a\nb"),
        ("{{ graphLink \"up == 1\" }} {{ tableLink \"up\" }}", "/graph?g0.expr=up+%3D%3D+1&g0.tab=0 /graph?g0.expr=up&g0.tab=1"),
        (
            "{{ stripPort \"foo.example.com:1\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"[::1]::80\" }}",
            "foo.example.com ::1 [::1]::80",
        ),
        ("{{ stripDomain \"foo.example.com:1\" }} {{ stripDomain \"192.0.2.1:1\" }} {{ stripDomain \"a.b\" }}", "foo:1 192.0.2.1:1 a"),
        ("{{ urlQueryEscape \"a b&c\" }}", "a+b%26c"),
    ] {
        assert_eq!(expand(text), want, "{text}");
    }
}

#[test]
fn queries_are_asked_for_and_then_used() {
    let text = "{{ range query \"up\" | sortByLabel \"i\" }}{{ .Labels.i }}:{{ .Value }} {{ end }}{{ query \"up\" | first | label \"i\" }}";
    assert_eq!(expand_with(text, 1.0, &QueryResults::new()), Err(Expansion::Needs("up".to_owned())));
    let queries = results("up", vec![series(&[("i", "b")], 2.0), series(&[("i", "a"), ("__value__", "v")], 1.5)]);
    assert_eq!(expand_with(text, 1.0, &queries), Ok("a:1.5 b:2 b".to_owned()));
    let text = "{{ with index (query \"up\") 1 }}{{ . | value }} {{ strvalue . }} {{ . }}{{ end }}";
    assert_eq!(expand_with(text, 1.0, &queries), Ok("1.5 v {map[__value__:v i:a] 1.5}".to_owned()));
    let failed = HashMap::from([("up".to_owned(), Err("no".to_owned()))]);
    let Err(Expansion::Failed(message)) = expand_with("{{ query \"up\" }}", 1.0, &failed) else { panic!("a failure") };
    assert!(message.ends_with("at <query \"up\">: error calling query: no"), "{message}");
}

/// Promtool 2.42 prints exactly these.
#[test]
fn errors_of_execution_are_gos() {
    let at = |rest: &str| format!("error executing template __alert_A: template: __alert_A:1:{rest}");
    for (text, want) in [
        ("{{ $labels.foo.bar }}", "122: executing \"__alert_A\" at <$labels.foo.bar>: can't evaluate field bar in type string"),
        ("{{ gt $value 0 }}", "115: executing \"__alert_A\" at <gt $value 0>: error calling gt: incompatible types for comparison"),
        (
            "{{ query \"up\" | first | value }}",
            "128: executing \"__alert_A\" at <first>: error calling first: first() called on vector with no elements",
        ),
        (
            "{{ humanize \"one\" }}",
            "115: executing \"__alert_A\" at <humanize \"one\">: error calling humanize: strconv.ParseFloat: parsing \"one\": invalid syntax",
        ),
        ("{{ $x := 1 }}{{ $x.y }}", "130: executing \"__alert_A\" at <$x.y>: can't evaluate field y in type int"),
        ("{{ nil }}", "115: executing \"__alert_A\" at <nil>: nil is not a command"),
        ("{{ first 1 }}", "121: executing \"__alert_A\" at <1>: can't handle 1 for arg of type template.queryResult"),
        ("{{ toUpper $value }}", "123: executing \"__alert_A\" at <$value>: wrong type for value; expected string; got float64"),
        ("{{ toUpper \"a\" \"b\" }}", "115: executing \"__alert_A\" at <toUpper>: wrong number of args for toUpper: want 1 got 2"),
        ("{{ template \"no\" }}", "124: executing \"__alert_A\" at <{{template \"no\"}}>: template \"no\" not defined"),
        (
            "{{ reReplaceAll \"(\" \"x\" \"y\" }}",
            "115: executing \"__alert_A\" at <reReplaceAll \"(\" \"x\" \"y\">: error calling reReplaceAll: regexp: Compile(`(`): error parsing regexp: missing closing ): `(`",
        ),
        (
            "{{ (query \"up\").banana }}",
            "122: executing \"__alert_A\" at <\"up\">: can't evaluate field banana in type template.queryResult",
        ),
    ] {
        assert_eq!(failure(text), at(want), "{text}");
    }
}

/// So does promtool print these.
#[test]
fn errors_of_parsing_are_gos() {
    for (text, want) in [
        ("{{", "1: unclosed action"),
        ("{{ }}", "1: missing value for command"),
        ("{{ $x }}", "1: undefined variable \"$x\""),
        ("{{ nope }}", "1: function \"nope\" not defined"),
        ("\n{{ if }}", "2: missing value for if"),
        ("{{ if true }}", "1: unexpected EOF"),
        ("{{ end }}", "1: unexpected {{end}}"),
        ("{{ 1 | 2 }}", "1: non executable command in pipeline stage 2"),
        ("{{ \u{a0} }}", "1: unrecognized character in action: U+00A0"),
        ("{{ (1 }}", "1: unclosed left paren"),
        ("{{ 1 ) }}", "1: unexpected right paren"),
        ("{{ \"a }}", "1: unterminated quoted string"),
        ("{{ break }}", "1: {{break}} outside {{range}}"),
        ("{{/* a }}", "1: unclosed comment"),
        ("{{ 12x }}", "1: bad number syntax: \"12x\""),
        ("{{ template x }}", "1: unexpected \"x\" in template clause"),
        ("{{ .a.b! }}", "1: bad character U+0021 '!'"),
        ("{{ \"x\".y }}", "1: unexpected . after term \"\\\"x\\\"\""),
    ] {
        let error = Template::of_alert("A", text).expect_err(text);
        assert_eq!(error, format!("template: __alert_A:{want}"), "{text}");
    }
}

#[test]
fn what_would_not_end_is_refused() {
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(Template::of_alert("A", &deep).expect_err("deep").contains("nested more than"));
    let branches = "{{ if true }}".repeat(10_000);
    assert!(Template::of_alert("A", &branches).expect_err("deep").contains("nested more than"));
    for (text, limit) in [
        ("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}", "exceeded maximum template depth"),
        ("{{ range 99999 }}{{ range 99999 }}{{ end }}{{ end }}", "more than 100000 steps"),
        ("{{ range 1000000000000 }}x{{ end }}", "more than 100000 steps"),
        ("{{ printf \"%1000000d\" 1 }}", "longer than 65536 bytes"),
        ("{{ $x := \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" }}{{ range 50 }}{{ $x = print $x $x }}{{ end }}", "longer than 65536 bytes"),
        ("{{ $x := args 1 }}{{ range 50 }}{{ $x = args $x $x }}{{ end }}", "nested more than 8 deep"),
        ("{{ $x := args 1 }}{{ range 7 }}{{ $x = args $x $x $x $x $x $x $x $x $x $x }}{{ end }}{{ $x }}", "longer than 65536 bytes"),
        (
            "{{ reReplaceAll \"a\" (printf \"%60000d\" 1) (printf \"%s\" (reReplaceAll \" \" \"a\" (printf \"%60000d\" 1))) }}",
            "longer than 65536",
        ),
    ] {
        assert!(failure(text).contains(limit), "{text}: {}", failure(text));
    }
}
