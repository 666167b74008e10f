package shape_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/internal/shape"
)

type inner struct {
	Deep int8 `json:"deep"`
}

// Maybe is all there, or not at all.
type Maybe struct {
	There string `json:"there" range:",3"`
}

type all struct {
	inner
	*Maybe
	Time    time.Time         `json:"time,omitzero"`
	Address netip.Addr        `json:"address,omitzero"`
	Raw     json.RawMessage   `json:"raw,omitempty"`
	Bytes   []byte            `json:"bytes,omitempty"`
	Any     any               `json:"any,omitempty"`
	Map     map[string]uint16 `json:"map,omitempty"`
	Free    map[string]any    `json:"free,omitempty"`
	Pair    [2]bool           `json:"pair,omitempty" range:"2,2"`
	Unsign  uint64            `json:"unsign,omitempty"`
	Ratio   float32           `json:"ratio,omitempty" range:"0,1"`
	Kinds   []string          `json:"kinds,omitempty" enum:"a,b"`
	Same    *all              `json:"same,omitempty"`
	Hidden  int               `json:"-"`
}

func of[T any]() *shape.Shape {
	var r shape.Reader
	return r.Of(reflect.TypeFor[T]())
}

func TestDecode(t *testing.T) {
	sh := of[all]()
	for members, field := range map[string]string{
		``:                               "",
		`,"there":"äöü"`:                 "",
		`,"there":"long"`:                "there",
		`,"inner":{}`:                    "inner",
		`,"Hidden":1`:                    "Hidden",
		`,"deep":1`:                      "deep",
		`,"time":"2026-01-02T03:04:05Z"`: "",
		`,"time":"2026-01-02"`:           "time",
		`,"address":"::1"`:               "",
		`,"address":"nowhere"`:           "address",
		`,"raw":[1,{"a":null}]`:          "",
		`,"raw":{"a":1,"a":2}`:           "raw",
		`,"bytes":"AAE="`:                "",
		`,"bytes":"%"`:                   "bytes",
		`,"any":null`:                    "",
		`,"map":{"a":65535}`:             "",
		`,"map":{"a":65536}`:             "map.a",
		`,"map":{"a":1,"a":1}`:           "map",
		`,"map":{"not a name":-1}`:       "map",
		`,"free":{"a":[1]}`:              "",
		`,"pair":[true]`:                 "pair",
		`,"pair":[true,1]`:               "pair[1]",
		`,"unsign":-1`:                   "unsign",
		`,"ratio":1.01`:                  "ratio",
		`,"ratio":0.5`:                   "",
		`,"kinds":["a","c"]`:             "kinds[1]",
		`,"same":{"deep":1,"same":{}}`:   "same.same.deep",
		`,"same":null`:                   "",
	} {
		var value all
		err := sh.Decode([]byte(`{"deep":127`+members+`}`), &value)
		if wrong := err != nil; wrong != (field != "") || latchward.ErrorField(err) != field {
			t.Errorf("%s: %v, want something about %q", members, err, field)
		}
		if err == nil && value.Deep != 127 {
			t.Errorf("%s: read %+v", members, value)
		}
	}
	for _, text := range []string{
		`{}`, `{"deep":128}`, `{"deep":null}`, `[]`, ``, `{"deep":1}}`, "{\"deep\":1,\"\xff\":1}",
	} {
		if err := sh.Decode([]byte(text), new(all)); latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Errors never repeat what was sent: it may hold a secret.
func TestErrorsRepeatNothing(t *testing.T) {
	const secret = "lw_hunter2-hunter2"
	for _, text := range []string{
		`{"deep":"` + secret + `"}`, `{"` + secret + `":1}`, `{"deep":1,"time":"` + secret + `"}`,
		`{"deep":1,"address":"` + secret + `"}`, `{"deep":1,"kinds":["` + secret + `"]}`,
		`{"deep":1,"map":{"` + secret + `":-1}}`, `{"deep":1,"bytes":"` + secret + `"}`,
	} {
		err := of[all]().Decode([]byte(text), new(all))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSchemas(t *testing.T) {
	type Page[T any] struct{ Items []T }
	var d shape.Schemas
	d.Reference(of[all]())
	first := d.Reference(of[all]())
	other := d.Reference(shape.ObjectOf("all", nil))
	generic := d.Reference(of[Page[Maybe]]())
	text, err := json.Marshal([]shape.Object{first, other, generic})
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"$ref":"#/components/schemas/all"},{"$ref":"#/components/schemas/all2"},` +
		`{"$ref":"#/components/schemas/Page_Maybe"}]`
	if string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	text, err = json.Marshal(d.Components.Get("all"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"deep":{"type":"integer","minimum":-128,"maximum":127}`, `"there":{"type":"string","maxLength":3}`,
		`"map":{"type":["object","null"],"additionalProperties":{"type":"integer","minimum":0,"maximum":65535}}`,
		`"same":{"anyOf":[{"$ref":"#/components/schemas/all"},{"type":"null"}]}`, `"any":{}`, `"required":["deep"]`,
		`"kinds":{"type":"array","items":{"type":"string","enum":["a","b"]}}`,
		`"time":{"type":"string","format":"date-time"}`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}

func TestTypesWithoutJSONPanic(t *testing.T) {
	type bad struct {
		N int `json:"n,string"`
	}
	for name, make := range map[string]func(){
		"function": func() { of[func()]() },
		"channel":  func() { of[struct{ C chan int }]() },
		"keys":     func() { of[map[int]string]() },
		"option":   func() { of[bad]() },
		"bound": func() {
			of[struct {
				N int `range:"a"`
			}]()
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			make()
		})
	}
}

// A body that is too long is refused without being read, and one that does not tell its length while it is.
func TestReadBodyIsBounded(t *testing.T) {
	for _, length := range []int64{11, -1} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", 11)))
		r.ContentLength = length
		r.Header.Set("Content-Type", "application/json")
		_, err := shape.ReadBody(httptest.NewRecorder(), r, nil, 10)
		fault, ok := err.(*shape.Fault)
		if !ok || fault.Status != 413 || fault.Message != "The body is larger than 10 bytes" {
			t.Errorf("%d: %v", length, err)
		}
		if latchward.ErrorCode(err) != latchward.CodeInvalid {
			t.Errorf("%d: code %s", length, latchward.ErrorCode(err))
		}
	}
}
