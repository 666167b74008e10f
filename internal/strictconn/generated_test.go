package strictconn

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// bar 93: whatever passes of generated connections, net/http reads as the same requests
func TestGenerated(t *testing.T) {
	const seed = 93
	random := rand.New(rand.NewPCG(seed, seed))
	passed, refused, count := 0, 0, 5_000
	if os.Getenv("LATCHWARD_SCALE") == "full" {
		count = 1_000_000
	}
	for range count {
		data := generate(random)
		checkAgainstNetHTTP(t, []byte(data), random.IntN(64))
		if _, n := follow(data); n == len(data) {
			passed++
		} else {
			refused++
		}
	}
	t.Logf("seed %d: %d passed, %d refused", seed, passed, refused)
	if passed < refused/20 || refused < passed/20 {
		t.Error("the generator makes too few of a kind")
	}
}

// generate returns one to three requests, in which each part is mostly as it should be and sometimes not.
func generate(random *rand.Rand) string {
	pick := func(good []string, odd ...string) string {
		if random.IntN(25) == 0 {
			return odd[random.IntN(len(odd))]
		}
		return good[random.IntN(len(good))]
	}
	var b strings.Builder
	line := func() {
		b.WriteString(pick([]string{"\r\n"}, "\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\x00\r\n", " \r\n"))
	}
	for range 1 + random.IntN(3) {
		b.WriteString(pick([]string{""}, "\r\n", "\n", "\r\n\r\n", " "))
		b.WriteString(pick([]string{"GET", "POST", "PUT"}, "", "get", "PRI", "G\x00T", "POST ", "A,B"))
		b.WriteString(pick([]string{" "}, "  ", "\t", ""))
		b.WriteString(pick([]string{"/", "/a?b=c", "http://h/x"}, "", "*", "/a b", "/\x00", "/\x80", "h:1"))
		b.WriteString(" " + pick([]string{"HTTP/1.1"}, "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/11.1"))
		line()
		body := ""
		for range random.IntN(4) {
			b.WriteString(pick([]string{"Host", "A", "content-type"}, "A ", " A", "", "A(", "Content_Length", "A\x00", "\tA"))
			b.WriteString(":" + pick([]string{" x", "", " \ty "}, "\x00", "a\rb", "\x7f", "a\x0b", "\xff"))
			line()
		}
		switch random.IntN(6) {
		case 0, 1:
			b.WriteString(pick([]string{"Content-Length: ", "content-length:"}, "Content-Length :", "Content-Length:\t", "Content-Length: +"))
			b.WriteString(pick([]string{"5", "5 "}, "05", "5,5", "0x5", "", "-5", "5 5", "99999999999999999999"))
			line()
			body = "hello"
		case 2, 3:
			b.WriteString(pick([]string{"Transfer-Encoding: "}, "Transfer-Encoding : ", "Transfer-Encoding:\x0b", "TRANSFER-ENCODING:"))
			b.WriteString(pick([]string{"chunked"}, "Chunked", "xchunked", "chunked, identity", "identity", "chunked ", "chunked\x00"))
			line()
			body = chunks(random, pick)
		}
		if random.IntN(25) == 0 { // a second statement about the length
			b.WriteString(pick([]string{"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}, "Content-Length: 3\r\n"))
		}
		line()
		b.WriteString(body)
	}
	return b.String()
}

func chunks(random *rand.Rand, pick func([]string, ...string) string) string {
	var b strings.Builder
	for range random.IntN(3) {
		b.WriteString(pick([]string{"5", "005"}, "5 ", " 5", "0x5", "+5", "", "6", "000000005", "g"))
		b.WriteString(pick([]string{"", ";a=b", ";a"}, ";a\rb", ";\x00", ";"+strings.Repeat("x", 300)))
		b.WriteString(pick([]string{"\r\n"}, "\n", "\r", "\r\n\r\n"))
		b.WriteString("hello" + pick([]string{"\r\n"}, "\n", "", "xx", "\r"))
	}
	b.WriteString(pick([]string{"0", "00"}, "", "0 ", "-0"))
	b.WriteString(pick([]string{"\r\n\r\n", "\r\nA: b\r\n\r\n"},
		"\n\n", "\r\n\n", "\r\nA b\r\n\r\n", "\r\n A: b\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", "\r\nA: b\n\r\n"))
	return b.String()
}
