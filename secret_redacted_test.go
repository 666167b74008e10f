package latchward

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// leaked returns a form in which six or more characters of text show in output, or "".
func leaked(output, text string) string {
	for i := range len(text) - 5 {
		window := []byte(text[i : i+6])
		goSyntax := fmt.Sprintf("%#v", window)
		decimal := fmt.Sprint(window)
		for name, form := range map[string]string{
			"plain": string(window), "hex": hex.EncodeToString(window), "spaced hex": fmt.Sprintf("% x", window),
			"Go syntax": goSyntax[len("[]byte{") : len(goSyntax)-1], "decimal": decimal[1 : len(decimal)-1],
			"base64": base64.StdEncoding.EncodeToString(window),
		} {
			if strings.Contains(strings.ToLower(output), strings.ToLower(form)) {
				return name
			}
		}
	}
	return ""
}

// prints returns what every way of printing, logging and encoding shows of v.
func prints(v any) (outputs map[string]string) {
	outputs = make(map[string]string)
	for _, flags := range []string{"", "+", "#", " ", "60", "-60.20"} {
		for _, verb := range "vsqxXdcUtbeg" + "pTw" {
			outputs["%"+flags+string(verb)] = fmt.Sprintf("%"+flags+string(verb), v)
		}
	}
	outputs["Sprint"], outputs["panic"] = fmt.Sprint(v), recovered(v)
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"slog JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"slog text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).Error("told", "value", v, slog.Group("group", "value", v))
		outputs[name] = log.String()
	}
	for name, encode := range map[string]func(any) ([]byte, error){
		"JSON": json.Marshal, "XML": xml.Marshal, "gob": gobEncode,
	} {
		text, err := encode(v)
		outputs[name] = fmt.Sprint(string(text), err)
	}
	return outputs
}

func recovered(v any) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	panic(v)
}

func gobEncode(v any) ([]byte, error) {
	var text bytes.Buffer
	err := gob.NewEncoder(&text).Encode(v)
	return text.Bytes(), err
}

// B-02, bar 130, S1-12
func TestSecretShowsNothing(t *testing.T) {
	text, credential := mustSecret(t, seededRandom(17), DefaultPrefix, mustKeyRing(t, 17))
	secret := SecretFromText(text)
	type inner struct{ secret Secret }
	type embedding struct{ Secret } // named: encoding/xml panics over nameless types with methods
	values := map[string]any{
		"value": secret, "pointer": &secret, "unexported": inner{secret}, "pointer to unexported": &inner{secret},
		"exported": struct{ Secret Secret }{secret}, "deep": struct{ in *inner }{&inner{secret}},
		"slice": []Secret{secret}, "map": map[string]Secret{"k": secret}, "interface": struct{ v any }{secret},
		"embedded": embedding{secret}, "credential": credential, "error": fmt.Errorf("bad: %v", secret),
	}
	for name, v := range values {
		for way, output := range prints(v) {
			if form := leaked(output, text[len(DefaultPrefix)+keyIDLen:]); form != "" {
				t.Errorf("%s by %s shows the secret (%s): %.200s", name, way, form, output)
			}
		}
	}
	for way, output := range prints(secret) {
		// fmt keeps p, T and w to itself, and gob refuses.
		if !strings.Contains(output, "[redacted]") && way != "gob" && !strings.ContainsAny(way[len(way)-1:], "pTw") {
			t.Errorf("%s says %q, not [redacted]", way, output)
		}
	}
	if _, err := gobEncode(secret); err == nil {
		t.Error("gob encodes a secret")
	}
	if err := json.Unmarshal([]byte(`"lw_x"`), &secret); err == nil {
		t.Error("JSON decodes a secret, which would read [redacted] as one")
	}
}

// Each way out is closed by itself, whichever of them a library asks for first.
func TestSecretMethodsRedact(t *testing.T) {
	secret := SecretFromText("lw_text")
	text, textErr := secret.MarshalText()
	quoted, jsonErr := secret.MarshalJSON()
	if string(text) != "[redacted]" || string(quoted) != `"[redacted]"` || textErr != nil || jsonErr != nil {
		t.Errorf("%s, %v; %s, %v", text, textErr, quoted, jsonErr)
	}
	if secret.String() != "[redacted]" || secret.GoString() != "[redacted]" || secret.LogValue().String() != "[redacted]" {
		t.Errorf("%s, %s, %s", secret.String(), secret.GoString(), secret.LogValue())
	}
	if data, err := secret.MarshalBinary(); err == nil || data != nil {
		t.Errorf("encoded as %q", data)
	}
}

// TestSecretShowsNothing must see a leak in every form.
func TestLeakIsSeen(t *testing.T) {
	text, _ := mustSecret(t, seededRandom(18), DefaultPrefix, mustKeyRing(t, 18))
	type naive struct {
		text string
		data []byte
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "% x", "%d"} {
		for name, v := range map[string]any{"text": naive{text: text}, "data": naive{data: []byte(text)}} {
			if verb == "%d" && name == "text" {
				continue // %d shows a string as it is, after a complaint; the other rows cover that
			}
			if output := fmt.Sprintf(verb, v); leaked(output, text) == "" {
				t.Errorf("%s in %s goes unseen: %s", name, verb, output)
			}
		}
	}
}
