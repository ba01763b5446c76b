package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

func TestSplit(t *testing.T) {
	type doc struct {
		number int
		raw    string
		body   string
	}
	cases := map[string]struct {
		stream string
		exp    []doc
	}{
		"an empty stream has no documents": {stream: ""},
		"a stream without separators is one document": {
			stream: "a: 1\n",
			exp:    []doc{{1, "a: 1\n", "a: 1\n"}},
		},
		"a separator belongs to the document behind it": {
			stream: "---\na: 1\n---\nb: 2\n",
			exp:    []doc{{1, "---\na: 1\n", "\na: 1\n"}, {2, "---\nb: 2\n", "\nb: 2\n"}},
		},
		"comments in front of the first separator are no document": {
			stream: "# head\n---\na: 1\n",
			exp:    []doc{{0, "# head\n", "# head\n"}, {1, "---\na: 1\n", "\na: 1\n"}},
		},
		"comments behind a separator are one": {
			stream: "a: 1\n---\n# only this\n---\nb: 2\n",
			exp:    []doc{{1, "a: 1\n", "a: 1\n"}, {2, "---\n# only this\n", "\n# only this\n"}, {3, "---\nb: 2\n", "\nb: 2\n"}},
		},
		"a document may be glued to its separator": {
			stream: "a: 1\n---b: 2\n",
			exp:    []doc{{1, "a: 1\n", "a: 1\n"}, {2, "---b: 2\n", "b: 2\n"}},
		},
		"indented dashes are text": {
			stream: "a: |\n  ---\n  b\n",
			exp:    []doc{{1, "a: |\n  ---\n  b\n", "a: |\n  ---\n  b\n"}},
		},
		"a byte order mark is not parsed": {
			stream: "\uFEFF---\na: 1\n---\n# c\n\uFEFFb: 2\n",
			exp:    []doc{{1, "\uFEFF---\na: 1\n", "\na: 1\n"}, {2, "---\n# c\n\uFEFFb: 2\n", "b: 2\n"}},
		},
		"carriage returns stay": {
			stream: "a: 1\r\n---\r\nb: 2\r\n",
			exp:    []doc{{1, "a: 1\r\n", "a: 1\r\n"}, {2, "---\r\nb: 2\r\n", "\r\nb: 2\r\n"}},
		},
		"blanks behind a separator belong to it": {
			stream: "a: 1\n---\t \nb: 2\n--- \tc: 3\n",
			exp: []doc{
				{1, "a: 1\n", "a: 1\n"}, {2, "---\t \nb: 2\n", "\nb: 2\n"}, {3, "--- \tc: 3\n", "c: 3\n"},
			},
		},
		"JSON objects on lines are documents": {
			stream: "{\"a\": 1}\n{\"b\": [{}, \"}{\"]}\n",
			exp: []doc{
				{1, "{\"a\": 1}\n", "{\"a\": 1}\n"}, {2, "{\"b\": [{}, \"}{\"]}\n", "{\"b\": [{}, \"}{\"]}\n"},
			},
		},
		"JSON objects on one line are documents": {
			stream: "{\"a\":-1.5e+3}{\"b\":null} \t{\"c\":true}",
			exp: []doc{
				{1, "{\"a\":-1.5e+3}", "{\"a\":-1.5e+3}"},
				{2, "{\"b\":null} \t", "{\"b\":null} \t"},
				{3, "{\"c\":true}", "{\"c\":true}"},
			},
		},
		"blanks in front of JSON objects are not parsed": {
			stream: "\uFEFF\n {}\r\n\r\n{}",
			exp:    []doc{{1, "\uFEFF\n {}\r\n\r\n", "{}\r\n\r\n"}, {2, "{}", "{}"}},
		},
		"one JSON object is YAML": {stream: "\n{}\n", exp: []doc{{1, "\n{}\n", "\n{}\n"}}},
		"JSON objects and a separator are YAML": {
			stream: "{}\n{}\n---\n{}\n",
			exp:    []doc{{1, "{}\n{}\n", "{}\n{}\n"}, {2, "---\n{}\n", "\n{}\n"}},
		},
		"JSON objects and a comment are YAML":    {stream: "{}\n# c\n{}", exp: []doc{{1, "{}\n# c\n{}", "{}\n# c\n{}"}}},
		"JSON objects and another value are not": {stream: "{}\n[]", exp: []doc{{1, "{}\n[]", "{}\n[]"}}},
		"objects in flow style are YAML":         {stream: "{a: 1}\n{}", exp: []doc{{1, "{a: 1}\n{}", "{a: 1}\n{}"}}},
		"a separator inside broken JSON is one": {
			stream: "{\"a\": \"\\\n---\n\"}{}",
			exp:    []doc{{1, "{\"a\": \"\\\n", "{\"a\": \"\\\n"}, {2, "---\n\"}{}", "\n\"}{}"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []doc
			for _, d := range manifest.Split([]byte(tc.stream)) {
				got = append(got, doc{d.Number, string(d.Raw), string(d.Body)})
			}
			assert.Equal(t, tc.exp, got)
		})
	}
}

func TestSplitFindsKindsWithoutParsing(t *testing.T) {
	cases := map[string]struct {
		stream string
		exp    manifest.Header
	}{
		"plain":                           {"apiVersion: v1\nkind: Pod\n", manifest.Header{Kinds: []string{"Pod"}}},
		"first line":                      {"kind: Pod\n", manifest.Header{Kinds: []string{"Pod"}}},
		"quoted key":                      {"\"kind\": Pod\n", manifest.Header{Kinds: []string{"Pod"}}},
		"single quoted key and value":     {"'kind': 'Pod'\n", manifest.Header{Kinds: []string{"Pod"}}},
		"with a comment":                  {"kind: Pod # one\n", manifest.Header{Kinds: []string{"Pod"}}},
		"space in front of the colon":     {"kind : Pod\n", manifest.Header{Kinds: []string{"Pod"}}},
		"CR LF":                           {"kind: Pod\r\n", manifest.Header{Kinds: []string{"Pod"}}},
		"behind a byte order mark":        {"\uFEFFkind: Pod\n", manifest.Header{Kinds: []string{"Pod"}}},
		"glued to the separator":          {"---kind: Pod\n", manifest.Header{Kinds: []string{"Pod"}}},
		"nested kinds are not the root's": {"a:\n  kind: Pod\n", manifest.Header{}},
		"longer keys are others":          {"kinds: Pod\nkindly: x\n", manifest.Header{}},
		"repeated":                        {"kind: A\nkind: B\n", manifest.Header{Kinds: []string{"A", "B"}}},
		"no text":                         {"# nothing\n", manifest.Header{Blank: true}},
		"directives and end markers":      {"%YAML 1.1\n...\n", manifest.Header{Blank: true}},
		"a list has no kind":              {"- kind: Pod\n", manifest.Header{}},
		"flow style needs parsing":        {"{kind: Pod}\n", manifest.Header{Unsure: true}},
		"on the separator's line":         {"--- {kind: Pod}\n", manifest.Header{Unsure: true}},
		"an indented root needs parsing":  {"  kind: Pod\n", manifest.Header{Unsure: true, MayContinue: true}},
		"a tag needs parsing": {
			"!!map\nkind: Pod\n", manifest.Header{Kinds: []string{"Pod"}, Unsure: true, MayContinue: true},
		},
		"value on the next line":  {"kind:\n  Pod\n", manifest.Header{Unsure: true}},
		"an anchored value":       {"kind: &k Pod\n", manifest.Header{Unsure: true}},
		"a merge key at the root": {"a: &a {kind: Pod}\n<<: *a\n", manifest.Header{Unsure: true}},
		"a key in long form":      {"? kind\n: Pod\n", manifest.Header{Unsure: true, MayContinue: true}},
		"an escaped key":          {"a: 1\n\"\\x6bind\": Pod\n", manifest.Header{Unsure: true}},
		"a lone carriage return":  {"a: 1\rkind: Pod\n", manifest.Header{Unsure: true, MayContinue: true}},
		"JSON":                    {"{\"a\":{\"kind\":\"X\"},\"kind\":\"Pod\"}", manifest.Header{Kinds: []string{"Pod"}}},
		"JSON on lines":           {"---\n{\n\"kind\":\n \"Pod\"\n}\n", manifest.Header{Kinds: []string{"Pod"}}},
		"JSON with a kind that is no text": {
			"{\"kind\":[\"X\"],\"x\":\"Pod\"}", manifest.Header{},
		},
		"JSON with a repeated kind": {"{\"kind\":\"A\",\"kind\":\"B\"}", manifest.Header{Kinds: []string{"A", "B"}}},
		"JSON with an escaped key":  {`{"\u006bind":"Pod"}`, manifest.Header{Unsure: true}},
		"JSON with an escaped kind": {`{"kind":"\u0050od"}`, manifest.Header{Unsure: true}},
		"JSON in a JSON stream":     {`{} {"kind":"Pod"}`, manifest.Header{Kinds: []string{"Pod"}}},
		"something behind JSON":     {"---\n{\"kind\":\"A\"} {}", manifest.Header{Kinds: []string{"A"}, MayContinue: true}},
		"a comment behind JSON":     {"---\n{\"kind\":\"A\"} # x\n...\n", manifest.Header{Kinds: []string{"A"}}},
		"something behind flow style": {
			"{kind: A, b: 'it''s } {'} # x\na: b", manifest.Header{Unsure: true, MayContinue: true},
		},
		"something behind a list":      {"[a]\n{}", manifest.Header{MayContinue: true}},
		"a bracket that is not closed": {"{kind: A\n{}", manifest.Header{Unsure: true, MayContinue: true}},
		"something behind an end marker": {
			"kind: A\n... # x\nb: c\n", manifest.Header{Kinds: []string{"A"}, MayContinue: true},
		},
		"something beside an end marker": {
			"kind: A\n... b\n", manifest.Header{Kinds: []string{"A"}, MayContinue: true},
		},
		"nothing behind an end marker":    {"kind: A\n...\n%YAML 1.1\n# x\n", manifest.Header{Kinds: []string{"A"}}},
		"an end marker in front":          {"...\nkind: A\n", manifest.Header{Kinds: []string{"A"}}},
		"three dots that begin a longer":  {"kind: A\n....\nb: c\n", manifest.Header{Kinds: []string{"A"}}},
		"three dots that are indented":    {"kind: A\nb: |\n  ...\nc: d\n", manifest.Header{Kinds: []string{"A"}}},
		"an end marker with a comment":    {"... # x\n", manifest.Header{Blank: true}},
		"an end marker of a list":         {"- a\n...\nb: c\n", manifest.Header{MayContinue: true}},
		"several end markers":             {"kind: A\n...\n...\n", manifest.Header{Kinds: []string{"A"}}},
		"a document behind an end marker": {"a: 1\n...\n---\nkind: A\n", manifest.Header{Kinds: []string{"A"}}},
		"an end marker with a carriage return": {
			"kind: A\r\n...\r\nb: c\r\n", manifest.Header{Kinds: []string{"A"}, MayContinue: true},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			docs := manifest.Split([]byte(tc.stream))
			assert.Equal(t, tc.exp, docs[len(docs)-1].Header)
		})
	}
}
