package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/rest"
)

// bar 98: what is not JSON, or JSON that readers take in different ways, is refused wherever a value may stand.
func TestStrictJSON(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for value, good := range map[string]bool{
		`null`: true, `{}`: true, `{"a":1}`: true, `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`: true, ` { "a" : [ ] } `: true,
		`{"a":-0.5e+10}`: true, `{"a":1E2}`: true, `{"a":0}`: true, `{"a":[true,false,null]}`: true, `{"":1}`: true,
		`{"a":"\u00e9\ud83d\udc1d\"\\\/\b\f\n\r\t"}`: true, `{"a":"` + "\u2028é🐝\x7f" + `"}`: true, `{"a":` + nested(30) +
			`}`: true,

		`{"a":1,"a":1}`: false, `{"a":1,"\u0061":2}`: false, `{"b":{"a":1,"a":1}}`: false, `{"b":[{"a":1,"a":1}]}`: false,
		`{"a":` + nested(31) + `}`: false, `{"a":"` + "\n" + `"}`: false, `{"a":"` + "\x00" + `"}`: false, `{"a":"` +
			"\xff" + `"}`: false,
		`{"a":"` + "\xed\xa0\x80" + `"}`: false, `{"a":"\ud83d"}`: false, `{"a":"\ud83dx"}`: false,
		`{"a":"\udc1d\ud83d"}`: false,
		`{"a":"\ud83d\u0041"}`: false, `{"a":"\u00g0"}`: false, `{"a":"\u+123"}`: false, `{"a":"\u00"}`: false,
		`{"a":"\x41"}`: false,
		`{"a":"\`:      false, `{"a":"\u12`: false, `{"a":"x`: false, `{"a":"\nx`: false, `{"a":"\n` + "\n" + `"}`: false,
		`{"a":01}`: false, `{"a":-}`: false, `{"a":+1}`: false, `{"a":.5}`: false, `{"a":1.}`: false, `{"a":1e}`: false,
		`{"a":0x10}`: false, `{"a":NaN}`: false, `{"a":Infinity}`: false, `{"a":1e400}`: false, `{"a":1_000}`: false,
		`{"a":nul}`: false, `{"a":True}`: false, `{"a":'x'}`: false, `{a:1}`: false, `{"a"}`: false, `{"a" 1}`: false,
		`{"a":}`:   false,
		`{"a":1,}`: false, `{,"a":1}`: false, `{"a":[1,]}`: false, `{"a":[,1]}`: false, `{"a":[1 2]}`: false,
		`{"a":1 "b":2}`: false,
		`{"a":1`:        false, `{"a":[1`: false, `{"a":1]`: false, `{"a":[1}`: false, `{}}`: false, `{}/**/`: false,
		``: false,
	} {
		text := []byte(`{"metadata":` + value + `}`)
		var n rest.NewToken
		err := rest.Decode(text, &n)
		if (err == nil) != good {
			t.Errorf("%.60q: %v", value, err)
		}
		if err != nil && latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("%.60q: code of %v", value, err)
		}
		if good && !json.Valid(text) {
			t.Errorf("%.60q is expected to be good and is not JSON", value)
		}
	}
}

// What is wrong is said of the member at fault, however deep, and of none when the text as a whole is no JSON.
func TestFieldsOfErrors(t *testing.T) {
	for text, field := range map[string]string{
		`{"allowed_endpoints":["/a",7]}`: "allowed_endpoints[1]", `{"owner":{"id":1,"x":1}}`: "owner.x",
		`{"owner":{"id":1,"id":1}}`: "owner.id",
		`{"owner":7}`:               "owner", `{"tags":[["a"]]}`: "tags[0]", `{"owner":{"id":}}`: "", `{"tags":["a"`: "",
		`{"x y":1}`:                             "",
		`{"` + strings.Repeat("x", 33) + `":1}`: "", `{"name":"a"}x`: "", `[{"name":"a"}]`: "", `{"rate_limit":tru}`: "",
	} {
		var n rest.NewToken
		err := rest.Decode([]byte(text), &n)
		wantCode(t, err, latchward.CodeInvalid, field)
	}
}
