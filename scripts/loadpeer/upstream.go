package main

import (
	"bufio"
	"bytes"
	"net"
	"strconv"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n" +
	"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n\r\n{\"data\":[]}"

func answerAll(c net.Conn) {
	defer c.Close()
	for reader := bufio.NewReader(c); ; {
		length, err := readHead(reader)
		if err != nil {
			return
		}
		if _, err := reader.Discard(length); err != nil {
			return
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// readHead reads the head of a request and returns the length of its body.
func readHead(r *bufio.Reader) (length int, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(line) == len("\r\n") {
			return length, err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length:")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}
