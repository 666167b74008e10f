package strictconn

import (
	"net"
	"testing"
)

const (
	browserRequest = "GET /api/products?store_id=1 HTTP/1.1\r\nHost: api.example.com\r\n" +
		"Authorization: Bearer lw_0123456789012345678901234567890123456789012345678\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
		"Accept: application/json, text/plain, */*\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
		"Connection: keep-alive\r\nSec-Fetch-Mode: cors\r\n\r\n"
	chunkedRequest = "POST /api/metrics HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"5\r\nhello\r\n0\r\n\r\n"
)

// repeated is a connection on which the same data comes again and again.
type repeated struct {
	net.Conn
	data []byte
	at   int
}

func (r *repeated) Read(buffer []byte) (int, error) {
	n := 0
	for n < len(buffer) {
		copied := copy(buffer[n:], r.data[r.at:])
		n += copied
		r.at = (r.at + copied) % len(r.data)
	}
	return n, nil
}

// BenchmarkConn is what checking costs, beside reading the same bytes unchecked: one operation is one request.
func BenchmarkConn(b *testing.B) {
	body := make([]byte, 1<<20)
	upload := append([]byte("POST /api/videos HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"), body...)
	tests := []struct {
		name string
		data []byte
	}{{"browser", []byte(browserRequest)}, {"chunked", []byte(chunkedRequest)}, {"upload", upload}}
	for _, test := range tests {
		for _, kind := range []string{"checked", "bare"} {
			b.Run(test.name+"/"+kind, func(b *testing.B) {
				var c net.Conn = &repeated{data: test.data}
				if kind == "checked" {
					c = newConn(c, true)
				}
				buffer := make([]byte, min(len(test.data), 32<<10))
				b.SetBytes(int64(len(test.data)))
				b.ReportAllocs()
				for range b.N {
					for left := len(test.data); left > 0; {
						n, err := c.Read(buffer[:min(left, len(buffer))])
						if err != nil {
							b.Fatal(err)
						}
						left -= n
					}
				}
			})
		}
	}
}
